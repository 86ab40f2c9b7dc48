"""``lifeline bench latency``: from a sensor's message to its alarm, by transport, at normal load.

A city of its own under ``lifeline run``, as it runs anywhere: all processes, a real mosquitto, a
receiver of webhooks. Each manhole has a device that raises its alarm once, by MQTT at QoS 1 or by
CoAP, confirmable; meanwhile others send quiet readings. Times run from just before the message
is sent: until it is acknowledged (it is on disk then), until its alarm stands in the event log,
and until the webhook has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiocoap
import numpy as np

from ingest.codecs import compact
from ingest.codecs.compact import Series
from ingest.sources import mqtt_wire as wire
from ingest.store.follow import Follower
from lifeline.bench.chain import broker
from lifeline.bench.chain.feed import Publisher
from lifeline.bench.report import machine, table
from lifeline.broker import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRANSPORTS: Final = ("MQTT QoS 1", "CoAP CON")
QUIET, ALARM = 0.1, 2.0  # %vol
STEPS: Final = {
    "acknowledged": "on disk, answered",
    "logged": "in the event log",
    "delivered": "at the webhook",
}
START_S: Final = 60.0
PATIENCE_S: Final = 15.0
RULES: Final = """\
version: 1
defaults: {source: estimate}
rules:
- id: methane
  kind: threshold
  select: {quantity: ch4}
  unit: "%{vol}"
  above: {orange: 1.0}
  hysteresis: 0.1
  for: 0s
  keep_firing_for: 1h
  message: "{{ asset.name }}: methane {{ value }}"
  message_zh: "{{ asset.name_zh }}：甲烷 {{ value }}"
"""


@dataclass
class Seen:
    """When what was seen of each channel, Unix seconds."""

    sent: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    logged: dict[str, float] = field(default_factory=dict)
    delivered: dict[str, float] = field(default_factory=dict)


def device(number: int) -> str:
    """Return a device's id."""
    return f"410100-gas-nb-{number:06d}"


def channel(number: int) -> str:
    """Return a device's channel."""
    return f"410100-gas-mh-{number:06d}/ch4-01/vol"


def write_site(folder: Path, *, alarms: int, mqtt: int, coap: int, page: int, hook: int) -> None:
    """Write the city: ``alarms`` devices a transport, one more for the quiet readings."""
    for name in ("registry", "rules"):
        (folder / name).mkdir(parents=True)
    (folder / "secret").write_text("bench", encoding="utf-8")
    (folder / "city.toml").write_text(
        f'[site]\nname = "Bench"\n[mqtt]\nhost = "{HOST}"\nport = {mqtt}\n'
        f'[coap]\nbind = "{HOST}"\nport = {coap}\n[page]\nport = {page}\n'
        f'[webhook]\nurl = "http://{HOST}:{hook}/"\nsecret_file = "secret"\n',
        encoding="utf-8",
    )
    (folder / "rules" / "methane.yaml").write_text(RULES, encoding="utf-8")
    lines = [
        "version: 1",
        "sites: [{id: 410100-st-000001, name: Bench, name_zh: 测试}]",
        "devices:",
    ]
    numbers = range(1, 2 * alarms + 2)
    lines += [
        f"- {{id: {device(n)}, kind: module, transport: mqtt, codec: compact,"
        f" asset: 410100-gas-mh-{n:06d}, every: 1h}}"
        for n in numbers
    ]
    lines.append("assets:")
    for n in numbers:
        lines += [
            f"- {{id: 410100-gas-mh-{n:06d}, type: manhole, site: 410100-st-000001,",
            f"   name: Manhole {n}, name_zh: {n}号井, at: [113.62, 34.75], sensors: [{{id: ch4-01,",
            f"   device: {device(n)}, channels: [{{id: vol, quantity: ch4, port: 1, range: [0, 5],",
            "   unit: '%{vol}', resolution: 0.01, every: 1h, class: safety}]}]}",
        ]
    (folder / "registry" / "city.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def payload(number: int, value: float, sequence: int) -> bytes:
    """Return a compact frame of one reading, stamped now."""
    now_ms = time.time_ns() // 1_000_000
    series = Series(port=1, offsets_ms=[0], values=[value])
    return compact.encode(
        device=device(number), boot=1, sequence=sequence, time_base_ms=now_ms, blocks=[series]
    )


def run(
    *, alarms: int = 200, quiet_per_s: float = 200.0, tell: Callable[[str], None] = print
) -> list[dict[str, Any]]:
    """Measure; return rows {transport, step, alarms, p50_ms, p99_ms, max_ms}.

    Raises
    ------
    Missing
        mosquitto is not installed.
    """
    seen = Seen()
    with (
        broker.running() as port,
        tempfile.TemporaryDirectory(prefix="lifeline-bench-") as name,
        _receiver(seen) as hook,
    ):
        city, coap = Path(name) / "city", free_port(socket.SOCK_DGRAM)
        write_site(city, alarms=alarms, mqtt=port, coap=coap, page=free_port(), hook=hook)
        with _lifeline(city) as data, _log(data, seen):
            publisher = Publisher(port)
            quiet = _Quiet(publisher, 2 * alarms + 1, quiet_per_s)
            _until_up(publisher, data)
            _by_mqtt(publisher, quiet, seen, range(1, alarms + 1))
            asyncio.run(_by_coap(quiet, seen, coap, range(alarms + 1, 2 * alarms + 1)))
            deadline_s = time.monotonic() + PATIENCE_S
            while len(seen.delivered) < 2 * alarms and time.monotonic() < deadline_s:
                quiet.go_on(0.05)
            publisher.finish()
            publisher.close()
    rows = rows_of(seen, alarms)
    for row in rows:
        tell(
            f"{row['transport']:12} {row['step']:16} {row['alarms']:>5} alarms"
            f" {row['p50_ms']:>8.1f} ms {row['p99_ms']:>8.1f} ms {row['max_ms']:>8.1f} ms"
        )
    return rows


class _Quiet:
    """The other traffic: quiet readings of one device, at a rate."""

    def __init__(self, publisher: Publisher, number: int, per_s: float) -> None:
        self._publisher, self._number, self._per_s = publisher, number, per_s
        self._begun_s, self._made = time.monotonic(), 0

    def go_on(self, seconds: float) -> None:
        """Send what is due during the next seconds, and hear the broker."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            due = int((time.monotonic() - self._begun_s) * self._per_s) - self._made
            for _ in range(min(due, 100)):
                self._made += 1
                frame = payload(self._number, QUIET, self._made)
                self._publisher.offer([_packet(self._number, frame, self._made)])
            self._publisher.pump(min(left_s, 0.005))


def _packet(number: int, frame: bytes, packet_id: int) -> bytes:
    return wire.publish(f"lifeline/v1/{device(number)}/up", frame, packet_id=packet_id % 60_000 + 1)


def _by_mqtt(publisher: Publisher, quiet: _Quiet, seen: Seen, numbers: range) -> None:
    """Raise an alarm each 50 ms; a broker's own acknowledgement says nothing of our disk."""
    for number in numbers:
        seen.sent[channel(number)] = time.time()
        publisher.offer([_packet(number, payload(number, ALARM, 1), 60_000 + number)])
        quiet.go_on(0.05)


async def _by_coap(quiet: _Quiet, seen: Seen, port: int, numbers: range) -> None:
    context = await aiocoap.Context.create_client_context()
    try:
        for number in numbers:
            request = aiocoap.Message(
                code=aiocoap.POST,
                uri=f"coap://{HOST}:{port}/up/{device(number)}",
                payload=payload(number, ALARM, 1),
                content_format=42,
            )
            seen.sent[channel(number)] = time.time()
            answer = await asyncio.wait_for(context.request(request).response, PATIENCE_S)
            if not answer.code.is_successful():
                raise RuntimeError(f"{device(number)} was answered {answer.code}")
            seen.acknowledged[channel(number)] = time.time()
            quiet.go_on(0.05)
    finally:
        await context.shutdown()


# ------------------------------------------------------------------ the city around


@contextlib.contextmanager
def _lifeline(city: Path) -> Iterator[Path]:
    """Run the city; give its data folder."""
    log = city.parent / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "lifeline", "run", str(city)],
            stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        data = city / "data"
        try:
            deadline_s = time.monotonic() + START_S
            while not (data / "run" / "events.sock").exists():
                if process.poll() is not None or time.monotonic() > deadline_s:
                    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                    raise RuntimeError(f"the city does not come up:\n{said}")
                time.sleep(0.1)
            yield data
        finally:
            process.terminate()
            process.wait(30)


@contextlib.contextmanager
def _receiver(seen: Seen) -> Iterator[int]:
    """Take webhooks; give the port."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            now_s = time.time()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.delivered.setdefault(str(body.get("subject", "")), now_s)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextlib.contextmanager
def _log(data: Path, seen: Seen) -> Iterator[None]:
    """Follow the event log meanwhile."""
    stop = threading.Event()

    def follow() -> None:
        with contextlib.closing(
            Follower(data / "events", start=0, wake=data / "run" / "events.sock")
        ) as follower:
            while not stop.is_set():
                follower.wait(0.1)
                now_s = time.time()
                for _, record in follower.events(max_rows=10_000):
                    for line in record.lines:
                        event = json.loads(line)
                        if event["type"] == "RAISED":
                            seen.logged.setdefault(event["subject"], now_s)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def _until_up(publisher: Publisher, data: Path) -> None:
    """Wait until ingest has subscribed: what is published before is nobody's."""
    deadline_s = time.monotonic() + START_S
    path = data / "run" / "metrics" / "ingest.prom"
    while not (path.exists() and "lifeline_mqtt_connected 1.0" in path.read_text("utf-8")):
        publisher.pump(0.1)
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"ingest did not subscribe within {START_S:.0f} s")


def rows_of(seen: Seen, alarms: int) -> list[dict[str, Any]]:
    """Return a row for each transport and step."""
    rows: list[dict[str, Any]] = []
    ranges = (range(1, alarms + 1), range(alarms + 1, 2 * alarms + 1))
    for transport, numbers in zip(TRANSPORTS, ranges, strict=True):
        for step in ("acknowledged", "logged", "delivered"):
            when = getattr(seen, step)
            took = [
                (when[name] - seen.sent[name]) * 1000
                for name in map(channel, numbers)
                if name in when
            ]
            if not took and step == "acknowledged":
                continue  # the broker acknowledges MQTT messages, not we
            p50, p99, most = np.percentile(took, (50, 99, 100)) if took else (np.nan,) * 3
            rows.append(
                {
                    "transport": transport,
                    "step": STEPS[step],
                    "alarms": len(took),
                    "missing": alarms - len(took),
                    "p50_ms": round(float(p50), 1),
                    "p99_ms": round(float(p99), 1),
                    "max_ms": round(float(most), 1),
                }
            )
    return rows


PAGE: Final = """# From sensor to alarm: latency

Measured, not estimated; written by `lifeline bench latency --markdown docs/latency.md`. A city
under `lifeline run`, all its processes, a real mosquitto and a receiver of webhooks, on one
machine. {alarms} manholes a transport raise one alarm each, 50 ms apart, while {quiet:g} other
messages a second come. Times run from just before the message is sent. The rule waits for
nothing (`for: 0s`): what a rule holds back comes on top.

{machine}

{table}

- *On disk, answered*: the 2.04 that follows the journal's sync. A broker acknowledges MQTT
  itself; that says nothing of us, so it stands nowhere here.
- *In the event log*: judged, and the event on disk. Where readings come one by one the engine
  lets them gather for up to 50 ms, since a fold costs a millisecond and more, however little
  there is to fold.
- *At the webhook*: the ledger has it, the outbox has sent it, and the receiver holds the
  request.
- At three times what a core carries: [overload.md](overload.md).
"""


def markdown(rows: list[dict[str, Any]], *, alarms: int, quiet_per_s: float) -> str:
    """Return docs/latency.md."""
    cells = [
        {
            "transport": row["transport"],
            "until": row["step"],
            "p50": f"{row['p50_ms']:,.0f} ms",
            "p99": f"{row['p99_ms']:,.0f} ms",
            "most": f"{row['max_ms']:,.0f} ms",
            "missing": str(row["missing"]),
        }
        for row in rows
    ]
    shown = table(cells).replace("|--:|--:|", "|---|---|", 1)
    return PAGE.format(alarms=alarms, quiet=quiet_per_s, machine=machine(), table=shown)
