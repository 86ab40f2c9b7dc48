"""A settled support and a heating substation with faults: what is scored, and that it can fail."""

import os
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lifeline.bench import heat_station, settlement
from lifeline.bench.datasets_kept import Kept, load
from lifeline.bench.datasets_page import page
from lifeline.bench.experiments import experiments
from lifeline.bench.heat_rules import rules_text, tune
from rules.language.loader import load_rules
from simulators.datasets import Absent
from simulators.heat_station import APART_NS, HOUR_NS, KINDS, Lines, read_lines, seasons, spoil

ROOT = Path(__file__).parents[2]
DATASETS = Path(os.environ.get("LIFELINE_DATASETS", str(ROOT.parent / "shared" / "data")))
DAY = datetime(2022, 4, 11, 8, 36, tzinfo=UTC)


def strain(folder, name, *, begin, level, minutes=11):
    """A record of five lines a second, in which a load stands for a minute."""
    random = np.random.default_rng(len(name))
    lines = ["Time (-),DMS_CN (um/m)"]
    for turn in range(minutes * 300):
        load = 7.0 if 1800 <= turn < 2100 else 0.0
        at = begin + timedelta(seconds=turn / 5)
        value = level + load + random.normal(0, 0.5)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d},{value:.3f}")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}At100Hz.csv.zip", "w") as packed:
        packed.writestr("a.csv", "\n".join(lines) + "\n")


def bridge(folder, *, shift):
    later = DAY + timedelta(minutes=44)
    settled = folder / "Settlements"
    strain(settled, "X_2022-04-11_ref_support_load_01DMS_CN", begin=DAY, level=0.3)
    strain(settled, "X_2022-04-11_support_load_01DMS_CN", begin=later, level=0.3 + shift)
    strain(folder / "ReferenceState", "ReferenceStateDMS_CN", begin=DAY, level=-145.0)


def test_a_settled_support_is_told_and_no_reference_state_is(tmp_path):
    bridge(tmp_path, shift=34.0)
    told = settlement.judge(tmp_path)
    assert [one.right for one in told] == [True, True, None, None, None, True]
    assert [one.raised for one in told[:2]] == [0, 0]
    whole = told[-1]
    assert (whole.raised, whole.level) == (1, 3)
    assert 180 <= whole.after_s <= 190  # three minutes of hold
    assert abs(whole.shift_um_m - 34) < 0.5
    assert "| reference, then its settled record | 34.0 |" in page([], told, [])
    Kept(told=told).save(tmp_path / "kept.json")
    assert [one.as_json() for one in load(tmp_path / "kept.json").told] == [
        one.as_json() for one in told
    ]


def test_a_shift_too_small_for_the_rule_is_judged_not_as_wanted(tmp_path):
    bridge(tmp_path, shift=5.0)
    said = []
    told, _ = experiments(tmp_path.parent, [], seeds=1, tell=said.append)
    assert told == []
    told = settlement.judge(tmp_path)
    assert (told[-1].right, told[-1].raised, told[1].right) == (False, 0, True)
    assert "**no**" in page([], told, [])


def test_without_its_records_the_settlement_is_left_out(tmp_path):
    with pytest.raises(Absent, match="is not there"):
        settlement.judge(tmp_path)
    said = []
    assert experiments(tmp_path, ["munich_bridge"], seeds=1, tell=said.append) == ([], {})
    assert "settlement: left out" in said[0]


def station(*, year, days=60, seed=0):
    """A substation that heats all day: what belongs together does, but for noise."""
    hours = days * 24
    begin = int(datetime(year, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
    random = np.random.default_rng([seed, year])
    amb = 5 + 6 * np.sin(np.arange(hours) / 24 * 2 * np.pi) + np.arange(hours) % 100 / 50
    ref = 50 - 0.4 * amb
    sup = ref + random.normal(0, 0.3, hours)
    ret = 8 + 0.65 * sup + random.normal(0, 0.3, hours)
    prim = 85 + random.normal(0, 2, hours)
    back = -18 + 1.7 * ret - 0.05 * prim + random.normal(0, 0.3, hours)
    power = 36 * (sup - ret) + random.normal(0, 5, hours)
    energy = np.cumsum(power) / 1000
    named = {"t_amb": amb, "t_ref": ref, "t_sup_prim": prim, "t_ret_prim": back,
             "t_sup_sec": sup, "t_ret_sec": ret, "e": energy, "pe": power}  # fmt: skip
    return Lines(begin + np.arange(hours) * HOUR_NS, named)


def test_faults_are_drawn_by_seed_apart_and_change_what_belongs_to_them():
    lines = station(year=2020)
    spoilt, told = spoil(lines, seed=3)
    again, same = spoil(lines, seed=3)
    assert told == same
    assert all(np.array_equal(spoilt.of[name], again.of[name]) for name in lines.of)
    assert told != spoil(lines, seed=4)[1]
    assert len(told) >= 5
    assert set(Counter(fault.kind for fault in told).values()) == {1}
    assert all(b.begin_ns - a.end_ns >= APART_NS for a, b in pairwise(told))
    outside = np.ones(len(lines.t_ns), np.bool_)
    for fault in told:
        outside &= (lines.t_ns < fault.begin_ns) | (lines.t_ns >= fault.end_ns)
    for name in ("t_sup_sec", "t_ret_sec", "t_ret_prim", "pe"):
        assert np.array_equal(spoilt.of[name][outside], lines.of[name][outside])
        assert not np.array_equal(spoilt.of[name], lines.of[name])


@pytest.mark.parametrize(("kind", "less", "more", "same"), [
    ("leak", ["t_ret_sec", "t_ret_prim"], ["pe"], ["t_sup_sec"]),
    ("under_supply", ["t_sup_sec", "t_ret_sec", "pe"], [], ["t_ref"]),
    ("over_supply", [], ["t_sup_sec", "t_ret_sec", "pe"], ["t_ref"]),
    ("drift_supply", [], [], ["t_sup_sec"]),
    ("meter_stops", ["pe"], [], ["t_sup_sec", "t_ret_sec"]),
])  # fmt: skip
def test_each_kind_moves_its_channels(kind, less, more, same):
    lines = station(year=2020)
    for seed in range(40):
        spoilt, told = spoil(lines, seed=seed)
        fault = next((one for one in told if one.kind == kind), None)
        if fault is not None:
            break
    at = (lines.t_ns >= fault.begin_ns) & (lines.t_ns < fault.end_ns)
    moved = {name: (spoilt.of[name] - lines.of[name])[at] for name in lines.of}
    assert all((moved[name][1:] < 0).all() for name in less)
    assert all((moved[name][1:] > 0).all() for name in more)
    assert all((moved[name] == 0).all() for name in same)
    if kind == "meter_stops":
        assert np.abs(np.diff(spoilt.of["e"][at])).max() < 1e-9


def test_a_tuning_finds_what_belongs_together_and_its_rules_load():
    relations, still_hours = tune([station(year=2020), station(year=2021)])
    held = {one.name: one for one in relations}
    assert held["return"].by["t_sup_sec"] == pytest.approx(0.65, abs=0.05)
    assert held["primary"].by["t_ret_sec"] == pytest.approx(1.7, abs=0.1)
    assert held["power"].offset == pytest.approx(36, abs=0.5)
    assert 1.0 < held["supply"].high < 2.5
    assert still_hours == 6
    text = rules_text(relations, still_hours, kw=300.0, seasons=2)
    rules = load_rules({"station.yaml": text})
    assert len(rules.rules) == 11


def test_faults_of_a_station_are_found_and_smaller_ones_less(tmp_path):
    folder = tmp_path / "xai4heat"
    folder.mkdir()
    text = station(year=2020).text() + "".join(
        station(year=2021, seed=1).text().splitlines(keepends=True)[1:]
    )
    (folder / "scada_L1.csv").write_text(text)
    lines = read_lines(folder / "scada_L1.csv")
    assert [len(season.t_ns) for season in seasons(lines)] == [1440, 1440]
    said = []
    _, scores = experiments(tmp_path, ["xai4heat"], seeds=1, tell=said.append)
    whole, half = scores.values()
    kept = Kept(scores=scores)
    kept.save(tmp_path / "kept.json")
    assert load(tmp_path / "kept.json").scores == scores
    assert whole.unspoilt == 0
    assert whole.missed.total() == 0
    assert whole.f05 >= 0.8
    assert half.found.total() <= whole.found.total()
    assert "reached" in said[0]
    written = page([], [], list(scores.items()))
    assert f"| faults as drawn, 1 seeds | {whole.f05:.2f} |" in written
    tiny = heat_station.judge(folder / "scada_L1.csv", seeds=1, size=0.01)  # what nobody could see
    unseen = {"under_supply", "over_supply", "leak", "drift_return", "drift_primary"}
    assert not unseen & set(tiny.found)


def test_one_season_is_too_little(tmp_path):
    (tmp_path / "a.csv").write_text(station(year=2020).text())
    with pytest.raises(ValueError, match="1 heating seasons with enough lines, 2 needed"):
        heat_station.judge(tmp_path / "a.csv", seeds=1)


def test_the_score_counts_what_it_says():
    score = heat_station.Score("x", 1, 1, 1, "")
    score.found.update({"leak": 8})
    score.missed.update({"stuck": 2})
    score.false = 2
    assert score.precision == pytest.approx(0.8)
    assert score.recall == pytest.approx(0.8)
    assert score.f05 == pytest.approx(0.8)
    assert [kind for kind, _, _ in heat_station.table_of(score)] == list(KINDS)


def test_the_real_settlement_is_told():
    if not (DATASETS / "munich_bridge").is_dir():
        pytest.skip(f"the data sets are not at {DATASETS}: set LIFELINE_DATASETS to their folder")
    told = settlement.judge(DATASETS / "munich_bridge")
    assert [one.right for one in told if one.right is not None] == [True, True, True]
