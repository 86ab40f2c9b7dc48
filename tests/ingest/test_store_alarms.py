"""Events, acknowledgements and rules as points: who reads them sees what operators see."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from ingest.journal import Cursor, EventLines, JournalWriter
from rules.bulletins import Bulletin
from rules.events import Event, EventType, encode
from rules.language import load_rules, rules_bytes
from rules.readings import Control, Tick
from tests import servers, store_data, store_server
from tests.store_data import SECOND, T0
from tests.store_run import cursor_of, registry_of, running, settings_of

ASSET = "410100-gas-mh-000001"
CH4 = f"{ASSET}/s00/ch4"
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
RULES = """
version: 1
schedules: {night: {times: [["22:30", "06:00"]], timezone: Asia/Shanghai}}
rules:
- {id: by-hours, kind: threshold, source: estimate, select: {quantity: ch4}, unit: "%{vol}",
   above: {yellow: 3}, when: {night: {above.yellow: 2}}}
- {id: gas-high, kind: threshold, source: clause, select: {quantity: ch4}, unit: "%{vol}",
   above: {blue: 0.5, red: 2.5}, hysteresis: 0.1, approved_by: Li Wei, approved_on: "2026-03-31"}
- {id: odd, kind: ewma, source: estimate, select: {quantity: pressure}, lambda: 0.05,
   warmup: 1h, floor: 1 kPa, sigma: {yellow: 6}}
"""


def event(kind, offset, at_ns, *, severity=3, raised=None, **more):
    raised = offset if raised is None else raised
    given = {
        "rule": "gas-high", "subject": CH4, "severity": severity, "max_severity": 3,
        "episode": f"{raised}.0", "event_ns": at_ns, "receive_ns": at_ns + 1, "onset_ns": at_ns,
        "value": 1.5, "limit": 1.0,
    } | more  # fmt: skip
    return Event(type=EventType(kind), offset=offset, row=0, **given)


def write_events(data, *told, through):
    with JournalWriter(data / "events") as log:
        for each in told:
            log.append(EventLines(through=each.offset + 1, lines=(encode(each),)))
        log.commit()
    Cursor(through).save(data / "cursors" / "engine")


def site(data, *, said=RULES, **options):
    registry = registry_of(**options)
    store_data.registry_text(data, registry)
    text = rules_bytes(rules := load_rules({"a.yaml": said}))
    (data / "rules").mkdir()
    (data / "rules" / f"{rules.content_hash}.json").write_bytes(text)
    return registry, [store_data.change(registry), Control("rules", {"hash": rules.content_hash})]


def stored(data, registry, server, *, end, **options):
    """The lines by measurement, once the store has passed the events."""
    with running(data, registry, settings_of(server), **options):
        store_data.until(
            lambda: (
                (data / "cursors" / "store-events").exists()
                and Cursor.load(data / "cursors" / "store-events").extra["journal"] >= end
            )
        )
    found: dict[str, list] = {}
    for (series, when), fields in sorted(server.points.items(), key=lambda item: item[0][1]):
        name, _, tags = series.decode().partition(",")
        tagged = dict(tag.split("=", 1) for tag in tags.split(","))
        numbers = dict(re.findall(r'(\w+)=("(?:\\.|[^"])*"|[^,]*)', fields.decode()))
        found.setdefault(name, []).append((when, tagged, numbers))
    return found


def test_an_event_is_one_point_with_its_place_level_and_type_as_tags(tmp_path):
    registry, controls = site(tmp_path, simulation=True)
    end = store_data.write_journal(tmp_path, [*controls, Tick(T0)])
    told = event("RAISED", 2, T0, score=math.inf)
    write_events(tmp_path, told, through=end)
    with store_server.answering() as server:
        points = stored(
            tmp_path, registry, server, end=end,
            say=lambda alarm, _, __: (f'gas, "{alarm.severity}" high', "燃气 高"),
        )  # fmt: skip
    ((when, tags, fields),) = points["alarm_state"]
    assert when == T0
    assert tags == {
        "asset": ASSET, "channel": CH4, "district": "Zhongyuan", "domain": "gas", "level": "3",
        "rule": "gas-high", "side": "high", "sim": "1", "type": "RAISED",
    }  # fmt: skip
    assert fields["alarm"] == f'"{told.alarm_id}"'
    assert (fields["severity"], fields["value"], fields["limit"]) == ("3i", "1.5", "1.0")
    assert "score" not in fields  # infinite: InfluxDB has no such number
    assert fields["text_zh"] == '"燃气 高"'


def test_two_steps_of_one_alarm_at_one_time_are_two_points(tmp_path):
    registry, controls = site(tmp_path)
    end = store_data.write_journal(tmp_path, [*controls, Tick(T0)])
    steps = (event("RAISED", 2, T0, severity=2), event("ESCALATED", 3, T0, raised=2))
    write_events(tmp_path, *steps, through=end)
    with store_server.answering() as server:
        points = stored(tmp_path, registry, server, end=end)
    assert {tags["type"] for _, tags, _ in points["alarm_state"]} == {"ESCALATED", "RAISED"}


def test_limits_stand_when_rules_take_effect_and_at_each_whole_hour(tmp_path):
    registry, controls = site(tmp_path)
    hour = T0 // HOUR * HOUR
    ticks = [Tick(hour + 50 * MINUTE), Tick(hour + 3 * HOUR + MINUTE)]
    end = store_data.write_journal(tmp_path, [*controls, ticks[0]])
    Cursor(end).save(tmp_path / "cursors" / "engine")
    with store_server.answering() as server:
        first = stored(tmp_path, registry, server, end=end)["limits"]
        end = store_data.write_journal(tmp_path, [ticks[1]])
        Cursor(end).save(tmp_path / "cursors" / "engine")
        both = stored(tmp_path, registry, server, end=end)["limits"]
    assert {when for when, _, _ in first} == {hour + 50 * MINUTE}
    assert [when for when, _, _ in both[len(first) :]] == [hour + 3 * HOUR] * len(first)
    (gas,) = [(tags, fields) for _, tags, fields in first if tags["rule"] == "gas-high"]
    assert gas[0] == {
        "asset": ASSET, "channel": CH4, "district": "Zhongyuan", "domain": "gas",
        "kind": "threshold", "of": "value", "quantity": "ch4", "rule": "gas-high", "side": "high",
    }  # fmt: skip
    assert gas[1] == {
        "blue": "0.5", "red": "2.5", "source": '"clause"', "approved_by": '"Li Wei"',
    }  # fmt: skip
    odd = {tags["side"]: (tags["of"], f["yellow"]) for _, tags, f in first if tags["rule"] == "odd"}
    assert odd["high"] == ("score", "6.0")


def test_a_limit_that_changes_by_the_hour_is_a_point_when_it_does(tmp_path):
    """Blue is lower from 22:00 to 06:00 in Shanghai: 14:00 to 22:00 UTC."""
    registry, controls = site(tmp_path)
    ten = T0 // (24 * HOUR) * 24 * HOUR + 14 * HOUR + 30 * MINUTE
    end = store_data.write_journal(tmp_path, [*controls, Tick(ten - MINUTE)])
    Cursor(end).save(tmp_path / "cursors" / "engine")
    with store_server.answering() as server:
        stored(tmp_path, registry, server, end=end)
        end = store_data.write_journal(tmp_path, [Tick(ten + 5 * MINUTE), Tick(ten + HOUR)])
        Cursor(end).save(tmp_path / "cursors" / "engine")
        points = stored(tmp_path, registry, server, end=end)["limits"]
    late = [(when, f["yellow"]) for when, tags, f in points if tags["rule"] == "by-hours"]
    assert late == [(ten - MINUTE, "3.0"), (ten, "2.0"), (ten + 30 * MINUTE, "2.0")]
    assert [when for when, tags, _ in points if tags["rule"] == "gas-high" and when == ten] == []


STORM = """
version: 1
schedules: {storm: {warning: {hazard: rainstorm, at_least: orange}}}
rules:
- {id: storm, kind: threshold, source: estimate, select: {quantity: ch4}, unit: "%{vol}",
   above: {yellow: 3}, when: {storm: {above.yellow: 2}}}
"""


def test_a_limit_under_an_official_warning_is_a_point_when_it_comes_and_when_it_ends(tmp_path):
    registry, controls = site(tmp_path, said=STORM)
    begin = T0 // HOUR * HOUR + 10 * MINUTE
    said = Bulletin(
        identifier="w1", sender="met", sent_ns=begin, kind="alert", hazard="rainstorm", severity=3,
        onset_ns=begin, expires_ns=begin + 20 * MINUTE,
    )  # fmt: skip
    end = store_data.write_journal(tmp_path, [*controls, Tick(begin - MINUTE)])
    Cursor(end).save(tmp_path / "cursors" / "engine")
    steps = [
        [Control("warning", said.data()), Tick(begin + 2 * MINUTE)],
        [Tick(begin + 10 * MINUTE)],  # another start of the store: it knows the warning still
        [Tick(begin + 25 * MINUTE)],
    ]
    with store_server.answering() as server:
        stored(tmp_path, registry, server, end=end)
        for step in steps:
            end = store_data.write_journal(tmp_path, step)
            Cursor(end).save(tmp_path / "cursors" / "engine")
            points = stored(tmp_path, registry, server, end=end)["limits"]
    told = [(when - begin, f["yellow"]) for when, _, f in points]
    # from its onset, again as the warning came, and when it expires
    assert told == [(-MINUTE, "3.0"), (0, "2.0"), (2 * MINUTE, "2.0"), (20 * MINUTE, "3.0")]


def test_an_acknowledgement_meets_its_alarm_in_the_journal_s_order(tmp_path):
    registry, controls = site(tmp_path)
    raised = event("RAISED", 2, T0)
    ack = Control("ack", {"alarm": raised.alarm_id, "by": "zhang", "command": "1"})
    bodies = [*controls, Tick(T0), Tick(T0 + 90 * SECOND), ack, Tick(T0 + 100 * SECOND)]
    end = store_data.write_journal(tmp_path, [*bodies, Tick(T0 + 20 * MINUTE)])
    cleared = event("CLEARED", 5, T0 + 100 * SECOND, severity=0, raised=2)
    write_events(tmp_path, raised, cleared, through=end)
    with store_server.answering() as server:
        points = stored(tmp_path, registry, server, end=end)
    types = [tags["type"] for _, tags, _ in points["alarm_state"]]
    assert types == ["RAISED", "ACKED", "CLEARED"]
    states = [f for _, tags, f in points["asset_state"] if tags["asset"] == ASSET]
    seen = [(f["severity"], f["open"], f["unacked"]) for f in states[:3]]
    assert seen == [("3i", "1i", "1i"), ("3i", "1i", "0i"), ("0i", "0i", "0i")]
    assert (states[0]["lat"], states[0]["name_zh"]) == ("34.7", '"一号井"')
    figures = {tags["domain"]: fields for _, tags, fields in points["kpi"]}
    assert set(figures) == {"all", "gas"}
    assert figures["all"] == figures["gas"]
    told = {name: figures["gas"][name] for name in ("raised", "orange", "acked", "cleared", "open")}
    assert told == {"raised": "1i", "orange": "1i", "acked": "1i", "cleared": "1i", "open": "0i"}
    assert float(figures["gas"]["ack_s"]) == pytest.approx(90, abs=1)


def test_a_flood_and_a_chattering_alarm_are_told_apart_from_standing_ones(tmp_path):
    registry, controls = site(tmp_path)
    begin = (T0 // (10 * MINUTE) + 1) * 10 * MINUTE
    told = [event("RAISED", 2, begin - 25 * HOUR, subject=f"{ASSET}/s01/pressure")]
    for k in range(11):
        at = begin + k * 20 * SECOND
        told.append(event("RAISED", 3 + 2 * k, at))
        told.append(event("CLEARED", 4 + 2 * k, at + 10 * SECOND, severity=0, raised=3 + 2 * k))
    end = store_data.write_journal(tmp_path, [*controls, Tick(begin + 12 * MINUTE)])
    write_events(tmp_path, *told, through=end)
    with store_server.answering() as server:
        points = stored(tmp_path, registry, server, end=end)
    (figures,) = [f for at, tags, f in points["kpi"] if at == begin and tags["domain"] == "gas"]
    told = {n: figures[n] for n in ("raised", "flood", "chattering", "standing", "unacked")}
    assert told == {
        "raised": "11i", "flood": "1i", "chattering": "1i", "standing": "1i", "unacked": "2i",
    }  # fmt: skip


@pytest.mark.parametrize("stops", [(), (1, 2, 3), (4,), (2, 5)])
def test_stopped_anywhere_it_goes_on_to_the_same_points(tmp_path, stops):
    registry, controls = site(tmp_path)
    raised = event("RAISED", 2, T0)
    ack = Control("ack", {"alarm": raised.alarm_id, "by": "zhang", "command": "1"})
    bodies = [
        *controls, Tick(T0), ack, Tick(T0 + 5 * MINUTE), Tick(T0 + 11 * MINUTE),
        Tick(T0 + 61 * MINUTE),
    ]  # fmt: skip
    told = [
        raised, event("LOWERED", 4, T0 + 5 * MINUTE, severity=1, raised=2),
        event("CLEARED", 5, T0 + 11 * MINUTE, severity=0, raised=2),
    ]  # fmt: skip
    with store_server.answering() as server:
        for begin, end in zip((0, *stops), (*stops, len(bodies)), strict=True):
            store_data.write_journal(tmp_path, bodies[begin:end])
            now = [each for each in told if begin <= each.offset < end]
            write_events(tmp_path, *now, through=end)
            stored(tmp_path, registry, server, end=end)
        found = {
            (series, when): fields
            for (series, when), fields in server.points.items()
            if not series.startswith((b"limits", b"asset_state"))
        }
        in_time = sorted(server.points.items(), key=lambda item: item[0][1])
        states = [fields for (series, _), fields in in_time if series.startswith(b"asset_state")]
    kpis = sorted(when for series, when in found if series.startswith(b"kpi,domain=gas"))
    types = [s.split(b"type=")[1] for s, _ in sorted(found, key=lambda p: p[1]) if b"type=" in s]
    assert types == [b"RAISED", b"ACKED", b"LOWERED", b"CLEARED"]
    assert len(kpis) == 2
    assert b"open=0i" in states[-1]


def test_rules_that_cannot_be_read_cost_limits_and_nothing_else(tmp_path):
    registry, controls = site(tmp_path)
    end = store_data.write_journal(tmp_path, [*controls, Tick(T0)])
    for path in (tmp_path / "rules").iterdir():
        path.write_text("{")
    write_events(tmp_path, event("RAISED", 2, T0), through=end)
    with store_server.answering() as server:
        points = stored(tmp_path, registry, server, end=end)
    assert "limits" not in points
    assert len(points["alarm_state"]) == 1


def test_what_it_writes_is_read_back_from_a_real_influxdb(tmp_path):
    registry, controls = site(tmp_path)
    end = store_data.write_journal(tmp_path, [*controls, Tick(T0), Tick(T0 + 11 * MINUTE)])
    write_events(tmp_path, event("RAISED", 2, T0), through=end)
    with servers.influxd() as influxd, store_server.v2_proxy(influxd) as proxy:
        for name in ("b", "b_features"):
            store_server.query(influxd, f"CREATE DATABASE {name}")
        with running(tmp_path, registry, settings_of(proxy)):
            store_data.until(
                lambda: (
                    (tmp_path / "cursors" / "store-events").exists()
                    and Cursor.load(tmp_path / "cursors" / "store-events").extra["journal"] >= end
                )
            )
        for text, wanted in (
            ('SELECT last("severity") FROM alarm_state WHERE "domain" = \'gas\'', 3),
            ('SELECT last("red") FROM limits WHERE "of" = \'value\'', 2.5),
            ('SELECT last("severity") FROM asset_state GROUP BY "asset"', 3),
            ('SELECT last("raised") FROM kpi WHERE "domain" = \'all\'', 1),
        ):
            (series,) = store_server.query(influxd, text)
            assert series["values"][0][1] == wanted, text
    assert np.isfinite(cursor_of(tmp_path, "store-events"))
