"""How fast points reach a server: encoder, gzip and socket together, into a real VictoriaMetrics.

It speaks InfluxDB's write API and is the quickest to take lines, so the figure shows most of what
is ours. It runs for the bench alone, in a folder of its own; without its program these rows are
left out. What a turn sent is compared with what the server counted.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import psutil
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import WriteOptions

from ingest.store.influx import InfluxWriter
from ingest.store.lines import LineEncoder
from ingest.store.settings import InfluxSettings
from lifeline.bench.store import POINT, named_rows
from lifeline.broker import free_port, wait_until_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rules.readings import Readings
    from rules.registry import Registry

PROGRAM: Final = "victoria-metrics"
BATCH: Final = 10_000
FIELDS: Final = 2  # of a line; the server counts each
START_S: Final = 20.0
COUNT_S: Final = 5.0
CLIENT: Any = InfluxDBClient  # the client has no types
OPTIONS: Any = WriteOptions


class Server:
    """The running server: its address, what it has counted, and the CPU it took."""

    def __init__(self, port: int, pid: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = psutil.Process(pid)

    def lines(self) -> int:
        """Return how many lines it has taken."""
        told = httpx.get(f"{self.url}/metrics", timeout=10.0).text
        found = re.search(r'^vm_rows_inserted_total\{type="influx"\} (\d+)$', told, re.MULTILINE)
        return int(found[1]) // FIELDS if found else 0

    def cpu_s(self) -> float:
        """Return its CPU time so far, seconds."""
        spent = self._process.cpu_times()
        return float(spent.user + spent.system)


@contextlib.contextmanager
def running() -> Iterator[Server | None]:
    """Give a server of the bench's own, None where its program is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="lifeline-bench-") as folder:
        command = [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/data"]
        process = subprocess.Popen(
            [*command, "-retentionPeriod=100y", "-loggerLevel=ERROR"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_up(
                port, timeout_s=START_S, alive=lambda: process.poll() is None, what=PROGRAM
            )
            yield Server(port, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def our_writer(
    server: Server, rows: Readings, registry: Registry, *, gzip: bool
) -> Callable[[], None]:
    """Return the store's way: columns encoded and handed to its writer, 10 000 lines a request."""
    encoder, verdict = LineEncoder(registry), np.zeros(len(rows), np.uint8)
    settings = InfluxSettings(url=server.url, bucket="bench", token_env="", gzip=gzip)

    def run() -> None:
        writer = InfluxWriter(settings, stop=threading.Event())
        with contextlib.closing(writer):
            for i in range(0, len(rows), BATCH):
                lines = encoder.encode(rows.take(slice(i, i + BATCH)), verdict[i : i + BATCH])
                writer.write(lines.body, lines.count)

    return run


def their_writer(
    server: Server, rows: Readings, registry: Registry, *, gzip: bool
) -> Callable[[], None]:
    """Return the client's own way: a Point a row, batched by its WriteApi, 10 000 a request."""
    named = named_rows(rows, registry)
    options = OPTIONS(batch_size=BATCH, flush_interval=1_000)

    def run() -> None:
        with (
            CLIENT(url=server.url, token="", org="", enable_gzip=gzip) as client,
            client.write_api(write_options=options) as api,
        ):
            for m, a, c, d, o, k, q, v, t in named:
                point = POINT(m).tag("asset", a).tag("channel", c).tag("district", d)
                point.tag("domain", o).tag("quantity", k).field("quality", q).field("value", v)
                api.write(bucket="bench", record=point.time(t))

    return run


def measure_socket(
    rows: Readings, registry: Registry, *, turns: int, server: Server
) -> list[dict[str, Any]]:
    """Return one row a writer and encoding; the writers take turns, the best of each counts.

    ``lines_per_s`` is by CPU second of this process, as for the encoders; ``wall_lines_per_s``
    by the wall's clock, the server's work and whatever else ran included; ``server_cpu_s`` is
    what a million lines cost the server.

    Raises
    ------
    RuntimeError
        The server did not count what was sent: the figures would mean nothing.
    """
    few = rows.take(slice(0, max(len(rows) // 20, 1)))  # a Point a row is slow
    contestants = {
        "columns, socket": (our_writer(server, rows, registry, gzip=False), len(rows)),
        "columns, gzip, socket": (our_writer(server, rows, registry, gzip=True), len(rows)),
        "WriteApi, socket": (their_writer(server, few, registry, gzip=False), len(few)),
        "WriteApi, gzip, socket": (their_writer(server, few, registry, gzip=True), len(few)),
    }
    best: dict[str, dict[str, Any]] = {}
    for _ in range(turns):
        for name, (run, n) in contestants.items():
            row = {"encoder": name, **_turn(server, run, n)}
            if name not in best or row["lines_per_s"] > best[name]["lines_per_s"]:
                best[name] = row
    slowest = best["WriteApi, socket"]["lines_per_s"]
    return [
        row | {"times_write_api": round(row["lines_per_s"] / slowest, 1)} for row in best.values()
    ]


def _turn(server: Server, run: Callable[[], None], n: int) -> dict[str, int | float]:
    before, server_s = server.lines(), server.cpu_s()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    run()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    server_s = server.cpu_s() - server_s
    counted = _counted(server, before, n)
    if counted != n:
        raise RuntimeError(f"{PROGRAM} counted {counted} of {n} lines")
    return {
        "lines_per_s": round(n / cpu_s),
        "wall_lines_per_s": round(n / wall_s),
        "server_cpu_s": round(server_s / n * 1e6, 2),
    }


def _counted(server: Server, before: int, wanted: int) -> int:
    """Return what the server counted since; it renews its counters a little later."""
    until = time.monotonic() + COUNT_S
    while (counted := server.lines() - before) < wanted and time.monotonic() < until:
        time.sleep(0.1)
    return counted
