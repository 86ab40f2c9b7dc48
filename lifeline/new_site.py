"""``lifeline init``: a folder for somebody's own city, explained by its comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.errors import Occupied
from lifeline.packs import copy_packs
from lifeline.settings.config import FILE_NAME

if TYPE_CHECKING:
    from pathlib import Path

CITY = """\
# What your city is called and which servers it uses. `lifeline run` reads it at the start and tells
# every mistake at once. Passwords and tokens never stand here: name the file (readable for you
# alone) or the environment variable that holds them.

[site]
name = "My city"
name_zh = "我的城市"
timezone = "Asia/Shanghai"
# shadow_rules = "trial"      # a folder of rules on trial beside rules/: docs/reload.md
simulation = false            # true marks everything as an exercise (演练) and tells nobody outside

# [tls]                       # TLS at every door: broker, page, InfluxDB, webhook: docs/security.md
# folder = "secrets/tls"      # `lifeline site certificates` makes what is in it

[mqtt]                        # the broker your gateways publish to, as lifeline/v1/<device id>/up
host = "127.0.0.1"
# port = 1883                 # with tls: 8883
# user = "lifeline"
# password_file = "secrets/mqtt"            # or: password_env = "LIFELINE_MQTT_PASSWORD"
# tls = true
# ca_file = "secrets/ca.pem"  # for a certificate of your own; otherwise the machine's authorities

[coap]                        # where NB-IoT modules post to: coap://<bind>:<port>/up/<device id>
bind = "127.0.0.1"            # 0.0.0.0 once a firewall stands before it
port = 5683

# [influx]                    # an InfluxDB 2.x; without this table only our own archive is written
# url = "http://127.0.0.1:8086"
# org = "city"
# bucket = "lifeline"
# token_file = "secrets/influx"             # `lifeline influx setup` writes it
# keep = "90d"                # of readings and alarms; longer than the journal's
# waveforms = true            # the samples too, not only what is computed from them

[journal]                     # everything that arrived, in order; the rest is made from it
keep = "30d"
# max_gb = 200                # whichever comes first
raw_keep = "3d"               # frames as they came, to decode again after a wrong scale

# [archive]                   # the history as Parquet; without this table all of it stays
# keep = "3650d"
# max_gb = 500                # whichever comes first: whole files, the oldest first

[page]                        # loopback only, by an SSH tunnel; beyond it with [login] and [tls]
port = 8480                   # and origin, or by a proxy with a login: docs/people.md
# bind = "0.0.0.0"
# origin = "https://lifeline.example.org:8480"   # as browsers see it

# [login]                     # everybody logs in: `lifeline people add`; docs/people.md
# idle = "1h"                 # without a page open
# longest = "12h"

# [reload]
# watch = true                # reload when files of registry/ or rules/ change: docs/reload.md

# [ledger]                    # in a PostgreSQL of yours; left out: ledger.sqlite in the data folder
# url_file = "secrets/ledger" # postgresql://user:password@host/database

# [alarms]                    # an alarm flood: only red is announced one by one (docs/alarms.md)
# flood_begins = 10           # more than these in ten minutes
# flood_ends = 5              # fewer than these

# [incidents]                 # time limits for handling, from the raise; none but yours apply:
# acknowledge = {red = "1m", orange = "5m"}  # also verify, on_site, close (docs/incidents.md)

# [webhook]                   # alarms, signed with HMAC-SHA-256
# url = "https://example.org/alarms"
# secret_file = "secrets/webhook"
# min_severity = 2            # 1 blue, 2 yellow, 3 orange, 4 red

# [outlet.dingtalk.gas]       # also alertmanager, mqtt, email, wecom, feishu; departments, routes,
# url_file = "secrets/dingtalk-gas"         # work orders back: docs/notification.md
# secret_file = "secrets/dingtalk-gas-sign"

# [heartbeat]                 # a sign of life, sent while all is well; whoever waits for it outside
# url_file = "secrets/heartbeat"            # calls people when it stays away: docs/security.md
# every = "60s"
"""

REGISTRY = """\
# What is where, and who speaks for it. Any number of files in this folder are read as one.
version: 1

sites:
- {id: 410100-st-000001, name: My city, name_zh: 我的城市}

devices:                      # who speaks: its id is the one in the topic or path
- id: 410100-gas-gw-000001
  kind: gateway               # gateway | module
  transport: mqtt             # mqtt | coap
  codec: compact              # compact | senml | json
  asset: 410100-gas-gw-000001 # where it is mounted
  every: 60s                  # how often it speaks; silence is judged by it
- {id: 410100-env-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-env-gw-000001, every: 30s}

assets:                       # area-domain-type-serial
- id: 410100-gas-gw-000001
  type: gateway
  site: 410100-st-000001
  name: Gateway at Zhongyuan Rd
  name_zh: 中原路网关
  at: [113.62, 34.75]         # WGS 84: longitude, latitude

- id: 410100-gas-mh-000001
  type: manhole
  site: 410100-st-000001
  name: Zhongyuan Rd manhole 1
  name_zh: 中原路1号井
  district: Zhongyuan
  zone: z-gas-01              # neighbours that belong together
  at: [113.621, 34.751]
  sensors:
  - id: ch4-01
    device: 410100-gas-gw-000001
    channels:
    - id: vol
      quantity: ch4           # `lifeline rules check` names the quantities it knows
      unit: "%{vol}"          # UCUM, as the device sends it; converted on arrival
      port: 1                 # its number in the device's compact frames
      range: [0, 5]           # of the sensor; beyond it on the dangerous side is the top level
      resolution: 0.01
      every: 1m
      class: safety           # safety | maintenance | info

- id: 410100-env-gw-000001    # the program's own heartbeat: the watcher is watched
  type: gateway
  site: 410100-st-000001
  name: Heartbeat probe
  name_zh: 心跳探针
  at: [113.62, 34.75]
  sensors:
  - id: probe
    device: 410100-env-gw-000001
    channels:
    - {id: beat, quantity: heartbeat, unit: "1", port: 1, range: [0, 1000000000000],
       resolution: 1, every: 30s, class: info}
"""


def write_new_site(folder: Path) -> list[Path]:
    """Write city.toml, registry/ and rules/ and return the files.

    Raises
    ------
    Occupied
        The folder holds something already; nothing is overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Occupied(f"{folder}: is not an empty folder; nothing was written, choose another")
    texts = {folder / FILE_NAME: CITY, folder / "registry" / "city.yaml": REGISTRY}
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [*texts, *copy_packs(folder / "rules")]
