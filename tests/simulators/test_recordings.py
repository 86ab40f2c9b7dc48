from __future__ import annotations

import json
import threading
import time
import zipfile
from datetime import UTC, datetime

import pytest
from city_fixture import BEGIN_NS, MINUTE_NS, demo_recording, demo_registry, demo_replayed

from ingest.journal import JournalReader, durable_end
from rules.events import encode
from rules.problems import Invalid
from rules.readings import READINGS_DTYPES, Readings
from simulators.recording import (
    event_log,
    export,
    import_,
    open_mapping,
    open_recording,
    replay,
    simulate,
    steps,
)
from simulators.recording.steps import step_time_ns
from simulators.scenario import load_scenario

MAPPING = """
version: 1
name: river
file: river.csv
time: {column: when, format: "%d.%m.%Y %H:%M", zone: Asia/Shanghai}
every: 1h
domain: drain
missing: ["", "-9999"]
columns:
  level: {quantity: level, unit: cm, range: [0, 900]}
  gas: {quantity: ch4, unit: "%{LEL}", lel_basis: 4.4}
"""
RULES = """
version: 1
rules:
- id: high
  kind: threshold
  source: estimate
  select: {quantity: level}
  unit: m
  above: {orange: 3}
  for: 0s
"""


def ten_minutes(tmp_path, name="short"):
    out = tmp_path / name
    scenario = load_scenario("gas-leak")
    simulate(
        scenario,
        out=out,
        registry=demo_registry(),
        begin_ns=BEGIN_NS,
        lasts_ns=10 * MINUTE_NS,
    )
    return out


def lines(folder):
    return [encode(event) for event in replay(folder).events]


def test_one_scenario_gives_the_same_frames_every_time(tmp_path):
    for name in ("a", "b"):
        export(ten_minutes(tmp_path, name), tmp_path / f"{name}.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_what_is_exported_and_imported_again_gives_the_same_events(tmp_path, suffix):
    folder, _ = demo_recording()
    export(folder, tmp_path / f"out.{suffix}")
    meta = import_(tmp_path / f"out.{suffix}", tmp_path / "again")
    replayed = demo_replayed()
    assert meta["readings"] == replayed.readings
    assert meta["mark"] == "simulation"
    again = lines(tmp_path / "again")
    assert again == [encode(event) for event in replayed.events]
    assert len(again) > 150


def test_a_zipped_recording_is_the_recording(tmp_path):
    folder = ten_minutes(tmp_path)
    packed = tmp_path / "short.zip"
    simulate(
        load_scenario("gas-leak"),
        out=packed,
        registry=demo_registry(),
        begin_ns=BEGIN_NS,
        lasts_ns=10 * MINUTE_NS,
    )
    assert zipfile.is_zipfile(packed)
    with open_recording(packed) as recording:
        assert recording.meta["scenario"] == "gas-leak"
    assert lines(packed) == lines(folder)


def test_a_replay_into_a_data_folder_is_a_recording_with_an_event_log(tmp_path):
    folder = ten_minutes(tmp_path)
    first = replay(folder, data=tmp_path / "data")
    assert first.registry.simulation
    assert event_log(tmp_path / "data") == [encode(event) for event in first.events]
    end = durable_end(tmp_path / "data" / "journal")
    with JournalReader(tmp_path / "data" / "journal") as reader:
        kinds = [type(r.body).__name__ for r in reader.read(until=end)]
    assert kinds[:3] == ["Tick", "Control", "Control"]
    # the data folder, which has no meta.json, is a recording itself and gives the same events
    assert lines(tmp_path / "data") == [encode(event) for event in first.events]
    with pytest.raises(Invalid, match="is not empty"):
        replay(folder, data=tmp_path / "data")


def test_steps_never_go_back_in_time(tmp_path):
    with open_recording(ten_minutes(tmp_path)) as recording:
        times = [step_time_ns(step) for step in recording.steps()]
    assert times == sorted(times)


def test_a_replay_keeps_its_pace_and_gives_the_same_events_and_can_be_stopped(tmp_path):
    folder = ten_minutes(tmp_path)
    at_once = lines(folder)
    began_s = time.monotonic()
    paced = replay(folder, speed=300.0)
    assert 1.8 < time.monotonic() - began_s < 6
    assert [encode(event) for event in paced.events] == at_once
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began_s = time.monotonic()
    cut = replay(folder, speed=10.0, stop=stop)
    assert time.monotonic() - began_s < 4
    assert cut.readings < paced.readings


def test_jsonl_has_topics_and_payloads_text_where_it_is_text(tmp_path):
    export(ten_minutes(tmp_path), tmp_path / "out.jsonl")
    frames = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    topics = {f["topic"] for f in frames if "topic" in f}
    assert "lifeline/v1/410100-water-gw-000001/json" in topics
    assert any(topic.startswith("up/410100-gas-nb-") for topic in topics)
    said = next(f for f in frames if f.get("topic", "").endswith("/json"))
    assert json.loads(said["payload"])["device"] == "410100-water-gw-000001"
    assert any("payload_base64" in f for f in frames)


def test_files_that_are_no_recordings_are_refused_with_the_place(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"tick_ns": 1}\n{"topic": "a"}\n')
    with pytest.raises(Invalid, match="names no registry"):
        import_(tmp_path / "x.jsonl", tmp_path / "out")
    with pytest.raises(Invalid, match=r"x\.jsonl:2:1: not a frame or a tick"):
        import_(tmp_path / "x.jsonl", tmp_path / "out", registry=demo_registry())
    (tmp_path / "y.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Invalid, match="is no exported recording"):
        import_(tmp_path / "y.csv", tmp_path / "out2", registry=demo_registry())
    (tmp_path / "z.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(Invalid, match="cannot be read"):
        import_(tmp_path / "z.parquet", tmp_path / "out3")
    with pytest.raises(Invalid, match=r"choose \.csv, \.parquet, \.jsonl"):
        export(tmp_path, tmp_path / "a.xlsx")
    with pytest.raises(Invalid, match="no such file or folder"):
        replay(tmp_path / "nothing")
    with pytest.raises(Invalid, match="holds no journal"):
        replay(tmp_path)
    with pytest.raises(Invalid, match="exists already"):
        simulate(load_scenario("quiet"), out=tmp_path, registry=demo_registry())


def test_a_csv_of_any_order_units_and_zone_takes_the_real_way(tmp_path):
    (tmp_path / "river.yaml").write_text(MAPPING)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.yaml").write_text(RULES)
    (tmp_path / "river.csv").write_text(
        " when , level,gas\n01.02.2026 02:00,350,10\n01.02.2026 01:00,-9999,5\n"
        "01.02.2026 00:00,120,\n\n01.02.2026 03:00,200,20\n"
    )
    got = replay(tmp_path / "river.yaml", rules=tmp_path / "rules")
    assert got.readings == 6  # eight places less two missing
    assert got.quarantined == 0
    assert [(e.type, e.value) for e in got.events] == [("RAISED", 3.5), ("CLEARED", 2.0)]
    at = datetime.fromtimestamp(got.events[0].event_ns / 1e9, UTC)
    assert at == datetime(2026, 1, 31, 18, tzinfo=UTC)  # two o'clock in Shanghai
    channels = open_mapping(tmp_path / "river.yaml").registry.channels
    assert channels.id == ("000000-drain-rec-000001/level/value",
                           "000000-drain-rec-000001/gas/value")  # fmt: skip


def test_a_wrong_mapping_or_csv_shows_every_mistake_with_its_place(tmp_path):
    (tmp_path / "river.yaml").write_text(MAPPING.replace("quantity: ch4", "quantity: ch5"))
    with pytest.raises(Invalid, match=r"river\.yaml:11:.*ch5"):
        replay(tmp_path / "river.yaml")
    (tmp_path / "river.yaml").write_text(MAPPING)
    with pytest.raises(Invalid, match="LIFELINE_DATASETS"):
        replay(tmp_path / "river.yaml")
    (tmp_path / "river.csv").write_text("when,levle,gas\n")
    with pytest.raises(Invalid, match=r"river\.csv:1:1: no column 'level' \(did you mean"):
        replay(tmp_path / "river.yaml")
    (tmp_path / "river.csv").write_text(
        "when,level,gas\n01.02.2026 00:00,x,1\nyesterday,1,1\n01.02.2026 01:00,1\n"
    )
    with pytest.raises(Invalid) as caught:
        replay(tmp_path / "river.yaml")
    assert [p.line for p in caught.value.problems] == [2, 3, 4]


def test_a_flipped_byte_costs_its_record_and_is_told(tmp_path):
    folder = ten_minutes(tmp_path)
    segment = next((folder / "raw").glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    got = replay(folder)
    with open_recording(folder) as recording:
        assert 0 < got.readings < recording.meta["readings"]
    assert [w for w in got.warnings if "damaged" in w.message]


def test_frames_admitted_many_or_few_at_a_time_give_the_same_records(tmp_path, monkeypatch):
    folder, meta = demo_recording()
    assert meta["quarantined"] > 0  # a refused frame among others must not shift their rows
    replay(folder, data=tmp_path / "together")
    monkeypatch.setattr(steps, "MAX_GROUP", 40)
    replay(folder, data=tmp_path / "few")
    assert records(tmp_path / "together") == records(tmp_path / "few")
    assert event_log(tmp_path / "together") == event_log(tmp_path / "few")


def records(folder):
    """Return every record of a journal as (offset, text of its body)."""
    with JournalReader(folder / "journal") as reader:
        held = reader.read(until=durable_end(folder / "journal"), max_rows=1_000_000)
    return [(r.offset, columns(r.body)) for r in held]


def columns(body):
    if not isinstance(body, Readings):
        return repr(body)
    return [getattr(body, name).tobytes() for name in READINGS_DTYPES]
