"""A tiny site for intake tests: a gas gateway, an NB-IoT module, a bridge node."""

import numpy as np

from ingest.codecs import compact
from ingest.codecs.compact import Series
from ingest.frame import Frame
from rules.registry_file import registry_of

GATEWAY = "410100-gas-gw-000001"
MODULE = "410100-gas-nb-000123"
BRIDGE = "410100-bridge-gw-000001"
NOW_NS = 1_790_000_000_000_000_000
NOW_MS = NOW_NS // 1_000_000

SITE = """
version: 1
simulation: {simulation}
sites: [{{id: 410100-st-000001, name: Zhongyuan, name_zh: 中原区}}]
devices:
- {{id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-mh-000123, every: 60s}}
- {{id: 410100-gas-nb-000123, kind: module, transport: coap, codec: senml,
   asset: 410100-gas-mh-000123, every: 1h}}
- {{id: 410100-bridge-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-bridge-sp-000001, every: 60s}}
assets:
- id: 410100-gas-mh-000123
  type: manhole
  site: 410100-st-000001
  name: Manhole 123
  at: [113.62, 34.75]
  sensors:
  - id: ch4-01
    device: 410100-gas-gw-000001
    channels:
    - {{id: vol, quantity: ch4, unit: "%{{LEL}}", port: 1, key: ch4, range: [0, 100],
       every: 1m, class: safety, fault_codes: [-999]}}
    - {{id: temp, quantity: temperature, unit: Cel, port: 2, key: t, range: [-20, 60], every: 1m}}
  - id: ch4-02
    device: 410100-gas-nb-000123
    channels:
    - {{id: vol, quantity: ch4, unit: "%{{vol}}", port: 1, key: ch4, range: [0, 5], every: 1m}}
- id: 410100-bridge-sp-000001
  type: span
  site: 410100-st-000001
  name: Span 1
  at: [113.6, 34.7]
  sensors:
  - id: acc-01
    device: 410100-bridge-gw-000001
    channels:
    - {{id: x, quantity: accel, unit: m/s2, port: 10, key: x, range: [-20, 20], every: 10ms}}
    - {{id: y, quantity: accel, unit: m/s2, port: 11, key: y, range: [-20, 20], every: 10ms}}
"""


def site(*, simulation=False):
    return registry_of({"site.yaml": SITE.format(simulation=str(simulation).lower())})


def compact_payload(*blocks, device=GATEWAY, boot=1, sequence=1, base_ms=NOW_MS, **flags):
    return compact.encode(
        device=device, boot=boot, sequence=sequence, time_base_ms=base_ms, blocks=blocks, **flags
    )


def one_reading(value=1.0, *, port=1, sequence=1, device=GATEWAY, offset_ms=0, **more):
    block = Series(port=port, offsets_ms=[offset_ms], values=[value])
    return compact_payload(block, device=device, sequence=sequence, **more)


def mqtt(payload, *, device=GATEWAY, form="up", receive_ns=NOW_NS):
    return Frame(payload, "mqtt", f"lifeline/v1/{device}/{form}", receive_ns)


def coap(payload, *, device=MODULE, content_format=42, receive_ns=NOW_NS):
    return Frame(payload, "coap", f"up/{device}", receive_ns, content_format=content_format)


def equal_rows(left, right):
    """Assert that two Readings hold the same bytes."""
    for name in left.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
