"""Tests of rules mean what they say: each expectation can hold, and fail for a stated reason."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest

from rules.events import encode
from rules.testing.cases import cases_of
from rules.testing.files import read_suites
from rules.testing.journal import journal_of
from rules.testing.play import play
from rules.testing.run import run, settled
from rules.testing.values import MAX_SAMPLES, read_values

NAN = float("nan")
RULES = """
version: 1
defaults: {source: estimate, max_gap: 3x}
rules:
- id: ch4-level
  kind: threshold
  fail_loud: true
  over_range: red
  select: {asset_type: [manhole, valve_well], quantity: ch4}
  unit: "%{LEL}"
  above: {blue: 10, yellow: 20, orange: 25, red: 50}
  hysteresis: 2
  for: {blue: 3m, yellow: 1m, orange: 0s, red: {samples: 2, or: 30s}}
  keep_firing_for: 30m
- id: ch4-cluster
  kind: vote
  of: {rule: ch4-level, at_least: yellow}
  near: 50 m
  need: {count: 2, min_members: 3}
  within: 5m
  level: red
- id: silent
  kind: deadman
  select: {kind: gateway}
  missing: {orange: 5m}
- id: pressure-low
  kind: threshold
  select: {quantity: pressure}
  below: {yellow: 160 kPa}
  for: 90s
"""
HEAD = """
rule_files: [gas.yaml]
start: "2026-11-20T08:00:00+08:00"
registry:
- {sensor: A, quantity: ch4, unit: "%{LEL}", asset_type: valve_well, xy: [0, 0], range: [0, 100]}
- {sensor: B, quantity: ch4, unit: "%{LEL}", asset_type: valve_well, xy: [30, 0]}
- {sensor: C, quantity: ch4, unit: "%{LEL}", asset_type: valve_well, xy: [0, 40]}
- {sensor: P, quantity: pressure, domain: water, asset: Main St, every: 30s, resolution: 0.1}
tests:
"""
CLUSTER = """
- name: two of three, B late, C faulty
  interval: 1m
  input:
  - {sensor: A, values: "5x3 22x5 5x40"}
  - {sensor: B, values: "5x3 24x5 5x40", arrive: {from: 4m, by: +90s}}
  - {sensor: C, values: "5x3 _x5 5x40", fault_code: {from: 4m, to: 9m}}
  actions: [{at: 7m, do: ack, rule: ch4-level, sensor: A, by: op1}]
  expect:
  - {at: 4m, rule: ch4-level, sensor: A, isa: NORM}
  - {at: 5m, rule: ch4-level, sensor: A, isa: UNACK, level: yellow, since: 5m, onset: 4m}
  - {at: 7m, rule: ch4-level, sensor: A, isa: ACKED, level: yellow}
  - {at: 8m, rule: ch4-cluster, isa: UNACK, level: red, members: [A, B]}
  - {at: 45m, rule: ch4-level, sensor: A, isa: NORM}
  - {at: 45m, rule: ch4-level, sensor: B, isa: RTNUN}
  - {at: 45m, rule: ch4-level, sensor: C, none: true}
"""


@pytest.fixture
def suite(tmp_path):
    """Return a maker of the suite of some tests, in a file beside RULES."""
    (tmp_path / "gas.yaml").write_text(RULES)

    def make(tests: str, head: str = HEAD):
        (tmp_path / "gas.test.yaml").write_text(head + dedent(tests))
        (found,) = read_suites([tmp_path / "gas.test.yaml"])
        return found

    return make


@pytest.fixture
def results(suite):
    """Return a maker of the results of some tests."""

    def make(tests: str):
        found = suite(tests)
        cases = cases_of(found)
        assert [str(p) for p in found.problems] == []
        return [run(case) for case in cases]

    return make


def said(result) -> list[str]:
    return [f"{f.said}: {f.why}" if f.why else f.said for f in result.failures]


def one(results, body: str, *expect: str) -> list[str]:
    lines = "".join(f"  - {e}\n" for e in expect)
    (result,) = results(f"\n- name: it\n{body}  expect:\n{lines}")
    return said(result)


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1 2 3", [1, 2, 3]),
        ("5x3", [5, 5, 5, 5]),
        ("0+10x3", [0, 10, 20, 30]),
        ("-2-0.5x2", [-2, -2.5, -3]),
        ("1 _ 2", [1, None, 2]),
        ("1 _x3 2", [1, None, None, None, 2]),
        ("1 stale 2", [1, NAN, 2]),
        ("1e3x1 .5", [1000, 1000, 0.5]),
    ],
)
def test_values_are_promtools_notation(text, values):
    samples = read_values(text)
    assert [v if s else None for v, s in zip(samples.value, samples.sent, strict=True)] == (
        pytest.approx(values, nan_ok=True)
    )


@pytest.mark.parametrize("text", ["", "5y3", "0x", "5+x3", "5x-1", "{{schema:1}}", "__"])
def test_what_is_no_value_is_refused_with_what_to_write(text):
    with pytest.raises(ValueError, match="write"):
        read_values(text)


@pytest.mark.parametrize("text", ["0x1000000000", "1+1x99999999999999999999", "_x2000000"])
def test_values_that_unfold_to_billions_are_refused_before_they_do(text):
    with pytest.raises(ValueError, match=str(MAX_SAMPLES)):
        read_values(text)


# -- expectations ------------------------------------------------------------------------------


def test_the_case_of_two_of_three_passes_with_all_invariants(results):
    (result,) = results(
        CLUSTER + "  invariants: [duplicate_any, restart_anywhere, batch_1_7_1000]\n"
    )
    assert said(result) == []


def test_every_expectation_can_fail(results):
    body = '  interval: 1m\n  input:\n  - {sensor: A, values: "5x3 22x5 5x40"}\n'
    wrong = [
        "{at: 5m, rule: ch4-level, sensor: A, isa: NORM}",
        "{at: 5m, rule: ch4-level, sensor: A, isa: UNACK, level: red}",
        "{at: 5m, rule: ch4-level, sensor: A, since: 4m}",
        "{at: 5m, rule: ch4-level, sensor: A, onset: 3m}",
        "{at: 5m, rule: ch4-level, sensor: A, value: 21}",
        "{at: 5m, rule: ch4-level, sensor: A, score: {is: 1.0, within: 0.05}}",
        "{at: 5m, rule: ch4-level, sensor: A, over_range: true}",
        "{at: 5m, rule: ch4-level, sensor: A, confirmed: false}",
        "{at: 5m, rule: ch4-cluster, isa: UNACK}",
        "{at: 5m, rule: ch4-level, none: true}",
        "{at: 5m, none: true}",
    ]
    right = [
        "{at: 5m, rule: ch4-level, sensor: A, isa: UNACK, level: yellow, side: high}",
        "{at: 5m, rule: ch4-level, sensor: A, since: 5m, onset: 4m, value: 22, confirmed: true}",
        "{at: 5m, rule: ch4-level, sensor: A, score: {is: 1.1, within: 0}, over_range: false}",
        "{at: 299s, none: true}",
        "{at: 1h, rule: ch4-cluster, none: true}",
    ]
    assert one(results, body, *right) == []
    assert len(one(results, body, *wrong)) == len(wrong)


def test_a_failure_says_why_in_a_sentence(results):
    body = '  interval: 1m\n  input:\n  - {sensor: P, values: "300x3 150x5 300x40"}\n'
    late = body.replace('"}', '", arrive: {from: 5m, to: 5m, by: 90s}}')
    low = "{at: 5m, rule: pressure-low, sensor: P, isa: UNACK, level: yellow}"
    held = "breached since 4m, `for` needs 1m30s until 5m30s"
    got = f"at 5m expected yellow UNACK, got NORM: {held}"
    assert one(results, body, low) == [got]
    assert one(results, late, low) == [f"{got}, the sample of 5m arrived at 6m30s"]
    assert one(results, body, low.replace("5m", "2m")) == [
        "at 2m expected yellow UNACK, got NORM: the last sample (2m: 300) is above yellow, 160"
    ]


def test_a_late_finding_is_an_alarm_of_its_own(results):
    body = '  interval: 1m\n  input:\n  - {sensor: A, values: "5 60 5 5", '
    body += "arrive: {from: 1m, to: 1m, at: 150s}}\n"
    assert one(results, body, "{at: 3m, rule: ch4-level, sensor: A, late: true, isa: RTNUN}",
               "{at: 3m, rule: ch4-level, sensor: A, isa: NORM}") == []  # fmt: skip


def test_a_sensor_beyond_its_range_waits_for_a_reset(results):
    body = '  interval: 1m\n  input:\n  - {sensor: A, values: "5 120x2 5x90"}\n'
    stays = "{at: 80m, rule: ch4-level, sensor: A, isa: UNACK, level: red, over_range: true}"
    assert one(results, body, stays) == []
    body += "  actions: [{at: 10m, do: reset, rule: ch4-level, sensor: A}]\n"
    gone = "{at: 80m, rule: ch4-level, sensor: A, isa: RTNUN, over_range: false}"
    assert one(results, body, gone) == []
    assert len(one(results, body, stays)) == 1


def test_an_ack_without_an_alarm_fails_the_test(results):
    body = '  input: [{sensor: A, values: "5x3"}]\n'
    body += "  actions: [{at: 1m, do: ack, rule: ch4-level, sensor: A}]\n"
    (told,) = one(results, body, "{at: 2m, none: true}")
    assert told.startswith("nothing to acknowledge at 1m")


SHELVED = """  interval: 1m
  input: [{sensor: A, values: "5 %s"}]
  actions:
"""


def shelf(at: str, do: str = "shelve", by: str = "li", long: str = "5m") -> str:
    more = f", for: {long}, reason: works" if do == "shelve" else ""
    return f"  - {{at: {at}, do: {do}, rule: ch4-level, sensor: A, by: {by}{more}}}\n"


def isa(at: str, word: str) -> str:
    return f"{{at: {at}, rule: ch4-level, sensor: A, isa: {word}}}"


def test_a_shelf_holds_an_alarm_until_its_time_is_up_or_somebody_ends_it(results):
    body = SHELVED % "22x20" + shelf("4m")
    inside = (isa("3m", "UNACK"), isa("4m", "SHLVD"), isa("539s", "SHLVD"), isa("9m", "UNACK"))
    assert one(results, body, *inside) == []
    assert len(one(results, body, isa("10m", "SHLVD"))) == 1
    assert one(results, body + shelf("6m", "unshelve"), isa("6m", "UNACK")) == []
    # the end is on time although nothing comes then, and what is shelved may be acknowledged
    late = SHELVED % "22x20" + shelf("4m", long="330s") + shelf("5m", "ack")
    assert one(results, late, isa("9m", "SHLVD"), isa("569s", "SHLVD"), isa("570s", "ACKED")) == []


def test_red_is_shelved_by_two_persons_and_what_gets_worse_leaves_its_shelf(results):
    body = SHELVED % "60x20" + shelf("4m")
    assert one(results, body, isa("5m", "UNACK")) == []
    assert one(results, body + shelf("5m", by="wang"), isa("5m", "SHLVD")) == []
    (told,) = one(results, body + shelf("5m"), isa("5m", "UNACK"))
    assert "li, who asked for it: red takes a second person" in told
    worse = SHELVED % "22x4 60x10" + shelf("4m", long="1h")
    assert one(results, worse, isa("5m", "SHLVD"), isa("10m", "UNACK")) == []


def test_what_the_desk_would_refuse_fails_the_test(results):
    body = SHELVED % "22x20"
    (told,) = one(results, body + shelf("4m", long="9h"), isa("5m", "UNACK"))
    assert "ch4-level allows at most 8h" in told
    (told,) = one(results, body + shelf("0s"), isa("5m", "UNACK"))
    assert "nothing to shelve at 0s" in told
    (told,) = one(results, body + shelf("4m", "unshelve"), isa("5m", "UNACK"))
    assert "nothing to unshelve at 4m" in told


def test_shelves_hold_under_every_invariant(results):
    body = SHELVED % "22x10 60x5 5x40" + shelf("4m") + shelf("17m", long="2m")
    body += shelf("18m", by="wang", long="2m")
    body += "  invariants: [duplicate_any, restart_anywhere, batch_1_7_1000]\n"
    words = (isa("5m", "SHLVD"), isa("10m", "UNACK"), isa("19m", "SHLVD"), isa("21m", "UNACK"))
    assert one(results, body, *words) == []


def test_silence_of_a_device_raises_at_its_second(results):
    body = '  input: [{sensor: A, values: "5x3"}, {sensor: B, values: "5x40"}]\n'
    who = "rule: silent, device: device of A"
    right = (f"{{at: 479s, {who}, none: true}}", f"{{at: 8m, {who}, isa: UNACK}}")
    assert one(results, body, *right) == []
    (told,) = one(results, body, f"{{at: 7m, {who}, isa: UNACK}}")
    assert told.endswith("last heard at 3m, orange needs 5m of silence, until 8m")


def test_a_repeat_a_conflict_and_a_wrong_clock_can_be_sent(results):
    body = '  interval: 1m\n  input:\n  - {sensor: P, values: "150 150", repeat: {by: 1s}}\n'
    body += '  - {sensor: P, start: 30s, values: "300", stamp: {by: +30s}, arrive: {by: 31s}}\n'
    (result,) = results(f"\n- name: it\n{body}  expect: [{{at: 2m, none: true}}]\n")
    rows = result.journal.rows
    assert sorted((rows.receive_ns - result.case.start_ns) // 10**9) == [0, 1, 60, 61, 61]
    assert np.count_nonzero(rows.value == 150) == 4


# -- ticks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_fewer_ticks_give_the_bytes_of_all(suite, seed):
    """Holds, dead-man and confirmations fall at the same second, whatever is left out."""
    draw = np.random.default_rng(seed)
    lines = []
    for sensor, levels in (("A", (5, 12, 22, 26, 60)), ("B", (5, 30)), ("P", (300, 150))):
        words = []
        for _ in range(25):
            word = f"{draw.choice(levels)}x{draw.integers(0, 6)}"
            words.append(f"_x{draw.integers(1, 9)}" if draw.random() < 0.25 else word)
        interval = draw.choice(("7s", "1m", "47s"))
        text = " ".join(words)
        lines.append(f'  - {{sensor: {sensor}, interval: {interval}, values: "{text}"}}\n')
    body = f"\n- name: it\n  input:\n{''.join(lines)}  expect: [{{at: 3h, none: true}}]\n"
    found = suite(body)
    (case,) = cases_of(found)
    journal = journal_of(case)
    every = play(case, journal, journal.records(np.arange(journal.last_tick + 1)))
    entries, few = settled(case, journal)
    assert list(map(encode, few.events)) == list(map(encode, every.events))
    assert len(entries) < journal.last_tick
    assert any(e.receive_ns > e.event_ns for e in every.events)  # something was a tick's doing


def test_thirty_days_take_seconds(tmp_path):
    (tmp_path / "gas.yaml").write_text(RULES[: RULES.index("- id: ch4-cluster")])
    month = 'values: "5x43000 22x5 5x100"'
    (tmp_path / "a.test.yaml").write_text(
        "rule_files: [gas.yaml]\nregistry: [{sensor: A, quantity: ch4, unit: '%{LEL}', "
        f"asset_type: manhole}}]\ntests:\n- name: month\n  input: [{{sensor: A, {month}}}]\n"
        "  expect: [{at: 43002m, rule: ch4-level, sensor: A, isa: UNACK, since: 43002m}]\n"
    )
    (found,) = read_suites([tmp_path])
    (case,) = cases_of(found)
    assert said(run(case)) == []
