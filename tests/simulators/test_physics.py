"""The generator's formulas against balances, published figures and EPANET."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from simulators.hydraulics import solve
from simulators.hydraulics.tables import BURST_M3_H, net3
from simulators.physics import bridges, drainage, gas, heating, tunnels, water

HOURS = np.linspace(0, 12, 200)


def test_a_box_keeps_the_mass_it_is_given():
    """What flowed in is what is inside and what was aired out."""
    q, v, n = 0.4, 3.0, 0.25
    inside = gas.box(q, v, n, HOURS) / 100
    gained = q * np.trapezoid(1 - inside, HOURS)  # the source pushes mixture out of a full box
    lost = n * v * np.trapezoid(inside, HOURS)
    assert v * inside[-1] == pytest.approx(gained - lost, rel=1e-3)


def test_the_box_agrees_with_a_solver_when_wind_changes_the_air():
    step_h = 1 / 60
    hours = np.arange(0, 8, step_h)
    q = np.where(hours > 2, 0.5, 0.0)
    n = gas.air_changes(0.2, 3 + 2 * np.sin(hours), np.full(len(hours), 4.0))
    got = gas.box_series(q, 3.0, n, step_h, first=0.3)

    def rate(t, c):
        i = min(int(t / step_h + 1e-9), len(hours) - 1)
        return q[i] * (1 - c / 100) / 3.0 * 100 - n[i] * c

    want = solve_ivp(rate, (0, 8), [0.3], t_eval=hours, max_step=step_h / 2, rtol=1e-8).y[0]
    assert np.abs(got - want).max() < 0.02


@pytest.mark.parametrize(
    ("limit", "q", "v", "n", "minutes"),
    [
        (1, 0.05, 3, 0.2, 39),
        (2.5, 0.05, 3, 0.2, 109),
        (5, 0.5, 3, 0.2, 19),
        (1, 10, 2000, 0.3, 185),
    ],
)
def test_chambers_fill_in_the_times_worked_out_by_hand(limit, q, v, n, minutes):
    assert gas.seconds_to(limit, q, v, n) / 60 == pytest.approx(minutes, rel=0.03)
    reached = gas.box(q, v, n, np.array([gas.seconds_to(limit, q, v, n) / 3600]))
    assert reached[0] == pytest.approx(limit)


def test_a_plateau_below_the_limit_is_never_reached():
    assert gas.seconds_to(2.0, 10, 2000, 0.3) == np.inf


def test_a_choked_hole_follows_its_pressure_and_a_small_one_its_root():
    """Above 1.84 atmospheres flow is proportional to absolute pressure, below to sqrt(Δp)."""
    assert gas.hole_flow(5, 500) / gas.hole_flow(5, 200) == pytest.approx(601.3 / 301.3, rel=1e-3)
    assert gas.hole_flow(5, 4) / gas.hole_flow(5, 1) == pytest.approx(2.0, rel=0.03)
    area = np.pi * 0.0025**2
    liquid = 0.62 * area * np.sqrt(2 * 1000 / gas.METHANE_KG_M3) * 3600  # Bernoulli at 1 kPa
    assert gas.hole_flow(5, 1) == pytest.approx(liquid, rel=0.02)


def test_a_chicago_storm_rains_its_design_depth_over_the_whole_and_round_the_peak():
    for minutes in (30.0, 60.0, 120.0):
        t = np.arange(0, minutes, 0.05)
        mean = drainage.chicago(20, minutes, t).mean()
        assert mean == pytest.approx(float(drainage.design_intensity(20, minutes)), rel=0.005)
    t = np.arange(0, 120, 0.05)
    rain = drainage.chicago(20, 120, t)
    inner = (t >= 48 - 0.4 * 30) & (t < 48 + 0.6 * 30)
    assert rain[inner].mean() == pytest.approx(float(drainage.design_intensity(20, 30)), rel=0.01)
    assert drainage.design_intensity(1, 60) == pytest.approx(35, abs=0.5)
    assert drainage.design_intensity(50, 60) == pytest.approx(80, abs=0.5)


def test_routing_keeps_the_water_and_peaks_when_it_should():
    burst = np.zeros(2000)
    burst[0] = 1.0
    felt = drainage.routed(burst, 20.0)
    assert felt.sum() == pytest.approx(1.0, abs=1e-6)
    assert abs(int(np.argmax(felt)) - 20) <= 1


def test_a_pipe_half_full_carries_half_of_what_it_carries_full():
    full = drainage.manning_full(1.0, 0.002)
    by_hand = np.pi / 4 * 0.25 ** (2 / 3) * 0.002**0.5 / 0.013
    assert full == pytest.approx(by_hand)
    one = np.array([1.0])
    assert drainage.normal_depth(full * one / 2, one, 0.002 * one)[0] == pytest.approx(
        0.5, abs=1e-3
    )
    assert drainage.normal_depth(10 * full * one, one, 0.002 * one)[0] > 0.9


def test_the_rational_method_and_a_sag_fill_an_underpass_as_worked_out_by_hand():
    """One hectare, 80 mm/h, no pump: 0.2 m3/s, 25 cm of a 2 000 m sag after ten minutes."""
    q = float(drainage.rational(0.9, 80, 1.0))
    assert q == pytest.approx(0.2, abs=0.001)
    depth = drainage.sag_depth(np.full(601, q), np.zeros(601), 2000, 1.0)
    assert 100 * depth[600] == pytest.approx(25, abs=1)
    assert 2000 * depth[600] ** 2 == pytest.approx(q * 600)
    pumped = drainage.sag_depth(
        np.append(np.full(60, q), np.zeros(60)), np.full(120, 0.25), 2e3, 60
    )
    assert np.all(pumped == 0)


def test_bridges_of_30_and_60_m_swing_as_measured_ones_do():
    assert bridges.first_frequency(30.0) == pytest.approx(4.0, abs=0.05)
    assert bridges.first_frequency(60.0) == pytest.approx(2.1, abs=0.05)


def test_cold_stiffens_a_bridge_and_frost_three_times_as_much():
    f = bridges.softened(np.array([30.0, 20.0, 10.0, 0.0, -10.0]))
    assert f[1] == 1
    assert np.diff(f) == pytest.approx([0.01, 0.01, 0.01, 0.03])
    assert 1 - bridges.stiffness_lost(0.0591) == pytest.approx(0.03, abs=1e-4)


def test_a_joint_of_200_m_of_concrete_moves_60_mm_in_30_kelvin():
    moved = np.diff(bridges.joint(np.array([0.0, 30.0]), 200.0))
    assert moved[0] == pytest.approx(60)


def test_a_vehicle_is_on_a_span_for_its_length_over_its_speed():
    t = np.arange(-1, 5, 0.001)
    on = bridges.influence(t, 30.0, 15.0)
    assert (on > 0).sum() * 0.001 == pytest.approx(2.0, abs=0.01)
    assert t[np.argmax(on)] == pytest.approx(1.0, abs=0.002)


def test_the_heat_a_pipe_loses_is_what_its_wall_lets_through():
    """Heating balance: m cp ΔT = ∫ k (T − soil) dx."""
    length, flow = 2000.0, 100.0
    x = np.linspace(0, length, 2001)
    cel = heating.cooled(np.full(2001, 95.0), np.full(2001, 12.0), x, np.full(2001, flow))
    wall_kw = np.trapezoid(heating.PIPE_W_M_K * (cel - 12.0), x) / 1000
    carried = heating.heat_kw(np.array([flow]), cel[:1], cel[-1:])[0]
    assert carried == pytest.approx(wall_kw, rel=1e-3)
    assert 0.3 < cel[0] - cel[-1] < 3


def test_the_supply_curve_and_what_comes_back():
    air = np.array([-30.0, 5.0, 20.0])
    assert heating.supply(air).tolist() == [120.0, 75.0, 60.0]
    assert heating.returned(np.array([75.0]))[0] == pytest.approx(75 - 0.45 * 55)
    assert heating.contraction(2400, 2.0) == pytest.approx(2400 * 5.5e-4 * 2)


def test_tunnel_air_reaches_the_balance_of_emission_and_fresh_air():
    """V dC/dt = E − Q C from clean air ends where E = Q C."""
    vehicles, speed, km = 1500.0, 15.0, 1.2
    air = float(tunnels.fresh_air(np.array([vehicles]), np.array([speed]))[0])
    grams = 0.7 * vehicles * km / 3600 * float(tunnels.emission_factor(speed))
    volume = km * 1000 * tunnels.SECTION_M2
    end = solve_ivp(lambda _, c: (grams - air * c) / volume, (0, 6 * 3600), [0.0], rtol=1e-8)
    want = end.y[0][-1] * 1000 / tunnels.MG_M3_PER_PPM + tunnels.AMBIENT_PPM
    got = tunnels.steady_co(np.array([vehicles]), np.array([speed]), km)[0]
    assert got == pytest.approx(want, rel=1e-4)
    assert got == pytest.approx(36, abs=2)
    assert tunnels.steady_co(np.array([4000.0]), np.array([60.0]), 1.2)[0] == pytest.approx(
        8, abs=1
    )
    assert tunnels.time_constant_s(vehicles, speed, km) == pytest.approx(volume / air)


def test_a_fast_fire_is_a_megawatt_after_147_s_and_alpert_gives_its_ceiling():
    at = np.sqrt(1000 / tunnels.FAST)
    assert tunnels.fire_kw(np.array([at]), tunnels.FAST, 1e5)[0] == pytest.approx(1000)
    assert tunnels.ceiling_rise(np.array([1000.0]), 5.0)[0] == pytest.approx(
        5.38 * (1000 / 5) ** (2 / 3) / 5.5
    )
    rises = tunnels.ceiling_rise(np.full(4, 5000.0), np.array([5.0, 20.0, 60.0, 200.0]))
    assert np.all(np.diff(rises) < 0)


def test_bursts_and_their_waves_are_those_of_torricelli_and_joukowsky():
    assert [round(water.orifice_flow(d, 30)) for d in (30, 50, 100)] == [37, 103, 412]
    speed = 50 / 3600 / (np.pi * 0.1**2)
    assert water.shock_kpa(50, 200) == pytest.approx(998 * 1100 * speed / 2000)
    assert water.leakage(10, 400, 100, 0.5) == pytest.approx(20)
    assert water.heard_db(40, 100, 0.2) == 20


def test_biogas_grows_by_seven_percent_a_kelvin():
    made = gas.biogas(1.0, np.array([20.0, 21.0]), np.array([1.0, 1.0]))
    assert made[1] / made[0] == pytest.approx(1.07)


def test_pressures_between_the_levels_solved_ahead_are_those_epanet_finds():
    wn, table = solve.network(), net3()
    assert tuple(wn.junction_name_list) == table.name
    node = np.arange(len(table.name))
    for demand in (0.47, 0.83, 1.62):
        for pump in (0, 1):
            want = solve.steady(wn, demand, pump=pump)
            got = table.pressure(node, np.full(len(node), demand), np.full(len(node), float(pump)))
            lived = np.isin(node, np.concatenate([table.lived_in(a) for a in range(6)]))
            assert np.abs(got - want)[lived].max() < 5.0, (demand, pump)


def test_what_a_burst_takes_from_each_junction_is_what_epanet_finds():
    wn, table = solve.network(), net3()
    node = np.concatenate([table.lived_in(a) for a in range(6)])
    for at, size, demand in ((node[3], 100.0, 0.9), (node[40], 60.0, 0.4), (node[60], 250.0, 1.4)):
        name = table.name[at]
        want = solve.steady(wn, demand, pump=0) - solve.steady(
            wn, demand, pump=0, burst=(name, size)
        )
        got = table.drop(int(at), size, node, np.full(len(node), demand))
        assert np.abs(got - want[node]).max() < max(3.0, 0.15 * want[node].max()), name


def test_bursts_are_felt_most_where_they_are():
    table = net3()
    for area in range(6):
        for at in table.lived_in(area)[:4]:
            nodes = np.arange(len(table.name))
            drop = table.drop(int(at), BURST_M3_H[2], nodes, np.full(len(nodes), 1.0))
            assert drop[at] >= 0.95 * np.quantile(drop, 0.9)


def test_the_mean_of_the_storm_is_its_integral():
    whole, _ = quad(lambda m: float(drainage.chicago(10, 60, np.array([m]))[0]), 0, 60, points=[24])
    assert whole / 60 == pytest.approx(float(drainage.design_intensity(10, 60)), rel=1e-6)
