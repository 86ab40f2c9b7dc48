"""Every kind of incident, in a city: quiet before, there while it lasts, gone when it has faded."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from simulators.city import registry_of_city
from simulators.incidents import CODES, KINDS, Misplaced, Onset, truth_of
from simulators.physics.gas import box
from simulators.signals import Signals

DAY_S = 86_400
BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00
HOUR = 3600

# kind → (domain, asset type, or device; lasts; word of a channel; sign of its change)
WHERE = {
    "gas_leak": ("gas manhole", 2 * HOUR, "ch4", 1),
    "biogas": ("drain manhole h2s", 20 * HOUR, "ch4", 1),
    "regulator_overpressure": ("gas regulator", HOUR, "plp", 1),
    "main_rupture": ("gas regulator", HOUR, "pmp", -1),
    "digging": ("gas pipe", HOUR, "vib", 1),
    "bridge_overload": ("bridge span", 1200, "peak", 1),
    "overload_crowding": ("bridge span", 2400, "st-01/mean", 1),
    "collision": ("bridge span", DAY_S, "tl", 1),
    "cable_loss": ("bridge bridge cable_force", DAY_S, "cf-01", -1),
    "scour": ("bridge bridge", 5 * DAY_S, "tl", 1),
    "bearing_stuck": ("bridge bridge", 5 * DAY_S, "jt", None),
    "stiffness_loss": ("bridge span", 2 * DAY_S, "f1", -1),
    "creeping": ("bridge bridge", 40 * DAY_S, "cr", 1),
    "pipe_burst": ("water hydrant", HOUR, "q-01", 1),
    "slow_leak": ("water noise_logger", 20 * DAY_S, "q-01", 1),
    "washed_out": ("water noise_logger", 40 * DAY_S, "ln", 1),
    "water_quality": ("water quality_point", 2 * HOUR, "cl", -1),
    "storm": ("drain underpass", 3 * HOUR, "rain", 1),
    "sewer_surcharge": ("drain manhole", 2 * HOUR, "lvl", 1),
    "blockage": ("drain manhole", 4 * DAY_S, "lvl", None),
    "backwater": ("drain manhole", 6 * HOUR, "lvl", 1),
    "underpass_flood": ("drain underpass", 1800, "pond", 1),
    "illegal_discharge": ("drain pump_station conductivity", HOUR, "ec", 1),
    "sewer_gas": ("drain pump_station", HOUR, "h2s", 1),
    "cover_moved": ("drain manhole tilt", HOUR, "cover", 1),
    "heat_leak": ("heat heat_station", 4 * HOUR, "mu", 1),
    "under_supply": ("heat heat_station", 6 * HOUR, "supply", -1),
    "oxygen_loss": ("gallery gallery_section", 2 * HOUR, "o2", -1),
    "gallery_flood": ("gallery gallery_section", 2 * HOUR, "lvl", 1),
    "gallery_fire": ("gallery gallery_section", HOUR, "cable", 1),
    "intrusion": ("gallery gallery_section", HOUR, "door", 1),
    "tunnel_jam": ("tunnel tunnel_section", 2 * HOUR, "co", 1),
    "tunnel_fire": ("tunnel tunnel_section", HOUR, "ft", 1),
    "tunnel_flood": ("tunnel tunnel_section level", HOUR, "lvl", 1),
    "silent_gateway": ("device", HOUR, "", None),
    "lightning": ("device", 60, "", None),
}


@cache
def registry():
    return registry_of_city("bozhou", 5)


def place_of(where):
    r = registry()
    if where == "device":
        return r.devices.id[r.devices.kind.index("gateway")]
    domain, kind, *quantity = where.split()
    for row, name in enumerate(r.assets.id):
        if r.assets.domain[row] == domain and r.assets.asset_type[row] == kind:
            mine = [r.channels.quantity[i] for i in np.flatnonzero(r.channels.asset == row)]
            if set(quantity) <= set(mine):
                return name
    raise AssertionError(where)


@cache
def placed(kind):
    where, lasts, _, _ = WHERE[kind]
    return KINDS[kind](registry(), Onset(id=kind, place=place_of(where), begin_ns=BEGIN_NS,
                                         lasts_s=lasts))  # fmt: skip


def both(kind, word, since_s):
    """Return (rows, quiet, under) of channels with a word at seconds since the onset."""
    incident = placed(kind)
    rows = np.array(
        [r for r in incident.channels if word in registry().channels.id[r].partition("/")[2]]
    )
    t_ns = BEGIN_NS + (np.asarray(since_s) * 1e9).astype(np.int64)
    at, when = np.repeat(rows, len(t_ns)), np.tile(t_ns, len(rows))
    quiet = Signals(registry(), seed=5).quiet(at, when)
    shown = incident.apply(at, when / 1e9, quiet)
    return rows, quiet.reshape(len(rows), -1), shown.reshape(len(rows), -1)


def test_every_kind_is_tried_here_and_carries_its_code():
    assert set(WHERE) == set(KINDS)
    assert all(
        re.fullmatch(r"[GBWDHUTX][1-8](, [GBWDHUTX][1-8])*", code) for code in CODES.values()
    )
    spoken = {part for code in CODES.values() for part in code.split(", ")}
    wanted = {
        f"{letter}{i}"
        for letter, most in zip("GBWDHUTX", (5, 8, 4, 7, 2, 4, 3, 1), strict=True)
        for i in range(1, most + 1)
    }
    assert spoken == wanted


@pytest.mark.parametrize("kind", sorted(WHERE))
def test_an_incident_changes_nothing_before_its_onset_and_little_once_it_has_faded(kind):
    incident = placed(kind)
    if not len(incident.channels):
        assert len(incident.silenced) == 1
        return
    lasts = WHERE[kind][1]
    _, quiet, shown = both(kind, "", [-3600.0, -1.0])
    assert np.array_equal(quiet, shown)
    _, quiet, shown = both(kind, "", np.linspace(0, lasts, 50))
    assert np.isfinite(shown).all()
    touched = np.abs(shown - quiet).max(axis=1) > 1e-9
    assert touched.any()
    if incident.fades_s < 1e8:
        end = lasts + incident.fades_s
        assert not incident.active((BEGIN_NS / 1e9) + end + 1, (BEGIN_NS / 1e9) + end + 2)
        _, quiet, after = both(kind, "", [end])
        _, quiet_then, shown_then = both(kind, "", np.linspace(0, lasts, 50))
        largest = np.abs(shown_then - quiet_then).max(axis=1)
        assert np.all(np.abs(after - quiet).max(axis=1) <= 0.1 * largest + 1e-9)


@pytest.mark.parametrize("kind", sorted(k for k, (_, _, _, sign) in WHERE.items() if sign))
def test_an_incident_moves_what_it_is_told_by_to_its_side(kind):
    _, lasts, word, sign = WHERE[kind]
    rows, quiet, shown = both(kind, word, np.linspace(0.3 * lasts, lasts, 40))
    assert len(rows)
    moved = sign * (shown - quiet)
    assert moved.max() > 0
    assert moved.min() >= -1e-9
    quantities = {registry().channels.quantity[r] for r in placed(kind).channels}
    assert set(placed(kind).told_by) <= quantities | {"flow"}


@pytest.mark.parametrize("kind", sorted(WHERE))
def test_the_deadline_is_the_sum_its_words_name_and_the_truth_is_plain_data(kind):
    incident = placed(kind)
    parts = [float(x) for x in re.findall(r"(\d+) s", incident.why)]
    assert incident.deadline_s == pytest.approx(sum(parts), abs=2)
    (told,) = truth_of([incident], registry())
    assert told["code"] == CODES[kind]
    assert told["begin_ns"] < told["end_ns"]
    assert told["subjects"]


def test_a_leak_through_a_hole_fills_its_chamber_as_the_box_says():
    r = registry()
    place = place_of("gas manhole")
    leak = KINDS["gas_leak"](r, Onset(id="x", place=place, begin_ns=BEGIN_NS, lasts_s=7200,
                                      options={"leak_m3_h": 0.3}))  # fmt: skip
    row = r.channel_row[f"{place}/ch4-01/vol"]
    since = np.linspace(0, 7200, 60)
    got = leak.shape(np.full(60, row, np.int32), since, np.zeros(60))
    a = r.assets.attributes[r.asset_row[place]]
    want = box(0.3, a["volume_m3"], a["air_changes_h"], since / 3600)
    assert got == pytest.approx(want, abs=0.01)
    slow = KINDS["gas_leak"](r, Onset(id="x", place=place, begin_ns=BEGIN_NS, lasts_s=40_000,
                                      options={"leak_m3_h": 0.3, "soil_s": 10_000}))  # fmt: skip
    assert slow.deadline_s > 2 * leak.deadline_s
    later = slow.shape(np.full(60, row, np.int32), since, np.zeros(60))
    assert np.all(later <= got + 1e-9)


def test_a_burst_is_felt_most_where_it_is_and_only_its_area_draws_more():
    rows, quiet, shown = both("pipe_burst", "p-01", [1800.0])
    drop = (quiet - shown)[:, 0]
    r = registry()
    zones = np.array([r.assets.zone[r.channels.asset[i]] for i in rows])
    own = r.assets.zone[r.asset_row[placed("pipe_burst").place]]
    assert drop[zones == own].mean() > 1.5 * drop[zones != own].mean()
    flows = [i for i in placed("pipe_burst").channels if r.channels.quantity[i] == "flow"]
    assert {r.assets.zone[r.channels.asset[i]] for i in flows} == {own}


def test_a_fire_is_hottest_above_it_and_smoke_comes_later_far_downwind():
    rows, quiet, shown = both("tunnel_fire", "ft", np.arange(0.0, 1200, 10))
    rise = shown - quiet
    here = registry().asset_row[placed("tunnel_fire").place]
    own = int(np.flatnonzero(registry().channels.asset[rows] == here)[0])
    assert rise.max(axis=1).argmax() == own
    assert rise[own].max() > 200
    sight_rows, quiet, shown = both("tunnel_fire", "vis", np.arange(0.0, 1200, 10))
    begins = ((shown - quiet) > 0.002).argmax(axis=1)
    order = [registry().assets.attributes[registry().channels.asset[i]]["order"]
             for i in sight_rows]  # fmt: skip
    assert np.all(np.diff(begins[np.argsort(order)]) > 0)


def test_a_blocked_sewer_stands_above_and_runs_dry_below():
    rows, quiet, shown = both("blockage", "lvl", [3.5 * DAY_S])
    moved = (shown - quiet)[:, 0]
    names = [registry().assets.id[registry().channels.asset[r]] for r in rows]
    above = np.array([name <= placed("blockage").place for name in names])
    assert above.any()
    assert (~above).any()
    assert np.all(moved[above] > 0.5)
    assert np.all(moved[~above] < 0)


def test_a_stuck_bearing_follows_the_temperature_by_a_fifth():
    _, quiet, shown = both("bearing_stuck", "jt-01", np.arange(DAY_S, 4 * DAY_S, 1800.0))
    slope = np.polyfit(quiet[0], shown[0], 1)[0]
    assert slope == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("makeup", "severity"), [(0.8, 1), (1.04, 1), (1.06, 2), (2.1, 2), (2.2, 3)]
)
def test_a_leak_of_heating_promises_what_the_tightest_network_shows(makeup, severity):
    """A network that warms needs next to no make-up: 0.05 %, not the 0.25 % of a calm day."""
    where, lasts, _, _ = WHERE["heat_leak"]
    onset = Onset(id="x", place=place_of(where), begin_ns=0, lasts_s=lasts,
                  options={"makeup": makeup})  # fmt: skip
    assert KINDS["heat_leak"](registry(), onset).severity == severity


def test_digging_is_due_when_six_of_ten_minutes_had_a_strike():
    where, lasts, _, _ = WHERE["digging"]
    place = place_of(where)
    due = {}
    for busy in (1.0, 0.6):
        onset = Onset(id="x", place=place, begin_ns=0, lasts_s=lasts, options={"busy": busy})
        due[busy] = KINDS["digging"](registry(), onset).deadline_s / 60
    assert 6 + 1 <= due[1.0] < 10  # six minutes, a report and the alarm
    assert due[0.6] > due[1.0]


def test_a_kind_refuses_a_place_where_it_cannot_happen_and_a_size_that_alarms_nobody():
    r = registry()
    for kind, (_, lasts, _, _) in WHERE.items():
        with pytest.raises(Misplaced):
            KINDS[kind](r, Onset(id="x", place="341600-env-zz-000001", begin_ns=0, lasts_s=lasts))
    small = {"gas_leak": {"leak_m3_h": 1e-4}, "biogas": {"peak_vol": 0.2},
             "regulator_overpressure": {"peak_kpa": 2.5}, "main_rupture": {"drop_share": 0.05},
             "stiffness_loss": {"shift": 0.01}, "storm": {"period_a": 0.05},
             "heat_leak": {"makeup": 0.1}, "under_supply": {"short_k": 4},
             "oxygen_loss": {"floor": 20.5}, "tunnel_jam": {"emission": 0.2},
             "sewer_gas": {"h2s": 8}, "gallery_flood": {"mm_min": 0.5},
             "digging": {"busy": 0.05}}  # fmt: skip
    for kind, options in small.items():
        where, lasts, _, _ = WHERE[kind]
        with pytest.raises(Misplaced):
            KINDS[kind](r, Onset(id="x", place=place_of(where), begin_ns=0, lasts_s=lasts,
                                 options=options))  # fmt: skip
