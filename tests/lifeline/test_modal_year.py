"""A year of natural frequencies, made short: what is false is counted, and what shifts is told."""

from __future__ import annotations

import pytest

from lifeline.scenarios.modal_year import (
    LEARNING_D,
    FalseAlarm,
    ModalYear,
    modal_section,
    modal_year,
)
from rules.language import load_rules
from simulators.incidents.truth import Misplaced
from simulators.recording import shipped_rules

RULE = """
version: 1
rules:
- id: shift
  kind: modal
  source: estimate
  select: {domain: bridge, quantity: frequency}
  baseline: {window: 14d, warmup: 12h, compensate: {by: temperature, scope: asset, spread: 5 K}}
  shift_below: {blue: LIMIT %}
  for: {segments: 6, of: 8}
"""


def year(limit: str, *, shift: float = 0.04, days: int = 4) -> ModalYear:
    rules = load_rules({"shift.yaml": RULE.replace("LIMIT", limit)})
    return modal_year(rules, days=days, shift=shift, seed=1, profile="demo", layout=1)


def test_the_shipped_rule_tells_a_shift_and_nothing_else():
    told = []
    held = modal_year(
        load_rules(shipped_rules()), days=3, shift=0.05, seed=2, profile="demo", layout=1,
        tracked=lambda days: told.append(len(days)) or days,
    )  # fmt: skip
    assert told == [LEARNING_D + 3 + 1]
    assert held.spans >= 1
    assert held.false == ()
    assert len(held.found) == held.spans
    assert 0 < held.found[0] < 6
    assert held.span_years == pytest.approx(held.spans * 3 / 365.25)


def test_a_rule_that_is_too_eager_is_shown_to_be():
    held = year("-0.05", days=10)
    assert held.false != ()
    text = modal_section(held, "x")
    assert f"{held.false[0].subject}: shift, level 1" in text
    a_year = float(text.partition("(1 asked for) | ")[2].split(" ")[0])
    assert a_year == pytest.approx(len(held.false) / held.span_years, abs=0.01)


def test_a_rule_that_sleeps_finds_nothing():
    held = year("-30")
    assert held.found == ()
    assert f"told within a day | 0 of {held.spans} |" in modal_section(held, "x")


def test_what_lay_beside_a_false_alarm_is_told():
    held = ModalYear(
        seed=1, spans=2, days=365, shift=0.03, shifts=(),
        false=(FalseAlarm(subject="a/b/c", rule="r", severity=2, at_ns=0, beside=("stuck",)),),
    )  # fmt: skip
    text = modal_section(held, "x")
    assert "its temperature | 1 of 1 |" in text
    assert "- a/b/c: r, level 2, stuck" in text
    assert held.to_json()["span_years"] == pytest.approx(2.0, abs=0.01)


def test_a_shift_that_no_rule_speaks_of_is_refused():
    with pytest.raises(Misplaced, match="below 3 %"):
        year("-3", shift=0.02)
