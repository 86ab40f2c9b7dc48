"""Rules under official warnings: stricter while one stands where the channel is."""

from __future__ import annotations

from textwrap import dedent

import pytest

from rules.engine import Engine
from rules.engine.difference import difference
from rules.engine.snapshot import from_bytes, to_bytes
from rules.language import load_rules
from rules.language.explain import explain
from rules.readings import Control, Record, Tick
from rules.registry_file import registry_of
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.run import run
from tests.storm_kit import (
    LEVEL,
    OTHER,
    REGISTRY,
    RULES,
    T0,
    S,
    Story,
    brief,
    built,
    events,
    warning,
)

# ── while one stands ─────────────────────────────────────────────────────────────────────────


def test_a_warning_tightens_the_rule_while_it_stands_and_no_longer() -> None:
    plan, registry = built()
    story = Story(registry)
    for minute in range(10):
        story.level(60 * minute, 2.2)
    story.warn(warning(600))
    for minute in range(10, 80):
        story.level(60 * minute, 2.2)
    assert brief(events(plan, registry, story)) == [
        ("RAISED", LEVEL, 2, 720, 2.0, "met,w1"),
        ("CLEARED", LEVEL, 0, 4200, 2.5, ""),  # expired: below 2.6 − 0.1 again
    ]


def test_a_cancel_returns_the_limits_from_when_it_was_sent() -> None:
    plan, registry = built()
    story = Story(registry).warn(warning(0))
    story.level(0, 2.2).level(60, 2.2).level(120, 2.2)
    story.warn(warning(150, "w2", kind="cancel", references=("met,w1",), expires_ns=T0))
    story.level(140, 2.2).level(180, 2.2)
    told = brief(events(plan, registry, story))
    assert told == [
        ("RAISED", LEVEL, 2, 120, 2.0, "met,w1"),
        ("CLEARED", LEVEL, 0, 180, 2.5, ""),  # 140 was measured before the Cancel was sent
    ]


def test_an_update_takes_over_once_it_begins() -> None:
    plan, registry = built()
    story = Story(registry).warn(warning(0))
    later = warning(60, "w2", kind="update", references=("met,w1",), severity=4,
                    onset_ns=T0 + 300 * S)  # fmt: skip
    story.warn(later).level(120, 2.2).level(240, 2.2).level(360, 3.3).level(480, 3.3)
    assert brief(events(plan, registry, story)) == [
        ("RAISED", LEVEL, 2, 240, 2.0, "met,w1"),
        ("ESCALATED", LEVEL, 3, 480, 3.2, "met,w2"),
    ]


def test_what_was_measured_before_the_onset_is_judged_without_it_and_late_rows_by_their_time() -> (
    None
):
    plan, registry = built(RULES.replace("for: 5m", "for: 0s").replace("for: 2m", "for: 0s"))
    story = Story(registry).warn(warning(0, onset_ns=T0 + 300 * S))
    story.level(240, 2.2).level(360, 1.0)
    story.level(330, 2.2, late_s=60).level(200, 2.2, late_s=200)
    told = [e for e in events(plan, registry, story) if e.type.value == "LATE_FINDING"]
    assert brief(told) == [("LATE_FINDING", LEVEL, 2, 330, 2.0, "met,w1")]


def test_nothing_happens_at_the_warning_itself_the_next_row_is_judged_by_it() -> None:
    """A tick judges as the slot's last row was judged: the five minutes it waits stay five."""
    plan, registry = built()
    story = Story(registry).level(0, 3.3).tick(60).warn(warning(90)).tick(150).tick(240)
    assert brief(events(plan, registry, story)) == []
    story.level(250, 3.3)
    assert brief(events(plan, registry, story)) == [
        ("RAISED", LEVEL, 3, 250, 3.2, "met,w1"),
    ]
    other = Story(registry).warn(warning(-60)).level(0, 2.2)
    other.warn(warning(-5, "w2", kind="cancel", references=("met,w1",), expires_ns=T0))
    other.tick(119).tick(120)
    # the Cancel came after the row: tick 120 sets the level as the row was judged, and names nobody
    assert brief(events(plan, registry, other)) == [("RAISED", LEVEL, 2, 0, 2.0, "")]


@pytest.mark.parametrize(
    "more",
    [
        {"exercise": True},
        {"severity": 2},
        {"hazard": "gale"},
        {"areas": ("二七区",)},
        {"expires_ns": T0 - 1},
        {"kind": "cancel"},
        {"severity": "3"},
        {"onset_ns": None},
        {"polygons": ((("a", 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 0.0)),)},
    ],
)
def test_what_is_not_asked_for_or_cannot_be_read_moves_nothing(more: dict[str, object]) -> None:
    plan, registry = built()
    story = Story(registry)
    data = warning(0).data() | more
    story.put(Control("warning", data | {"via": "http"}))
    engine = Engine(plan, registry)
    for minute in range(8):
        story.level(60 * minute, 2.2)
    assert engine.fold(story.records) == []


def test_a_warning_whose_level_is_not_said_counts_as_the_worst() -> None:
    plan, registry = built()
    story = Story(registry).warn(warning(0, severity=0)).level(0, 2.2).level(120, 2.2)
    assert [e.severity for e in events(plan, registry, story)] == [2]


def test_hours_and_warnings_together_must_both_hold() -> None:
    rules = RULES.replace("at_least: orange}}", 'at_least: orange}, times: [["22:00", "06:00"]]}')
    plan, registry = built(rules)  # T0 is 22:13 in Shanghai
    story = Story(registry).warn(warning(0, expires_ns=T0 + 20 * 3600 * S))
    story.level(0, 2.2).level(120, 2.2).level(12 * 3600, 2.2)
    assert brief(events(plan, registry, story)) == [
        ("RAISED", LEVEL, 2, 120, 2.0, "met,w1"),
        ("CLEARED", LEVEL, 0, 43200, 2.5, ""),
    ]


def test_of_two_warnings_the_worst_is_named() -> None:
    plan, registry = built()
    story = Story(registry).warn(warning(0)).warn(warning(10, "w2", severity=4, hazard="flood"))
    story.level(60, 2.2).level(180, 2.2)
    (raised,) = events(plan, registry, story)
    assert raised.evidence["warning"] == {
        "key": "met,w2", "hazard": "flood", "severity": 4,
        "issuer": "郑州市气象台", "issuer_zh": "郑州市气象台", "sent_ns": T0 + 10 * S,
    }  # fmt: skip


# ── a change of rules, and older snapshots ───────────────────────────────────────────────────


def test_rules_that_come_during_a_storm_know_of_it_and_the_difference_tells_what_changes() -> None:
    plan, registry = built()
    plain, _ = built(RULES.partition("  when:")[0])
    assert [c.what for c in difference((plain, registry), (plan, registry)).rules] == ["changed"]
    worse = RULES.replace("at_least: orange", "at_least: red")
    other, _ = built(worse)
    assert [c.what for c in difference((plan, registry), (other, registry)).rules] == ["changed"]
    engine = Engine(plain, registry)
    story = Story(registry).warn(warning(0)).level(0, 2.2).tick(1).level(60, 2.2).level(180, 2.2)
    assert engine.fold(story.records[:3]) == []
    assert engine.change(plan, registry, offset=3) == []
    told = engine.fold(story.records[4:])
    assert brief(told) == [("RAISED", LEVEL, 2, 180, 2.0, "met,w1")]


def test_schedules_of_hours_mean_what_they_meant_to_older_snapshots() -> None:
    rules = RULES.replace("{warning: {hazard: [rainstorm, flood], at_least: orange}}",
                          '{times: [["22:00", "06:00"]]}')  # fmt: skip
    plan, registry = built(rules)
    (rule,) = plan.channel_rules
    assert repr(rule.schedules[0]) == (
        "Schedule(name='storm', zone='Asia/Shanghai', edges=(0, 360, 1320, 1800, 2760, 3240, "
        "4200, 4680, 5640, 6120, 7080, 7560, 8520, 9000, 9960, 10080), seasons=())"
    ), "the meaning of a slot hashes this text"
    engine = Engine(plan, registry)
    story = Story(registry).level(0, 2.2).tick(100)
    assert engine.fold(story.records) == []
    state = engine.snapshot()
    del state["slots"]["hour"], state["warnings"]  # as versions before wrote it
    again = Engine(plan, registry)
    assert again.restore(from_bytes(to_bytes(state))) == []
    assert brief(again.fold([Record(9, Tick(T0 + 120 * S))])) == [("RAISED", LEVEL, 2, 0, 2.0, "")]


def test_explain_shows_what_holds_under_a_warning() -> None:
    registry = registry_of({"r.yaml": REGISTRY})
    (found,) = explain(load_rules({"g.yaml": RULES}), registry, LEVEL).rules
    said = {m.key: (m.value, m.said.by) for m in found.values}
    assert said["above.yellow"][0] == pytest.approx(2.6)
    assert said["above.yellow [storm]"] == (pytest.approx(2.0), "schedule storm")
    assert said["for.yellow [storm]"][0] == pytest.approx(120)


def test_the_rule_tightens_only_where_the_warning_is() -> None:
    plan, registry = built()
    story = Story(registry).warn(warning(0, areas=("金水区",)))
    for minute in range(4):
        story.level(60 * minute, 2.2).level(60 * minute, 2.2, channel=OTHER)
    assert [e.subject for e in events(plan, registry, story)] == [LEVEL]


# ── tests of rules ───────────────────────────────────────────────────────────────────────────

SUITE = """
rule_files: [g.yaml]
registry:
- {sensor: A, quantity: level, domain: drain, district: 金水区}
- {sensor: B, quantity: level, domain: drain, district: 二七区}
tests:
- name: a storm
  warnings:
  - {at: 10m, hazard: rainstorm, level: orange, lasts: 2h, areas: [金水区]}
  - {at: 20m, level: red, replaces: w1, areas: [金水区], id: worse}
  - {at: 30m, cancels: worse}
  input:
  - {sensor: A, values: "2.2x40"}
  - {sensor: B, values: "2.2x40"}
  expect:
  - {at: 11m, rule: sewer, none: true}
  - {at: 12m, rule: sewer, sensor: A, isa: UNACK, level: yellow, onset: 10m, warning: rainstorm}
  - {at: 29m, rule: sewer, sensor: A, isa: UNACK}
  - {at: 30m, rule: sewer, sensor: A, isa: RTNUN}
  - {at: 40m, rule: sewer, sensor: B, none: true}
  invariants: [duplicate_any, restart_anywhere, batch_1_7_1000]
"""


def suite_of(tmp_path, text: str):
    (tmp_path / "g.yaml").write_text(RULES)
    (tmp_path / "g.test.yaml").write_text(dedent(text))
    (suite,) = read_suites([tmp_path / "g.test.yaml"])
    return suite


def test_a_test_of_rules_says_what_is_warned_of(tmp_path) -> None:
    (case,) = cases_of(suite_of(tmp_path, SUITE))
    assert run(case).failures == ()


def test_a_failed_expectation_is_told_by_the_limits_under_the_warning(tmp_path) -> None:
    text = SUITE.replace("at: 12m, rule: sewer, sensor: A, isa: UNACK, level: yellow, onset: 10m",
                         "at: 11m, rule: sewer, sensor: A, isa: UNACK, level: yellow")  # fmt: skip
    (case,) = cases_of(suite_of(tmp_path, text))
    failure = run(case).failures[0]
    assert failure.why == "breached since 10m, `for` needs 2m until 12m"
    for other in ("gale", "none"):
        text = SUITE.replace("level: yellow, onset: 10m, warning: rainstorm", f"warning: {other}")
        (case,) = cases_of(suite_of(tmp_path, text))
        (failure,) = run(case).failures
        assert f"warning: rainstorm, not {other}" in failure.said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hazard: rainstorm, level", "hazard: rain, level", "unknown 'rain' (did you mean"),
        ("level: orange, lasts", "level: violet, lasts", "unknown 'violet'"),
        ("level: orange, ", "", 'key "level" is missing: blue, yellow, orange or red'),
        ("lasts: 2h", "lasts: 0s", "lasts: must be longer than 0s"),
        ("replaces: w1", "replaces: w9", "replaces: no warning 'w9'"),
        ("cancels: worse", "cancels: wors", "no warning 'wors' (did you mean \"worse\"?)"),
        ("cancels: worse", "cancels: worse, level: red", "cancels ends a warning, so level says"),
        ("id: worse", "id: w1", "the id 'w1' stands twice"),
        ("warning: rainstorm", "warning: storm", "unknown 'storm'"),
    ],
)
def test_what_is_wrong_with_a_warning_of_a_test_is_told(tmp_path, old, new, said) -> None:
    suite = suite_of(tmp_path, SUITE.replace(old, new))
    cases_of(suite)
    assert any(said in p.message and p.line > 0 for p in suite.problems), suite.problems
