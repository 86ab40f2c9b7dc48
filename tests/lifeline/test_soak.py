"""The soak: a short slice holds its promises; slopes are told with what is known of them."""

from __future__ import annotations

import fcntl
import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.errors import Occupied
from lifeline.torture.processes import NAMES
from lifeline.torture.slope import WARM_S, slope_of
from lifeline.torture.soak import (
    RSS_MIB_HOUR,
    SAMPLE_S,
    SPARED,
    memory_of,
    run_slice,
    slices,
    spared_in,
    summed,
    untrue,
)
from lifeline.torture.soak_page import section

RELIABILITY = Path(__file__).parents[2] / "docs" / "reliability.md"


def life(minutes: float, *, per_hour: float, at: float, noise: float, seed: int):
    """A life sampled each 2 s, so many minutes of it after its caches were filled."""
    draw = np.random.default_rng(seed)
    age_s = np.arange(0, minutes * 60 + WARM_S, 2.0)
    warming = 80 * np.minimum(age_s / WARM_S, 1.0)
    return age_s, at + warming + per_hour * age_s / 3_600 + draw.normal(0, noise, len(age_s))


def test_a_leak_is_seen_over_lives_of_other_levels_and_flat_memory_is_not_one():
    levels = (100.0, 180.0, 140.0, 90.0)
    leaking = [life(15, per_hour=40, at=a, noise=1, seed=i) for i, a in enumerate(levels)]
    found = slope_of(leaking)
    assert found.lives == 4
    assert found.low < 40 < found.high
    assert found.verdict(16.0) == "grows"
    flat = [life(15, per_hour=0, at=a, noise=1, seed=i) for i, a in enumerate(levels)]
    assert slope_of(flat).verdict(16.0) == "flat"


def test_too_few_minutes_are_no_verdict():
    assert slope_of([life(2, per_hour=40, at=100, noise=1, seed=1)]).verdict(16.0) == "open"
    assert math.isnan(slope_of([]).per_hour)
    unsure = slope_of([life(4, per_hour=15, at=100, noise=9, seed=1)])
    assert unsure.low < 16 < unsure.high
    assert unsure.verdict(16.0) == "open"


def test_the_warming_up_of_a_life_does_not_count():
    found = slope_of([life(10, per_hour=0, at=100, noise=0.01, seed=1)])
    assert abs(found.per_hour) < 0.5


def test_a_step_is_no_slope_and_a_leak_beside_small_steps_is_one():
    """A table that doubles adds once; what is taken and given back, minute by minute, adds none."""
    age_s, flat = life(20, per_hour=0, at=100, noise=0.3, seed=1)
    stepped = slope_of([(age_s, flat + 6.0 * (age_s > WARM_S + 600))])
    assert stepped.per_hour > 16
    assert stepped.verdict(16.0) == "open"
    age_s, leaking = life(20, per_hour=20, at=100, noise=0.3, seed=2)
    sawn = slope_of([(age_s, leaking + 2.0 * (age_s / 170 % 1))])
    assert sawn.verdict(16.0) == "grows"
    assert sawn.low < 20 < sawn.high


def test_the_bounds_hold_where_minutes_hang_together():
    """Memory that wanders: nineteen bounds of twenty should hold the slope there is."""
    draw, held = np.random.default_rng(1), 0
    minutes = np.arange(0, 30 * 60 + WARM_S, 60.0)
    keeps = math.exp(-0.5)  # of a minute's deviation a minute later
    for _ in range(300):
        wandering = np.zeros(len(minutes))
        for at in range(1, len(minutes)):
            wandering[at] = keeps * wandering[at - 1] + draw.normal(0, 0.3)
        found = slope_of([(minutes, 100 + 20 * minutes / 3_600 + wandering)])
        held += found.low <= 20 <= found.high
    assert held >= 0.9 * 300


LEAKING = """
import sys, time
per_s, warm_s, began_s = float(sys.argv[1]), float(sys.argv[2]), time.monotonic()
held, size = [], 0
print("ready", flush=True)
while True:
    age_s = time.monotonic() - began_s
    due = 30 * 2**20 * min(age_s / warm_s, 1) + per_s * age_s
    while size < due:
        held.append(b"x" * 65_536)
        size += 65_536
    [bytes(200_000) for _ in range(20)]  # what every process does beside: take and give back
    time.sleep(0.002)
"""
"""Fills 30 MiB of caches in half of its warming up, and leaks so many bytes a second."""

FASTER = 150.0  # half an hour is 12 s


@pytest.mark.parametrize(("mib_hour", "verdict"), [(20, "grows"), (0, "flat")])
def test_a_process_that_leaks_20_mib_an_hour_is_found_within_half_an_hour(mib_hour, verdict):
    """A real process, its half hour in twelve seconds, sampled as a soak samples."""
    said = [str(mib_hour * 2**20 / 3_600 * FASTER), str(WARM_S / 2 / FASTER)]
    command = [sys.executable, "-c", LEAKING, *said]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as leaking:
        try:
            assert leaking.stdout.readline() == b"ready\n"
            began_s, samples = time.monotonic(), []
            while (age_s := (time.monotonic() - began_s) * FASTER) < 30 * 60:
                rss_mib, _ = memory_of(leaking.pid)
                samples.append((age_s, rss_mib))
                time.sleep(SAMPLE_S / FASTER)
        finally:
            leaking.kill()
    found = slope_of([tuple(np.array(samples).T)])
    assert found.verdict(RSS_MIB_HOUR) == verdict, found
    assert found.low <= mib_hour <= found.high or abs(found.per_hour - mib_hour) < 1


def test_each_process_is_never_killed_in_one_slice_of_two():
    for number in range(1, 11):
        assert len(set(spared_in(number))) == SPARED
        assert {*spared_in(number), *spared_in(number + 1)} == set(NAMES)


def test_our_own_memory_and_descriptors_are_told():
    rss_mib, fds = memory_of(os.getpid())
    assert 10 < rss_mib < 10_000
    assert fds >= 3


@pytest.fixture(scope="module")
def soaked(tmp_path_factory):
    """A slice of some seconds, after one that was broken off."""
    state = tmp_path_factory.mktemp("soak")
    (state / "city").mkdir()
    (state / "city" / "left").write_text("of a slice that was broken off")
    told = state / "figures.json"
    words = ["soak", "--state", str(state), "--minutes", "0.2", "--seed", "5", "--json", str(told)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return state, json.loads(told.read_text())


def test_a_slice_loses_nothing_and_leaves_only_its_figures(soaked):
    state, total = soaked
    assert untrue(total) == []
    assert (total["slices"], total["lost"], total["log_equal"]) == (1, 0, True)
    assert total["acknowledged"] > 100
    assert total["kills"] + total["outages"] > 0
    held = ["figures.json", "lock", "slice-00001.json"]
    assert [p.name for p in sorted(state.iterdir())] == held
    assert {name for name, *_ in slices(state)[0]["samples"]} == set(NAMES)


def test_slices_are_summed_and_what_is_broken_is_said(soaked):
    state, _ = soaked
    (one,) = slices(state)
    other = one | {"slice": 2, "lost": 3, "log_equal": False}
    samples = zip(
        *(x.tolist() for x in life(15, per_hour=60, at=100, noise=1, seed=1)), strict=True
    )
    other["samples"] = [("serve", 0, age_s, rss, 12) for age_s, rss in samples]
    total = summed([one, other])
    assert total["slices"] == 2
    assert total["acknowledged"] == 2 * one["acknowledged"]
    said = untrue(total)
    assert said[:2] == ["lost 3", "an event log is no fold of its journal"]
    assert said[2].startswith("serve: rss_mib grows by")
    assert total["processes"]["serve"]["fds"]["verdict"] == "flat"
    text = section(total, seed=5)
    assert "| serve | " in text
    assert "| grows |" in text
    assert "**Not held: lost 3; " in text
    assert "Not held" not in section(summed([one]), seed=5)


def test_two_soaks_do_not_share_a_state_folder(tmp_path):
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Occupied, match="another soak runs there"):
            run_slice(tmp_path, minutes=1, seed=1, stop=threading.Event())


def test_docs_reliability_has_the_soak():
    text = RELIABILITY.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if "readings, points or events lost" in line][1:]
    assert line.endswith("| **0** |")
    assert "lifeline soak --minutes" in text
