from __future__ import annotations

import numpy as np
import pytest
from city_fixture import BEGIN_NS, MINUTE_NS, demo_registry

from rules.engine import Engine
from rules.language.compiler import compile_plan
from rules.language.loader import load_rules
from rules.readings import Readings, Record, Tick
from simulators.noise import normal, uniform, wander
from simulators.recording import shipped_rules
from simulators.signals import Signals
from simulators.signals.drivers import Drivers
from simulators.signals.vehicles import LEGAL_T, heaviest

DAY = np.arange(0, 1440) * MINUTE_NS + BEGIN_NS


def series(quantity, domain, *, word="", t_ns=DAY, seed=1):
    """Return channel id → values of a day for the channels of a domain's quantity."""
    registry = demo_registry()
    signals = Signals(registry, seed=seed)
    held = {}
    for row, name in enumerate(registry.channels.id):
        asset = registry.channels.asset[row]
        if registry.channels.quantity[row] != quantity or word not in name:
            continue
        if registry.assets.domain[asset] == domain:
            held[name] = signals.quiet(np.full(len(t_ns), row, np.int32), t_ns)
    return held


def test_signals_are_the_same_however_they_are_asked_for():
    registry = demo_registry()
    n = len(registry.channels.id)
    rows = np.tile(np.arange(n, dtype=np.int32), 20)
    t_ns = np.repeat(DAY[:20], n)
    whole = Signals(registry, seed=3).sample(rows, t_ns)
    again = Signals(registry, seed=3)
    shuffled = np.random.default_rng(1).permutation(len(rows))
    parts = [again.sample(rows[p], t_ns[p]) for p in np.array_split(shuffled, 7)]
    assert np.array_equal(np.concatenate(parts), whole[shuffled])
    assert not np.array_equal(Signals(registry, seed=4).sample(rows, t_ns), whole)


def test_noise_is_uniform_normal_and_forgets_with_its_time_constant():
    k = np.arange(200_000)
    u = uniform(12345, k)
    assert 0 < u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005
    assert abs(normal(99, k).std() - 1) < 0.01
    w = wander(7, k * 60.0, 600.0)
    assert abs(w.std() - 1) < 0.05
    assert np.corrcoef(w[:-1], w[1:])[0, 1] > 0.95
    assert abs(np.corrcoef(w[:-40], w[40:])[0, 1]) < 0.05


def test_the_heaviest_vehicle_agrees_with_drawing_every_vehicle():
    minutes = np.arange(20_000)
    got = heaviest(np.int64(5), minutes, np.full(len(minutes), 20.0))
    random = np.random.default_rng(2)
    drawn = np.zeros(4000)
    for i in range(len(drawn)):
        n = random.poisson(20)
        kind = random.choice(4, n, p=[0.87, 0.08, 0.024, 0.026])
        weight = np.select(
            [kind == 0, kind == 1, kind == 2, kind == 3],
            [
                random.normal(1.6, 0.4, n),
                6 * np.exp(0.35 * random.standard_normal(n)),
                random.normal(15, 3, n),
                random.normal(40, 4, n),
            ],
        )
        drawn[i] = min(weight.max(initial=0), LEGAL_T)
    for q in (0.25, 0.5, 0.75):
        assert np.quantile(got, q) == pytest.approx(np.quantile(drawn, q), rel=0.12)
    assert got.max() <= LEGAL_T


def test_girders_of_one_span_move_together():
    peaks = list(series("strain", "bridge", word="sp-000001/st").values())
    assert np.corrcoef(peaks[0], peaks[2])[0, 1] > 0.8


def test_a_joint_closes_as_the_deck_warms():
    week = np.arange(0, 7 * 1440, 10) * MINUTE_NS + BEGIN_NS
    opening = next(iter(series("displacement", "bridge", t_ns=week).values()))
    deck = Drivers(1).structure(week / 1e9)
    assert np.corrcoef(opening, deck)[0, 1] < -0.95


def test_pressure_falls_when_a_metered_area_draws():
    pressure = next(iter(series("pressure", "water", word="hy-000002").values()))
    flow = next(iter(series("flow", "water", word="dm-000001").values()))
    assert np.corrcoef(pressure, flow)[0, 1] < -0.7


def test_nothing_a_city_uses_jumps_with_the_date():
    """Weekends differ from other days, but come and go over three hours round midnight."""
    drivers = Drivers(3)
    month = BEGIN_NS / 1e9 + np.arange(30 * 1440) * 60.0
    for used in (drivers.demand, drivers.gas_demand, drivers.traffic):
        values = used(month)
        assert np.abs(np.diff(values)).max() < 0.03  # of the mean, a minute
    share = drivers.weekend_share(month)
    assert (share.min(), share.max()) == (0, 1)
    middle = np.abs(drivers.hour(month) - 12) < 10  # away from midnight
    assert np.array_equal(share[middle], drivers.weekend(month)[middle])
    free = drivers.weekend(month) & (np.abs(drivers.hour(month) - 7.5) < 0.1)
    usual = ~drivers.weekend(month) & (np.abs(drivers.hour(month) - 7.5) < 0.1)
    demand = drivers.demand(month)
    assert demand[free].mean() < 0.8 * demand[usual].mean()  # people rise later


def test_sewers_feel_rain_ten_to_forty_minutes_later():
    year = np.arange(0, 360 * 1440, 5) * 60.0 + BEGIN_NS / 1e9
    drivers = Drivers(1)
    rain = drivers.rain(year)
    wet = np.flatnonzero(rain > 0.5)[0]
    near = slice(wet - 60, wet + 120)
    rain, felt = rain[near], drivers.runoff(year[near])
    lags = [np.corrcoef(rain[: len(rain) - k], felt[k:])[0, 1] for k in range(20)]
    assert 10 <= 5 * int(np.argmax(lags)) <= 45
    events = np.count_nonzero(np.diff((drivers.rain(year) > 0.05).astype(int)) == 1)
    assert 50 < events < 140


def test_heating_is_warmer_when_it_is_colder():
    week = np.arange(0, 5 * 1440, 10) * MINUTE_NS + BEGIN_NS
    supply = next(iter(series("temperature", "heat", word="supply", t_ns=week).values()))
    air = Drivers(1).air(week / 1e9 - 3600)
    assert np.corrcoef(supply, air)[0, 1] < -0.9


def test_co_and_visibility_of_a_tunnel_go_together():
    co = next(iter(series("co", "tunnel").values()))
    k = next(iter(series("visibility", "tunnel").values()))
    assert np.corrcoef(co, k)[0, 1] > 0.7


def test_a_quiet_day_raises_nothing_under_the_shipped_rules():
    registry = demo_registry()
    plan, _ = compile_plan(load_rules(shipped_rules()), registry)
    engine = Engine(plan, registry)
    rows = np.array(
        [i for i, q in enumerate(registry.channels.quantity) if q != "heartbeat"], np.int32
    )
    signals = Signals(registry, seed=20260301)
    events, offset = [], 0
    for hour in range(26):  # over the warm-up of a day
        begin_ns = BEGIN_NS + hour * 60 * MINUTE_NS
        t_ns = np.repeat(begin_ns + np.arange(60) * MINUTE_NS, len(rows))
        channel = np.tile(rows, 60)
        values = signals.sample(channel, t_ns)
        records = []
        for minute in range(60):
            at = slice(minute * len(rows), (minute + 1) * len(rows))
            columns = {"channel": channel[at], "judged_ns": t_ns[at], "value": values[at]}
            columns["device"] = registry.channels.device[channel[at]]
            columns["sequence"] = np.full(len(rows), hour * 60 + minute)
            records.append(Record(offset, Readings.of(columns)))
            ticks = (t_ns[at][0] + s for s in (0, 20_000_000_000, 40_000_000_000))
            records += [Record(offset + 1 + i, Tick(int(t))) for i, t in enumerate(ticks)]
            offset += 4
        events += engine.fold(records)
    ours = [e for e in events if e.subject != "410100-env-gw-000001"]  # nobody beats its heart here
    assert [(e.type, e.rule, e.subject, e.value) for e in ours] == []
    assert len(plan.channel_rules) > 20
