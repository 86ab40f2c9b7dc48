"""InfluxDB as the demo's hour leaves it, for the dashboards' queries.

Readings go the whole way: recording, replay, journal, store. What stands beside them (alarm_state,
limits, score, forecast, asset_state, kpi, pipeline) is written here, from docs/influxdb.md.
"""

import contextlib
import re
import shutil
import tempfile
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.journal import Cursor, durable_end
from ingest.store.schema import escape_tag
from ingest.store.service import run_store
from ingest.store.settings import InfluxSettings
from lifeline.grafana.city import City
from lifeline.site import Site
from rules.language import compile_plan
from rules.registry_file import load_registry
from simulators.city import write_registry
from simulators.recording import replay, simulate
from simulators.scenario import load_scenario
from tests import servers, store_data, store_server

HOUR_NS = 3600 * 10**9
MINUTE_NS = 60 * 10**9
BEGIN_NS = 1_773_100_800 * 10**9  # 2026-03-10T08:00:00+08:00
DB = "b"
EXPECTED = {
    "modal": ("expected", "slope"),
    "seasonal": ("median", "sigma"),
    "neighbour": ("median", "members"),
    "trend": ("mann_kendall_z", "points"),
}
FORECAST = ("score", "value", "eta_p10_s", "eta_p50_s", "eta_p90_s")
KPI = (
    "raised", "escalated", "cleared", "acked", "blue", "yellow", "orange", "red", "open",
    "unacked", "standing", "chattering", "flood",
)  # fmt: skip
PIPELINE = (
    "lag_records", "lines", "refused", "dropped", "late", "duplicates", "conflicts", "not_finite",
    "unknown",
)  # fmt: skip


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
    """Simulate the demo's hour, replay it, store it, and serve it by InfluxDB 1.6.7."""
    with tempfile.TemporaryDirectory(prefix="lifeline-test-grafana-") as name:
        folder = Path(name)
        write_registry(folder / "registry")
        registry = load_registry(folder / "registry")
        simulate(
            load_scenario("demo"), out=folder / "recording", registry=registry, begin_ns=BEGIN_NS
        )
        done = replay(folder / "recording", data=folder / "data")
        plan, _ = compile_plan(done.rules, done.registry)
        city = City(done.registry, plan)
        store_data.registry_text(folder / "data", done.registry)
        with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
            store_server.query(influxd, f"CREATE DATABASE {DB}")
            shutil.rmtree(folder / "data" / "events")
            _write_all(folder / "data", done.registry, proxy)
            held = Stored(influxd, city, done.begin_ns - HOUR_NS, done.end_ns + HOUR_NS)
            lines = [*_of_the_rules(held), *_alarms(held, done.events)]
            for k in range(0, len(lines), 5000):
                _post(influxd, lines[k : k + 5000])
            yield held


def _write_all(data, registry, proxy):
    settings = InfluxSettings(
        url=proxy.url,
        org="o",
        bucket=DB,
        token=store_server.TOKEN,
        flush_interval_s=0.05,
        first_retry_s=0.02,
    )
    stop = threading.Event()
    options = {"data": data, "registry": registry, "settings": settings, "stop": stop}
    thread = threading.Thread(target=run_store, kwargs=options)
    thread.start()
    try:
        end = durable_end(data / "journal")
        store_data.until(
            lambda: Cursor.load(data / "cursors" / "store").offset >= end,
            timeout_s=120,
            what="storing the journal",
        )
    finally:
        stop.set()
        thread.join(20)


def _post(influxd, lines):
    body = "\n".join(lines).encode()
    request = urllib.request.Request(f"{influxd.url}/write?db={DB}&precision=n", body)  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def _line(measurement, tags, fields, when):
    held = ",".join(f"{k}={escape_tag(v)}" for k, v in sorted(tags.items()) if v)
    said = ",".join(f"{k}={_field(v)}" for k, v in fields.items())
    return f"{measurement},{held} {said} {when}"


def _field(value):
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value}i" if isinstance(value, int) else repr(float(value))


def _alarms(held, events):
    """Yield a line an event; the log itself is left out, so that each stands once."""
    site = Site(held.city.registry, held.city.plan)
    assets = held.city.registry.assets
    for event in events:
        if event.type == "HEARTBEAT" or not event.rule:
            continue
        tags = {
            "rule": event.rule, "channel": event.subject, "type": event.type.value,
            "side": ("low", "", "high")[event.side + 1], "level": str(event.severity), "sim": "1",
        }  # fmt: skip
        asset = site.asset_of(event.subject)
        if asset >= 0:
            tags |= {
                "asset": assets.id[asset], "district": assets.district[asset],
                "domain": assets.domain[asset],
            }  # fmt: skip
        fields = {
            "severity": event.severity, "previous": event.previous, "alarm": event.alarm_id,
            "onset_ns": event.onset_ns, "receive_ns": event.receive_ns,
        }  # fmt: skip
        if event.type in ("RAISED", "ESCALATED", "LATE_FINDING"):
            fields |= {"text": f"{event.rule} speaks", "text_zh": f"{event.rule} 报警"}
        for name in ("value", "score", "limit"):
            number = getattr(event, name)
            if number is not None and np.isfinite(number):
                fields[name] = float(number)
        yield _line("alarm_state", tags, fields, event.event_ns)


def _of_the_rules(held):
    """Yield lines of what stands beside the readings, as docs/influxdb.md says."""
    city = held.city
    channels, assets = city.registry.channels, city.registry.assets
    hours = range(held.begin_ns, held.end_ns, HOUR_NS // 2)
    minutes = range(held.begin_ns + HOUR_NS, held.end_ns - HOUR_NS, MINUTE_NS)

    def place(asset):
        return {
            "asset": assets.id[asset],
            "district": assets.district[asset],
            "domain": assets.domain[asset],
            "sim": "1",
        }

    for rule in city.plan.channel_rules:
        named = {
            "rule": rule.rule_id,
            "kind": rule.kind,
            "side": ("low", "", "high")[rule.side + 1],
        }
        compared = "value" if rule.kind == "threshold" else "score"
        for k, row in enumerate(rule.channel.tolist()):
            tags = place(int(channels.asset[row]))
            tags |= {"channel": channels.id[row], "quantity": channels.quantity[row]} | named
            limits = {
                level.name: float(limit)
                for level, limit in zip(city.levels, rule.raise_at[k], strict=True)
                if np.isfinite(limit)
            }
            said = limits | {"source": rule.source, "approved_by": rule.approved_by}
            for when in hours:
                yield _line("limits", tags | {"of": compared}, said, when)
            if compared == "value" or rule.kind == "rate":
                continue
            del tags["side"]
            if rule.kind == "forecast":
                fields = dict.fromkeys(FORECAST, 1800.0)
            else:
                more = dict.fromkeys(EXPECTED.get(rule.kind, ()), 1.0)
                fields = {"score": 0.5, "value": 1.0} | more
            for when in minutes:
                yield _line("forecast" if rule.kind == "forecast" else "score", tags, fields, when)
    for asset in sorted(set(channels.asset.tolist())):
        state = {
            "severity": asset % 5, "open": asset % 3, "unacked": asset % 2,
            "lat": float(assets.lat[asset]), "lon": float(assets.lon[asset]),
            "name": assets.name[asset], "name_zh": assets.name_zh[asset],
            "exposed": int(assets.exposed_people[asset]),
        }  # fmt: skip
        for when in hours:
            yield _line("asset_state", place(asset), state, when)
    for domain in (*sorted(set(assets.domain)), "all"):
        for when in range(held.begin_ns, held.end_ns, 10 * MINUTE_NS):
            figures = dict.fromkeys(KPI, 1) | {"ack_s": 42.0}
            yield _line("kpi", {"domain": domain}, figures, when)
    for part in ("readings", "events", "series"):
        for when in range(held.begin_ns, held.end_ns, MINUTE_NS):
            yield _line(
                "pipeline", {"part": part}, dict.fromkeys(PIPELINE, 1) | {"lag_s": 2.0}, when
            )
