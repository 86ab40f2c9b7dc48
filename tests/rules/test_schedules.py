"""Schedules: what the wall clock says decides, also at midnight and when the clocks change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from rules.engine import Engine
from rules.events import encode
from rules.language import check, compile_plan, load_rules
from rules.language.explain import explain
from rules.readings import Record, Tick
from rules.registry_file import registry_of
from rules.schedule import Schedule, week_edges
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.run import run
from tests.oracle import Oracle
from tests.oracle_hours import holds
from tests.rules.test_language_rules import CH4_1, REGISTRY
from tests.small_city import readings_of

S = 1_000_000_000
HEAD = """version: 1
defaults: {source: estimate, timezone: Asia/Shanghai}
schedules:
  night: {times: [["22:00", "06:00"]]}
  weekend: {weekdays: [sat-sun]}
  heating: {dates: [["11-15", "03-15"]]}
rules:
"""
RULE = """- id: ch4
  kind: threshold
  select: {quantity: ch4}
  unit: "%LEL"
  above: {blue: 10, yellow: 20, orange: 25, red: 50}
  hysteresis: 2
  for: {blue: 1m, yellow: 0s, orange: 0s, red: 0s}
"""


def ns(text: str, zone: str = "Asia/Shanghai") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * S


def one(edges: tuple[int, ...], zone: str, t: int, **more: object) -> bool:
    schedule = Schedule("s", zone, edges, **more)  # type: ignore[arg-type]
    (held,) = schedule.active(np.array([t]))
    assert held == holds(schedule, t)
    return bool(held)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("2026-11-20T21:59:59", False),
        ("2026-11-20T22:00:00", True),  # a Friday
        ("2026-11-21T00:00:00", True),
        ("2026-11-21T05:59:59", True),  # belongs to the night that began on Friday
        ("2026-11-21T06:00:00", False),
        ("2026-11-21T22:00:00", False),
        ("2026-11-23T03:00:00", False),  # Monday morning: Sunday has no night
    ],
)
def test_hours_past_midnight_belong_to_the_day_they_began_on(text: str, *, held: bool) -> None:
    fridays = week_edges([(22 * 60, 6 * 60)], [4])
    assert one(fridays, "Asia/Shanghai", ns(text)) is held


def test_the_night_of_sunday_goes_on_in_the_next_week() -> None:
    edges = week_edges([(22 * 60, 6 * 60)], [6])
    assert one(edges, "Asia/Shanghai", ns("2026-11-23T05:00:00"))  # Monday
    assert not one(edges, "Asia/Shanghai", ns("2026-11-22T05:00:00"))


def test_the_hour_that_comes_twice_is_night_twice_and_the_one_left_out_is_nobodys() -> None:
    edges = week_edges([(2 * 60, 3 * 60)], list(range(7)))
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)  # clocks go back on the 25th at 01:00 UTC
    held = [one(edges, "Europe/Berlin", int((begin + timedelta(minutes=m)).timestamp()) * S)
            for m in range(0, 360, 5)]  # fmt: skip
    assert sum(held) * 5 == 120
    begin = datetime(2026, 3, 28, 22, tzinfo=UTC)  # and forward on the 29th at 01:00 UTC
    held = [one(edges, "Europe/Berlin", int((begin + timedelta(minutes=m)).timestamp()) * S)
            for m in range(0, 360, 5)]  # fmt: skip
    assert sum(held) == 0


def test_switches_are_where_it_begins_and_ends() -> None:
    night = Schedule("night", "Asia/Shanghai", week_edges([(1320, 360)], list(range(7))))
    found = night.switches(ns("2026-11-20T22:00:00"), ns("2026-11-21T22:00:00"))
    assert found == [ns("2026-11-21T06:00:00"), ns("2026-11-21T22:00:00")]


def test_seasons_may_cross_the_new_year() -> None:
    heating = {"seasons": ((1115, 315),)}
    for text, held in (("2026-11-14T23:59:59", False), ("2026-11-15T00:00:00", True),
                       ("2027-01-01T00:00:00", True), ("2027-03-15T23:59:59", True),
                       ("2027-03-16T00:00:00", False)):  # fmt: skip
        assert one((0, 10080), "Asia/Shanghai", ns(text), **heating) is held


def plan_of(rule: str):
    registry = registry_of({"r.yaml": REGISTRY})
    plan, _ = compile_plan(load_rules({"g.yaml": HEAD + rule}), registry)
    return plan, registry


def story(registry, begin: str, values: list[float], every_s: int = 60) -> list[Record]:
    t0, channel = ns(begin), registry.channel_row[CH4_1]
    device = int(registry.channels.device[channel])
    records = []
    for i, value in enumerate(values):
        t = t0 + i * every_s * S
        row = {"channel": channel, "device": device, "judged_ns": t, "receive_ns": t,
               "value": value, "sequence": i}  # fmt: skip
        records += [Record(2 * i, readings_of([row])), Record(2 * i + 1, Tick(t))]
    return records


def told(plan, registry, records) -> list[tuple[str, int, float]]:
    engine = Engine(plan, registry)
    events = [e for e in engine.fold(records) if e.rule == "ch4"]
    slow = [e for e in Oracle(plan, registry).fold(records) if e.rule == "ch4"]
    assert events == slow
    one_by_one = Engine(plan, registry)
    assert [e for r in records for e in one_by_one.fold([r]) if e.rule == "ch4"] == events
    return [(e.type.value, e.severity, round(e.limit or 0, 6)) for e in events]


def test_a_lower_limit_at_night_raises_what_the_day_lets_pass() -> None:
    """0.45 %vol is 9 %LEL: blue only at night, and by the hold the night has."""
    rule = RULE + "  when: {night: {above.blue: 8, for.blue: 0s}}\n"
    plan, registry = plan_of(rule)
    events = told(plan, registry, story(registry, "2026-11-20T21:58:00", [0.45] * 5))
    assert events == [("RAISED", 1, 0.4)]
    first = story(registry, "2026-11-20T21:58:00", [0.45] * 5)
    at_ten = [e.event_ns for e in Engine(plan, registry).fold(first) if e.rule == "ch4"]
    assert at_ten == [ns("2026-11-20T22:00:00")]
    back = told(plan, registry, story(registry, "2026-11-21T05:58:00", [0.45, 0.45, 0.35, 0.35]))
    assert back == [("RAISED", 1, 0.4), ("CLEARED", 0, 0.4)]  # by day it clears below 10 − 2 = 8


def test_of_two_that_hold_at_once_the_one_named_last_wins() -> None:
    rule = RULE + "  when: {night: {above.blue: 8}, weekend: {above.blue: 9, above.yellow: 19}}\n"
    plan, _ = plan_of(rule)
    (built,) = (r for r in plan.channel_rules if r.rule_id == "ch4")
    at = list(built.channel).index(built.channel[0])
    limits = [np.round(each.raise_at[at] * 20, 6).tolist() for each in built.at_hours()]
    assert limits == [[10, 20, 25, 50], [8, 20, 25, 50], [9, 19, 25, 50], [9, 19, 25, 50]]
    assert built.at(ns("2026-11-20T23:00:00")).raise_at[at, 0] * 20 == pytest.approx(8)  # Friday


def test_an_override_beats_a_schedule_and_explain_says_so() -> None:
    rule = RULE + (
        "  when: {night: {above.blue: 8, above.yellow: 18}}\n"
        f"  overrides: [{{match: {{channel: {CH4_1}}}, set: {{above.blue: 15}}, reason: biogas}}]\n"
    )
    registry = registry_of({"r.yaml": REGISTRY})
    rules = load_rules({"g.yaml": HEAD + rule})
    (found,) = explain(rules, registry, CH4_1).rules
    said = {m.key: (m.value, m.said.by) for m in found.values if "[" in m.key or "above" in m.key}
    assert said["above.blue"][1] == "override 1"
    assert "above.blue [night]" not in said
    assert said["above.yellow [night]"][1] == "schedule night"
    assert said["above.yellow [night]"][0] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("head", "rule", "said"),
    [
        ("", "  when: {nigt: {above.blue: 8}}\n", "no schedule 'nigt' (did you mean \"night\"?)"),
        ("", "  when: {night: {window: 8}}\n", 'when night: "window" cannot be set'),
        ("", "  when: {night: {above.blue: 8 kPa}}\n", "does not measure ch4"),
        ("", "  when: {night: {above.blue: 21}}\n", "limits must rise with the level"),
        (
            "",
            "  fail_loud: true\n  over_range: red\n  when: {night: {above.orange: 30}}\n",
            "may calm a level",
        ),
        (
            "",
            "  fail_loud: true\n  over_range: red\n  when: {night: {for.orange: 5m}}\n",
            "orange must have no hold",
        ),
        ("", "  when: {}\n", "must name at least one"),
        ("times: [[22:00, 06:00]]", "", "YAML reads 22:00 as a number"),
        ('times: [["22:00", "25:00"]]', "", "'25:00' is no time of day"),
        ('times: [["22:00", "22:00"]]', "", "is no time: for all day leave times away"),
        ('times: ["22:00"]', "", "pairs of from and to"),
        ("weekdays: [mon-fry]", "", 'is no day of the week (did you mean "fri"?)'),
        ('dates: [["02-30", "03-01"]]', "", "'02-30' is no day of the year"),
        ("timezone: Asia/Shanghia", "", 'did you mean "Asia/Shanghai"'),
        ("weekdays: [mon-sun]", "", "always holds: give it times, weekdays, dates or a warning"),
        ("hours: [1]", "", 'unknown key "hours"'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(head: str, rule: str, said: str) -> None:
    text = HEAD + RULE + rule
    if head:
        text = text.replace("rules:", f"  odd: {{{head}}}\nrules:")
    registry = registry_of({"r.yaml": REGISTRY})
    problems = [p for p in check({"g.yaml": text}, registry) if p.severity == "error"]
    assert any(said in p.message for p in problems), problems
    assert all(p.line > 0 for p in problems)


def test_without_a_zone_a_schedule_is_refused() -> None:
    text = HEAD.replace(", timezone: Asia/Shanghai", "") + RULE
    problems = check({"g.yaml": text})
    assert [p.line for p in problems if "has no timezone" in p.message] == [4, 5, 6]


def test_votes_have_no_hours_of_their_own() -> None:
    vote = """- id: two
  kind: vote
  of: {rule: ch4, at_least: yellow}
  near: 50 m
  need: {count: 2, min_members: 2}
  within: 5m
  level: red
  select: {quantity: ch4}
  when: {night: {need: 1}}
"""
    problems = check({"g.yaml": HEAD + RULE + vote})
    assert any('unknown key "when"' in p.message for p in problems)


def test_a_rule_on_some_of_its_channels_keeps_its_hours() -> None:
    rule = RULE + "  when: {night: {above.blue: 8, for.blue: 0s}}\n"
    rule += (
        f"  overrides: [{{match: {{channel: {CH4_1}}}, set: {{above.yellow: 22}}, reason: x}}]\n"
    )
    plan, registry = plan_of(rule)
    (whole,) = plan.channel_rules
    assert len(whole.channel) == 2
    for place, channel in enumerate(whole.channel.tolist()):
        one = whole.taken(np.array([place]))
        assert one.channel.tolist() == [channel]
        for mine, theirs in zip(one.at_hours(), whole.at_hours(), strict=True):
            assert np.array_equal(mine.raise_at[0], theirs.raise_at[place], equal_nan=True)
            assert np.array_equal(mine.hold_ns[0], theirs.hold_ns[place])
    place = whole.channel.tolist().index(registry.channel_row[CH4_1])
    records = story(registry, "2026-11-20T21:58:00", [0.45, 0.45, 0.45, 1.05, 1.15, 0.2])
    alone = replace(plan, channel_rules=(whole.taken(np.array([place])),))
    mine = [encode(e) for e in Engine(alone, registry).fold(records)]
    assert mine == [encode(e) for e in Engine(plan, registry).fold(records)]
    assert any(b"RAISED" in line for line in mine)


def test_limits_along_time_are_those_of_each_moment() -> None:
    plan, _ = plan_of(RULE + "  when: {night: {above.blue: 8}, weekend: {above.yellow: 19}}\n")
    (rule,) = plan.channel_rules
    texts = ("2026-11-20T21:59:00", "2026-11-20T22:00:00", "2026-11-21T12:00:00",
             "2026-11-21T23:00:00")  # fmt: skip
    times = np.array([ns(text) for text in texts])
    along = np.round(rule.along("raise_at", 0, times)[:, :2] * 20, 6)
    assert along.tolist() == [[10, 20], [8, 20], [10, 19], [8, 19]]
    for t, limits in zip(times.tolist(), rule.along("raise_at", 0, times), strict=True):
        assert np.array_equal(rule.at(t).raise_at[0], limits, equal_nan=True)


def test_a_failed_expectation_is_told_by_the_limits_of_its_hour(tmp_path) -> None:
    (tmp_path / "g.yaml").write_text(HEAD + RULE + "  when: {night: {above.blue: 8}}\n")
    (tmp_path / "g.test.yaml").write_text(
        "rule_files: [g.yaml]\n"
        'registry: [{sensor: A, quantity: ch4, unit: "%LEL", every: 1m}]\n'
        "tests:\n"
        "- {name: night, start: '2026-11-20T21:55:00+08:00',\n"
        "   input: [{sensor: A, values: '7x20'}],\n"
        "   expect: [{at: 15m, rule: ch4, sensor: A, isa: UNACK, level: blue}]}\n"
    )
    (suite,) = read_suites([tmp_path / "g.test.yaml"])
    (case,) = cases_of(suite)
    (failure,) = run(case).failures
    assert "between blue, 0.4, and its clear limit 0.3" in failure.why
