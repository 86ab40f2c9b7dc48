"""InfluxDB as the demo's hour leaves it, for the dashboards' queries.

All of it goes the whole way: recording, journal, the engine's process with its two logs, store.
"""

import contextlib
import re
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from ingest.journal import Cursor, JournalWriter, durable_end
from ingest.store import service
from ingest.store.settings import InfluxSettings
from lifeline.demo.folder import write_rules
from lifeline.engine_process import run_engine
from lifeline.grafana.city import City
from lifeline.processes.store import Sentences
from rules.language import compile_plan, load_rules
from rules.readings import Control, Tick
from rules.registry_file import load_registry
from simulators.city import write_registry
from simulators.recording import replay, simulate
from simulators.scenario import load_scenario
from tests import servers, store_data, store_server

HOUR_NS = 3600 * 10**9
MINUTE_NS = 60 * 10**9
BEGIN_NS = 1_773_100_800 * 10**9  # 2026-03-10T08:00:00+08:00
DB = "b"
FEATURES = f"{DB}_features"
SERIES_CURSORS = ("store-series", "store-features")


@dataclass
class Stored:
    """A running InfluxDB with the demo's hour in it; times in ns."""

    influxd: servers.Server
    city: City
    begin_ns: int
    end_ns: int

    def ask(self, text, *, interval="60s"):
        """Return the series of a dashboard's query, filled in as Grafana does for All."""
        return store_server.query(self.influxd, filled_in(text, self, interval=interval), DB)


def filled_in(text, stored, *, interval="60s"):
    """Return an InfluxQL text with Grafana's macros and variables put in."""
    span = f"time >= {stored.begin_ns // 10**6}ms and time <= {stored.end_ns // 10**6}ms"
    text = text.replace("$timeFilter", span).replace("$__interval", interval)
    return re.sub(r"\$\{?(\w+)\}?", ".*", text)


@contextlib.contextmanager
def stored():
    """Simulate the demo's hour, judge it, store it, and serve it by InfluxDB 1.6.7."""
    with tempfile.TemporaryDirectory(prefix="lifeline-test-grafana-") as name:
        folder = Path(name)
        data = folder / "data"
        write_registry(folder / "registry")
        registry = load_registry(folder / "registry")
        simulate(
            load_scenario("demo"), out=folder / "recording", registry=registry, begin_ns=BEGIN_NS
        )
        write_rules(folder / "rules")
        done = replay(folder / "recording", data=data, rules=load_rules(folder / "rules"))
        plan, _ = compile_plan(done.rules, done.registry)
        shutil.rmtree(data / "events")  # the engine's process makes it again, and its scores
        end = _acknowledged(data, done)
        _until(data, "engine", end, lambda stop: run_engine(data=data, stop=stop))
        with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
            for database in (DB, FEATURES):
                store_server.query(influxd, f"CREATE DATABASE {database}")
            _store(data, done, (influxd, proxy.url), end)
            city = City(done.registry, plan)
            yield Stored(influxd, city, done.begin_ns - HOUR_NS, done.end_ns + HOUR_NS)


def _acknowledged(data, done):
    """Let an operator acknowledge the first orange alarm, and time go on for a while."""
    first = next(e for e in done.events if e.type == "RAISED" and e.severity >= 3)
    with JournalWriter(data / "journal") as journal:
        journal.append(Control("ack", {"alarm": first.alarm_id, "by": "op", "command": "1"}))
        journal.append(Tick(done.end_ns + 15 * MINUTE_NS))
        return journal.commit()


def _store(data, done, servers_of, end):
    influxd, url = servers_of
    settings = InfluxSettings(
        url=url, org="o", bucket=DB, token=store_server.TOKEN, flush_interval_s=0.05,
        first_retry_s=0.02,
    )  # fmt: skip

    def run(stop):
        service.run_store(
            data=data, registry=done.registry, settings=settings, stop=stop,
            now_ns=lambda: done.end_ns, say=Sentences("Asia/Shanghai"),
        )  # fmt: skip

    def all_stored():
        alarms = Cursor.load(data / "cursors" / "store-events")
        return (
            Cursor.load(data / "cursors" / "store").offset >= end
            and alarms.extra.get("journal", 0) >= end
            and min(Cursor.load(data / "cursors" / name).offset for name in SERIES_CURSORS)
            >= durable_end(data / "series")
            and store_server.query(influxd, "SELECT last(lag_s) FROM pipeline")
        )

    before, service.PIPELINE_S = service.PIPELINE_S, 1.0
    try:
        _until(data, "store", end, run, also=all_stored)
    finally:
        service.PIPELINE_S = before


def _until(data, cursor, end, run, *, also=lambda: True):
    """Run a process' work in a thread until its cursor has reached the journal's end."""
    stop, failed = threading.Event(), []

    def work():
        try:
            run(stop)
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def there():
        if failed:
            raise failed[0]
        return Cursor.load(data / "cursors" / cursor).offset >= end and also()

    try:
        store_data.until(there, timeout_s=180, what=f"the end of the journal for {cursor}")
    finally:
        stop.set()
        thread.join(20)
