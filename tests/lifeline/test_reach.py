"""What alarms are asked to reach: cases counted by their size, and one of each aim played."""

from __future__ import annotations

import numpy as np
import pytest

from lifeline.scenarios.detection_page import reach_section
from lifeline.scenarios.draw import drawn
from lifeline.scenarios.reach import HALF_LEL_VOL, LEAD_S, Aim, Case, aims, reach_scenarios
from lifeline.scenarios.run import Bench
from rules.language.loader import load_rules
from simulators.recording import shipped_rules

SCENARIOS = {scenario.name: scenario for scenario in reach_scenarios()}


@pytest.fixture(scope="module")
def bench():
    return Bench(load_rules(shipped_rules()))


def case(size: float, *, counts: bool, reached: bool) -> Case:
    return Case(scenario="x", seed=1, size=size, counts=counts, reached=reached, value=None)


def test_only_cases_of_the_size_that_is_asked_for_count_and_all_are_told():
    held = Aim(
        name="bursts", wanted=0.95, measure="share", bounds=(0.05, 0.2),
        cases=(case(0.01, counts=False, reached=False), case(0.05, counts=True, reached=True),
               case(0.1, counts=True, reached=False), case(0.9, counts=True, reached=True)),
    )  # fmt: skip
    assert held.share == pytest.approx(2 / 3)
    assert held.by_size() == [("below 0.05", 1, 0), ("0.05 … 0.2", 2, 1), ("from 0.2", 1, 1)]
    text = reach_section([held], seeds=4, first_seed=7)
    assert "| bursts | 95% | 67% | 3 |" in text
    assert "--seeds 4 --first-seed 7" in text
    assert Aim(name="x", wanted=1, measure="", bounds=(), cases=()).share is None


def test_a_build_up_is_forecast_before_the_red_limit_is_reached(bench):
    variant = drawn(SCENARIOS["methane-builds-up"], 1000)
    verdict = bench.play(variant)
    (found,) = aims([verdict])[0].cases
    incident = variant.incidents[0]
    row = variant.registry.channel_row[f"{incident.place}/ch4-01/vol"]
    shown = variant.city.samples(incident.begin_ns, incident.end_ns, np.array([row], np.int32))
    reached_ns = int(shown.t_ns[shown.value >= HALF_LEL_VOL].min())
    told_ns = min(a.episode.raised_ns for a in verdict.alarms
                  if a.episode.rule == "gas-ch4-forecast")  # fmt: skip
    assert found.value == pytest.approx((reached_ns - told_ns) / 1e9)
    assert found.reached == (found.value >= LEAD_S)
    assert found.reached
    assert found.size == pytest.approx((reached_ns - incident.begin_ns) / 3.6e12)


def test_a_burst_is_measured_against_the_inflow_and_placed_in_its_area(bench):
    verdict = bench.play(drawn(SCENARIOS["burst-of-a-main"], 1001))
    _, found, area, _ = aims([verdict])
    assert found.cases[0].size == pytest.approx(0.19, abs=0.01)
    assert found.cases[0].counts
    assert found.cases[0].reached
    assert area.cases[0].reached


def test_a_burst_of_a_sixteenth_is_told_against_the_areas_around(bench):
    verdict = bench.play(drawn(SCENARIOS["burst-of-a-main"], 1016))
    _, found, area, _ = aims([verdict])
    assert found.cases[0].size == pytest.approx(0.064, abs=0.002)
    assert found.cases[0].reached
    assert area.cases[0].reached
    assert "water-inflow-beyond" in {alarm.episode.rule for alarm in verdict.alarms}


def test_a_burst_too_small_to_be_seen_is_no_case(bench):
    verdict = bench.play(drawn(SCENARIOS["burst-of-a-main"], 1056))  # 1 % of the inflow
    _, found, area, _ = aims([verdict])
    assert found.cases[0].size < 0.05
    assert not found.cases[0].counts
    assert not found.cases[0].reached
    assert area.cases == ()  # what nobody told is in no area
