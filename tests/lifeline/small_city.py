"""A city of a few assets on disk: real registry, rules, journal, engine and event log."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import numpy as np

from ingest.journal import EventLines, JournalWriter, WakeServer
from ingest.overload import Progress
from lifeline.clock import Clock
from lifeline.series_log import SeriesLog
from lifeline.serve import ServeSettings, run_serve
from lifeline.time_source import Discipline, TimeWatch
from rules.engine import Engine
from rules.events import encode
from rules.language import compile_plan, load_rules, rules_bytes
from rules.readings import Control, Readings, Record, Tick
from rules.registry_codec import content_hash, registry_bytes
from rules.registry_file import load_registry

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 10**9
GAS = "410100-gas-mh-000123/ch4-01/vol"
OTHER_GAS = "410100-gas-mh-000124/ch4-01/vol"
LEVEL = "410100-drain-up-000201/lev-01/lev"
PROBE = "410100-env-wd-000001/hb-01/hb"
PLACES = {
    "410100-gas-mh-000123": ("manhole", "Zhongyuan Rd manhole 123", "中原路123号井", 113.62, 34.75),
    "410100-gas-mh-000124": ("manhole", "Tongbai Rd manhole 124", "桐柏路124号井", 113.63, 34.76),
    "410100-drain-up-000201": ("underpass", "Jingguang underpass", "京广路下穿", 113.65, 34.74),
    "410100-env-wd-000001": ("station", "Watchdog", "看门狗", 113.64, 34.77),
}
SENSORS = {
    "410100-gas-mh-000123": ("ch4-01", "vol", "ch4", '"%{vol}"', "[0, 5]", 0),
    "410100-gas-mh-000124": ("ch4-01", "vol", "ch4", '"%{vol}"', "[0, 5]", 1),
    "410100-drain-up-000201": ("lev-01", "lev", "level", "m", "[0, 4]", 2),
    "410100-env-wd-000001": ("hb-01", "hb", "heartbeat", '"1"', "[0, 1000000]", 3),
}
RULES = """
version: 1
rules:
- id: ch4-space
  kind: threshold
  select: {quantity: ch4}
  unit: "%{vol}"
  fail_loud: true
  over_range: red
  above: {blue: 0.5, yellow: 1.0, orange: 1.25, red: 2.5}
  hysteresis: 0.1
  for: {blue: 0s, yellow: 0s, orange: 0s, red: {samples: 2, or: 30s}}
  keep_firing_for: 10s
  max_gap: 10m
  source: clause
- id: ponding
  kind: threshold
  select: {quantity: level}
  unit: m
  above: {yellow: 0.5, red: 1.0}
  hysteresis: 0.05
  for: 0s
  keep_firing_for: 10s
  max_gap: 10m
  source: vendor
- id: silent
  kind: deadman
  select: {}
  missing: {yellow: 1h}
  source: estimate
"""


def registry_yaml(
    *,
    simulation: bool,
    owners: dict[str, str] | None = None,
    joined: bool = False,
    attributes: dict[str, dict[str, str]] | None = None,
    people: dict[str, int] | None = None,
) -> str:
    """The registry's text; ``joined`` puts the two manholes on one duct; more ``attributes``.

    ``people`` are exposed there.
    """
    said = {asset: dict(more) for asset, more in (attributes or {}).items()}
    for asset, owner in (owners or {}).items():
        said.setdefault(asset, {})["owner"] = owner
    if joined:
        one, other = (channel.split("/")[0] for channel in (GAS, OTHER_GAS))
        said.setdefault(one, {})["neighbours"] = f"[{other}]"
    lines = ["version: 1", f"simulation: {str(simulation).lower()}"]
    lines += ["sites: [{id: 410100-st-000001, name: Zhongyuan, name_zh: 中原区}]", "devices:"]
    lines += [
        f"- {{id: {asset}, kind: module, transport: coap, codec: compact, "
        f"asset: {asset}, every: 60s}}"
        for asset in PLACES
    ]
    lines.append("assets:")
    for asset, (kind, name, name_zh, lon, lat) in PLACES.items():
        sensor, channel, quantity, unit, span, port = SENSORS[asset]
        lines += [
            f"- id: {asset}",
            f"  type: {kind}",
            "  site: 410100-st-000001",
            f"  name: {name}",
            f"  name_zh: {name_zh}",
            "  district: Zhongyuan",
            f"  exposed_people: {(people or {}).get(asset, 0)}",
            *(
                f"  attributes: {{{', '.join(f'{k}: {v}' for k, v in held.items())}}}"
                for held in [said.get(asset, {})]
                if held
            ),
            f"  at: [{lon}, {lat}]",
            "  sensors:",
            f"  - id: {sensor}",
            f"    device: {asset}",
            "    channels:",
            f"    - {{id: {channel}, quantity: {quantity}, unit: {unit}, port: {port},",
            f"       key: {channel}, range: {span}, resolution: 0.01, every: 1m}}",
        ]
    return "\n".join(lines) + "\n"


class SmallCity:
    """Writes what ingest and engine would write, when told to."""

    def __init__(
        self,
        data: Path,
        *,
        simulation: bool = False,
        rules: dict[str, str] | None = None,
        owners: dict[str, str] | None = None,
        joined: bool = False,
        attributes: dict[str, dict[str, str]] | None = None,
        people: dict[str, int] | None = None,
        begun_s: float = 0.0,
    ) -> None:
        """``begun_s``: how long before now its journal begins."""
        self.data = data
        source = data / "source"
        for name in ("source", "registry", "rules", "run", "archive"):
            (data / name).mkdir(parents=True, exist_ok=True)
        text = registry_yaml(
            simulation=simulation,
            owners=owners,
            joined=joined,
            attributes=attributes,
            people=people,
        )
        (source / "city.yaml").write_text(text)
        self.registry = load_registry(source)
        loaded = load_rules(rules or {"rules.yaml": RULES})
        self.plan, _ = compile_plan(loaded, self.registry)
        self.engine = Engine(self.plan, self.registry, reads_out=True)
        self.wake = WakeServer(data / "run" / "events.sock")
        self.journal = JournalWriter(data / "journal")
        self.events = JournalWriter(data / "events", wake=self.wake)
        self.series = SeriesLog(data)
        self.progress = Progress(data / "run")
        self.now_ns = time.time_ns() - int(begun_s * SECOND)
        self.append(Tick(self.now_ns))
        for kind, text in (
            ("registry", registry_bytes(self.registry)),
            ("rules", rules_bytes(loaded)),
        ):
            digest = content_hash(text)
            (data / kind / f"{digest}.json").write_bytes(text)
            self.append(Control(kind, {"hash": digest}))

    def append(self, body) -> None:
        offset = self.journal.append(body)
        self.journal.commit()
        events = self.engine.fold([Record(offset, body)])
        lines = tuple(encode(e) for e in events)
        self.events.append(EventLines(through=offset + 1, lines=lines))
        self.events.commit()
        self.series.append(self.engine.series(), offset + 1)
        self.series.commit()
        self.progress.tell(offset + 1)

    def send(self, channel: str, value: float, *, age_s: float = 0.0, **columns) -> None:
        """A reading measured ``age_s`` before now."""
        self.now_ns = max(self.now_ns + 1, time.time_ns())
        row = self.registry.channel_row[channel]
        self.append(
            Readings.of(
                {
                    "channel": [row],
                    "device": [int(self.registry.channels.device[row])],
                    "judged_ns": [self.now_ns - int(age_s * SECOND)],
                    "receive_ns": [self.now_ns],
                    "value": [value],
                    **columns,
                }
            )
        )

    def history(self, channel: str, values: list[float], *, every_s: float = 60.0) -> None:
        """Readings up to now in one message, one each ``every_s``."""
        n = len(values)
        self.now_ns = max(self.now_ns + 1, time.time_ns())
        row = self.registry.channel_row[channel]
        ages = (np.arange(n)[::-1] + 1) * every_s * SECOND
        self.append(
            Readings.of(
                {
                    "channel": np.full(n, row),
                    "device": np.full(n, int(self.registry.channels.device[row])),
                    "judged_ns": self.now_ns - ages.astype(np.int64),
                    "receive_ns": np.full(n, self.now_ns),
                    "value": values,
                    "index": np.arange(n),
                }
            )
        )

    def close(self) -> None:
        self.journal.close()
        self.events.close()
        self.series.close()
        self.progress.close()
        self.wake.close()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def a_good_clock() -> TimeWatch:
    """Whoever sets this machine's clock, or halts it, is no part of the city a test looks at."""
    return TimeWatch(
        ask=lambda: Discipline(synchronised=True, max_error_s=0.0, offset_s=0.0),
        wall_ns=time.monotonic_ns,
        steady_ns=time.monotonic_ns,
    )


@contextmanager
def serving(data: Path, *, ready: str = "/api/state", port: int = 0, **settings):
    """A running serve that answers at ``ready``; gives an HTTP client with its address as base.

    "" = it is enough that its port is open.
    """
    stop, died = threading.Event(), []
    port = port or free_port()

    def run() -> None:
        try:
            run_serve(
                data=data,
                settings=ServeSettings(port=port, **settings),
                clock=Clock(),
                stop=stop,
                eye=a_good_clock(),
            )
        except Exception as error:  # noqa: BLE001 - told by the caller
            died.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
    try:
        until(lambda: died or _answers(client, ready))
        assert not died, died
        yield client
    finally:
        client.close()
        stop.set()
        thread.join(timeout=10)
    assert not died, died
    assert not thread.is_alive()


def _answers(client: httpx.Client, ready: str) -> bool:
    try:
        if not ready:
            socket.create_connection((client.base_url.host, client.base_url.port or 80), 1).close()
            return True
        return client.get(ready).status_code == 200
    except (httpx.HTTPError, OSError):
        return False


def until(true, *, seconds: float = 30.0):
    """Wait until ``true()`` is; return what it gave."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = true()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not true within {seconds} s")
