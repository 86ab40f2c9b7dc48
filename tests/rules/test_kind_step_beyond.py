"""Kind step, beyond: what the channels around do too is no step of one's own."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

import rules.engine
from rules.events import encode
from rules.readings import Record
from tests.journals import case
from tests.oracle import Oracle
from tests.oracle_steps import StepBeyond
from tests.small_city import NAN, SECOND_NS, plan_of, readings_of, registry_of, rule_of, seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

MINUTE = 60
AREAS = 6


def demand(minute: float) -> float:
    """A morning: three times the night's within two hours."""
    return 1 + 2 / (1 + math.exp(-(minute - 120) / 12))


def areas(
    *, burst: float = 0.0, area: int = 0, dead: int = -1, minutes: int = 240, noise: float = 0.004
) -> list[Record]:
    """Inflow of areas of unlike size; ``burst`` is what one takes more from minute 110 on.

    From minute 100 on, ``dead`` says nothing.
    """
    random, records = Random(5), []
    for minute in range(minutes):
        rows = []
        for channel in range(AREAS):
            if channel == dead and minute >= 100:
                continue
            value = 40 * (channel + 1) * demand(minute) * (1 + random.gauss(0, noise))
            value += burst * (channel == area and minute >= 110)
            at = seconds(minute * MINUTE + channel)
            rows.append({"channel": channel, "judged_ns": at, "value": value})
        records += [Record(len(records), readings_of(rows))]
    return records


def made(value_of: Callable[[int, int], float]) -> list[Record]:
    """Ninety minutes of what ``value_of`` says of an area and a minute."""
    records = []
    for minute in range(90):
        at = [seconds(minute * MINUTE + c) for c in range(AREAS)]
        rows = [
            {"channel": c, "judged_ns": at[c], "value": value_of(c, minute)} for c in range(AREAS)
        ]
        records += [Record(minute, readings_of(rows))]
    return records


def inflow(method: str = "beyond", **own: Any) -> Any:
    near = [[c for c in range(AREAS) if c != mine] for mine in range(AREAS)]
    spans = {"window_ns": 12 * MINUTE * SECOND_NS, "before_ns": 48 * MINUTE * SECOND_NS}
    held = {"min_points": 6, "relative": 1, "neighbours": near, "max_age_ns": 600 * SECOND_NS}
    return rule_of(
        kind="step", method=method, channels=range(AREAS), raise_at=(NAN, NAN, 3.0, NAN),
        clear_at=(NAN, NAN, 2.0, NAN), hold_s=0, keep_s=0, max_gap_s=600,
        own=spans | held | {"min_members": 3} | own,
    )  # fmt: skip


def told(rule: Any, records: list[Record], registry: Any = None) -> list[Any]:
    """What the engine tells, whole and cut, which must be what the slow twin tells."""
    plan, registry = plan_of(rule), registry or registry_of([0] * AREAS)
    slow = Oracle(plan, registry).fold(records)
    for size in (1, 9, len(records)):
        engine, found = rules.engine.Engine(plan, registry), []
        for start in range(0, len(records), size):
            found += engine.fold(records[start : start + size])
        assert [encode(e) for e in found] == [encode(e) for e in slow]
    return [e for e in slow if e.type == "RAISED"]


def area_of(event: Any) -> int:
    return registry_of([0] * AREAS).channels.id.index(event.subject)


def test_a_morning_is_no_step_where_all_have_it_and_hides_none() -> None:
    assert told(inflow("rows"), areas()) != []  # the plain step takes the morning for one
    assert told(inflow(), areas()) == []
    (raised,) = told(inflow(), areas(burst=0.08 * 80 * demand(110), area=1))
    assert area_of(raised) == 1
    assert seconds(110 * MINUTE) < raised.event_ns <= seconds(118 * MINUTE)
    assert raised.score > 3
    assert raised.evidence["members"] == AREAS - 1


def test_a_neighbour_that_falls_silent_is_none_and_too_few_are_not_judged() -> None:
    assert told(inflow(), areas(dead=4)) == []  # what it took with it is nobody's step
    (raised,) = told(inflow(), areas(burst=0.08 * 80 * demand(110), area=1, dead=4))
    assert raised.evidence["members"] == AREAS - 1  # its older half still counts while both hold
    none = told(inflow(min_members=AREAS), areas(burst=60, area=1))
    assert none == []


def test_a_neighbour_that_steps_itself_is_outvoted() -> None:
    (raised,) = told(inflow(), areas(burst=400, area=5))
    assert area_of(raised) == 5


def test_a_difference_is_told_in_the_unit_of_the_quantity() -> None:
    records = made(lambda c, m: 200.0 + m + (7 if c == 1 and m > 80 else 0))
    (raised,) = told(inflow(relative=0), records)
    assert (area_of(raised), raised.score) == (1, 3.5)  # half of it, as the median turns


def test_of_neighbours_of_zero_a_relative_step_knows_nothing() -> None:
    records = made(lambda c, m: 0.0 if c else 1.0 + 9 * (m > 70))
    assert told(inflow(), records) == []
    (raised,) = told(inflow(relative=0), records)
    assert raised.score == 4.5


def test_runs_laid_out_whole_and_rows_one_by_one_are_the_same() -> None:
    """Some hundred rows of a track in one record, as after an outage."""
    records = areas(burst=12, area=1)
    rows: list[dict[str, Any]] = []
    for record in records:
        body = record.body
        rows += [
            {"channel": int(c), "judged_ns": int(t), "value": float(x)}
            for c, t, x in zip(body.channel, body.judged_ns, body.value, strict=True)
        ]
    whole = [Record(0, readings_of(rows[:12])), Record(1, readings_of(rows[12:]))]
    one, other = told(inflow(), records), told(inflow(), whole)
    assert [(e.event_ns, e.score) for e in one] == [(e.event_ns, e.score) for e in other]
    assert len(one) == 1


def test_random_journals_raise_and_clear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: Counter[str] = Counter()
    score = StepBeyond.score

    def watched(self: StepBeyond, t: int, x: float) -> float:
        found = score(self, t, x)
        reached["scored" if np.isfinite(found) else "nothing known"] += 1
        reached["several"] += len([1 for v in self.said.values() if v > 1])
        return found

    monkeypatch.setattr(StepBeyond, "score", watched)
    for seed in range(60):
        drawn = case(Random(seed), kinds=("step",))
        Oracle(drawn.plan, drawn.registry).fold(drawn.records)
    assert min(reached[what] for what in ("scored", "several", "nothing known")) > 100, reached
