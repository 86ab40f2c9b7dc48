"""kill -9 of any process at any moment: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from paho.mqtt import publish

from ingest.codecs.compact import encode as encode_frame
from ingest.journal import Cursor, JournalReader, durable_end
from ingest.store.history import History
from ingest.store.tables import MARK
from lifeline.engine_process import SiteTexts, empty_site
from lifeline.ledger import Ledger
from rules.engine import Engine
from rules.events import EventType, decode, encode
from rules.judge import JUDGED, Judge
from rules.readings import Control, Readings, Record, position, texts_named
from tests import servers, store_server
from tests.torture import (
    GATEWAYS,
    MODULES,
    City,
    Gateway,
    Message,
    Module,
    Ports,
    Signal,
    until,
    write_site,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rules.registry import Registry

KILLS = 10
SEED = int(os.environ.get("LIFELINE_KILL_SEED", "20270331"))


def read_journal(data: Path) -> list[Record]:
    folder = data / "journal"
    with JournalReader(folder) as reader:
        records: list[Record] = []
        end = durable_end(folder)
        while some := reader.read(until=end):
            records += some
        assert not reader.damage
    assert [r.offset for r in records] == list(range(end))
    return records


def event_lines(data: Path) -> list[bytes]:
    folder = data / "events"
    with JournalReader(folder) as reader:
        lines: list[bytes] = []
        while some := reader.events(until=durable_end(folder)):
            lines += [line for _, record in some for line in record.lines]
        assert not reader.damage
    return lines


def registry_of(data: Path, records: list[Record]) -> Registry:
    texts = SiteTexts(data)
    for record in records:
        if isinstance(record.body, Control):
            texts.hashes |= texts_named(record.body)
    loaded = texts.load()
    assert loaded is not None
    return loaded[1]


def rows_of(records: list[Record]) -> tuple[Readings, np.ndarray]:
    """Return all rows of the journal and their positions."""
    bodies = [(r.offset, r.body) for r in records if isinstance(r.body, Readings)]
    g = [position(offset) + np.arange(len(body)) for offset, body in bodies]
    return Readings.concatenate([b for _, b in bodies]), np.concatenate(g)


def journaled(data: Path) -> set[tuple[str, int, int, int, float]]:
    """Return (device, sequence, port, event ms, value) of every reading in the journal."""
    records = read_journal(data)
    registry = registry_of(data, records)
    rows, _ = rows_of(records)
    known = rows.channel >= 0
    assert set(rows.boot[known].tolist()) <= {Signal.boot}
    return {
        (registry.devices.id[d], s, int(registry.channels.port[c]), t // 1_000_000, v)
        for d, s, c, t, v in zip(
            rows.device[known].tolist(),
            rows.sequence[known].tolist(),
            rows.channel[known].tolist(),
            rows.event_ns[known].tolist(),
            rows.value[known].tolist(),
            strict=True,
        )
    }


def said(messages: list[Message]) -> set[tuple[str, int, int, int, float]]:
    return {(m.device, m.sequence, port, ms, v) for m in messages for port, ms, v in m.samples}


@pytest.fixture(scope="module")
def tortured(tmp_path_factory: pytest.TempPathFactory):
    """Run the city through its kills to a clean end; what is left of it is looked at below."""
    folder = tmp_path_factory.mktemp("torture")
    data = folder / "data"
    with (
        servers.mosquitto() as broker,
        servers.influxd() as influxd,
        store_server.v2_proxy(influxd) as proxy,
    ):
        store_server.query(influxd, "CREATE DATABASE b")
        coap, page = servers.free_port(socket.SOCK_DGRAM), servers.free_port()
        write_site(folder / "site", Ports(broker.port, coap, page, proxy.url))
        with City(folder / "site", data) as city:
            until(lambda: is_subscribed(data, broker.port), "ingest is subscribed")
            senders: list[Gateway | Module] = [
                Gateway(d, broker.port, seed=SEED, every_s=0.07) for d in GATEWAYS
            ] + [Module(d, coap, seed=SEED, every_s=0.1) for d in MODULES]
            for sender in senders:
                sender.start()
            killed = city.torture(seed=SEED, kills=KILLS)
            for sender in senders:
                sender.finish()
            kept = {s.name: s.kept for s in senders}
            settle(city, data, [m for messages in kept.values() for m in messages])
        points = store_server.query(influxd, 'SELECT value FROM "gas" GROUP BY channel, late')
    return data, kept, killed, points


def is_subscribed(data: Path, port: int) -> bool:
    """Say once that a gateway lives; return whether the journal heard it.

    The broker keeps messages only for a session it knows: what comes before is nobody's.
    """
    alive = encode_frame(device=GATEWAYS[0], boot=1, sequence=0, time_base_ms=0, simulation=True)
    publish.single(f"lifeline/v1/{GATEWAYS[0]}/up", alive, qos=1, hostname="127.0.0.1", port=port)
    with JournalReader(data / "journal") as reader:
        records = reader.read(until=durable_end(data / "journal"))
    return any(isinstance(record.body, Readings) for record in records)


def settle(city: City, data: Path, kept: list[Message]) -> None:
    """Let everything arrive, then end the processes one after another, cleanly."""
    wanted = said(kept)
    until(lambda: wanted <= journaled(data), "every acknowledged reading is in the journal")
    assert city.processes["ingest"].stop() == 0
    end = durable_end(data / "journal")

    def reached(name: str, target: int) -> bool:
        return Cursor.load(data / "cursors" / name).offset >= target

    until(lambda: reached("engine", end), "the engine has folded the journal")
    assert city.processes["engine"].stop() == 0
    told = durable_end(data / "events")
    ledger = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    until(lambda: ledger.cursor("events").position >= told, "the ledger has all events")
    ledger.close()
    until(lambda: reached("store", end), "the store has the journal")
    until(lambda: reached("store-events", told), "the store has the events")
    for name in ("serve", "store", "archive"):
        assert city.processes[name].stop() == 0, city.processes[name].tail()


def test_ten_kills_hit_ingest_engine_and_serve_in_the_middle_of_the_stream(tortured):
    data, kept, killed, _ = tortured
    assert len(killed) == KILLS
    assert min(Counter(killed)[name] for name in ("ingest", "engine", "serve")) >= 1
    assert all(len(messages) > 20 for messages in kept.values()), "everyone was heard"
    ticks = [r for r in read_journal(data) if not isinstance(r.body, (Readings, Control))]
    assert len(ticks) > 5


def test_every_acknowledged_reading_is_in_the_journal(tortured):
    data, kept, _, _ = tortured
    assert said(list(itertools.chain(*kept.values()))) <= journaled(data)


def test_the_event_log_is_a_fresh_fold_of_the_journal(tortured):
    data = tortured[0]
    texts = SiteTexts(data)
    engine = Engine(*empty_site(), resolve=texts.resolve)
    fresh = [encode(event) for event in engine.fold(read_journal(data))]
    logged = event_lines(data)
    kinds = Counter(decode(line).type for line in logged)
    assert kinds[EventType.RERUN_DIFFERS] == 0
    assert kinds[EventType.RAISED] > 10
    assert kinds[EventType.CLEARED] > 5
    keys = [(e.key, e.type) for e in map(decode, logged)]
    assert len(set(keys)) == len(keys), "no event twice"
    assert logged == fresh


def test_the_ledger_is_a_fresh_ledger_of_that_log(tortured, tmp_path: Path):
    data = tortured[0]
    events = [decode(line) for line in event_lines(data)]
    kept = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    fresh = Ledger(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    through = max(e.offset for e in events) + 1
    fresh.apply(events, through, position=1, simulation=True)

    def whole(ledger: Ledger) -> list[tuple[object, bool]]:
        alarms = ledger.list(ended=None, limit=100_000)
        return sorted(alarms, key=lambda pair: str(pair[0]))

    assert kept.counts() == fresh.counts()
    assert whole(kept) == whole(fresh)
    kept.close()
    fresh.close()


def test_the_archive_holds_every_record_once_with_its_verdict(tortured):
    data = tortured[0]
    records = read_journal(data)
    history = History(data / "archive")
    archived = list(history.records())
    tables = [history._table(file) for file in history.manifest().files]
    history.close()
    assert [r.offset for r in archived] == [r.offset for r in records]
    rows, g = rows_of(records)
    verdict = Judge(int(rows.channel.max()) + 1).mark(rows, g).verdict
    held = [
        (int(offset), int(row), int(v))
        for table in tables
        for offset, row, v, channel in zip(
            *(table.column(n).to_pylist() for n in ("offset", "row", "verdict", "channel")),
            strict=True,
        )
        if channel != MARK
    ]
    assert len(set(held)) == len(held)
    assert sorted(held) == [
        (int(p) >> 24, int(p) & 0xFFFFFF, int(v)) for p, v in zip(g, verdict, strict=True)
    ]


def test_the_store_holds_every_judged_row_once(tortured):
    data, _, _, series = tortured
    records = read_journal(data)
    registry = registry_of(data, records)
    rows, g = rows_of(records)
    verdict = Judge(len(registry.channels.id)).mark(rows, g).verdict
    judged = (verdict == JUDGED) & (rows.channel >= 0)
    wanted = Counter(
        (registry.channels.id[c], int(t), float(v))
        for c, t, v in zip(
            rows.channel[judged], rows.event_ns[judged], rows.value[judged], strict=True
        )
    )
    assert set(wanted.values()) == {1}
    found = Counter(
        (s["tags"]["channel"], when, value)
        for s in series
        if not s["tags"]["late"]
        for when, value in s["values"]
    )
    assert found == wanted


def test_nobody_met_an_error_of_ours(tortured):
    data = tortured[0]
    for log in sorted((data / "log").glob("*.log")):
        for line in log.read_text().splitlines():
            assert "Traceback" not in line, f"{log.name}: {line}"
            if line.startswith("{"):
                level = json.loads(line).get("level")
                assert level not in ("error", "critical"), f"{log.name}: {line}"
