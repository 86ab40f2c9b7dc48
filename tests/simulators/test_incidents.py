from __future__ import annotations

import numpy as np
import pytest
from city_fixture import BEGIN_NS, MINUTE_NS, demo_recording, demo_registry, demo_replayed

from ingest.codecs import compact
from rules.problems import Invalid
from simulators.recording import open_recording
from simulators.scenario import load_scenario, scenario_of, shipped
from simulators.signals import Signals

SECOND_NS = 1_000_000_000


def placed(kind):
    registry = demo_registry()
    incidents = load_scenario("demo").place(registry, BEGIN_NS)
    return registry, next(i for i in incidents if i.kind == kind)


def under(registry, incident, word, minutes):
    """Return id → values per minute since the onset, for the incident's channels with a word."""
    signals = Signals(registry, seed=1, changes=[incident])
    t_ns = incident.begin_ns + np.asarray(minutes) * MINUTE_NS
    return {
        registry.channels.id[row]: signals.sample(np.full(len(t_ns), row, np.int32), t_ns)
        for row in incident.channels
        if word in registry.channels.id[row]
    }


def test_every_incident_of_the_demo_is_alarmed_within_its_deadline_and_nothing_else():
    _, meta = demo_recording()
    events = demo_replayed().events
    rising = [e for e in events if e.type in ("RAISED", "ESCALATED") and e.severity]
    for incident in meta["incidents"]:
        due_ns = incident["begin_ns"] + incident["deadline_s"] * SECOND_NS
        hits = [
            e
            for e in rising
            if e.subject in incident["subjects"]
            and e.severity >= incident["severity"]
            and incident["begin_ns"] <= e.receive_ns <= due_ns
        ]
        assert hits, f"{incident['id']} was not alarmed: {incident['deadline_why']}"
    expected = {s for incident in meta["incidents"] for s in incident["subjects"]}
    assert [(e.rule, e.subject) for e in rising if e.subject not in expected] == []
    last = max(i["begin_ns"] + i["deadline_s"] * SECOND_NS for i in meta["incidents"])
    assert last < BEGIN_NS + 45 * MINUTE_NS  # leaves a quarter of an hour for a start


def test_a_leak_follows_the_box_model_and_its_neighbours_follow_late_and_weaker():
    registry, leak = placed("gas_leak")
    held = under(registry, leak, "ch4", range(-5, 61))
    here = held[f"{leak.place}/ch4-01/vol"]
    neighbour = held["410100-gas-mh-000011/ch4-01/vol"]
    attributes = registry.assets.attributes[registry.asset_row[leak.place]]
    # the box model by small steps, from the source's own equation
    c, stepped = 0.0, []
    for second in range(16 * 60):
        if second % 60 == 0:
            stepped.append(100 * c)
        c += 0.5 / 3600 * (1 - c) / attributes["volume_m3"]
        c -= attributes["air_changes_h"] / 3600 * c
    assert here[5:21] == pytest.approx(stepped, abs=0.08)
    assert here[:5].max() < 0.1
    assert here[-1] < here.max() / 10  # aired after the repair
    lag = int(np.argmax(neighbour > 0.3) - np.argmax(here > 0.3 / 0.45))
    assert 4 <= lag <= 7
    assert 0.2 < (neighbour.max() - 0.02) / here.max() < 0.6


def test_a_burst_lowers_pressure_most_near_it_and_raises_the_inflow():
    registry, burst = placed("pipe_burst")
    pressure = under(registry, burst, "/p-01/", [-1, 3])
    drops = {name: values[0] - values[1] for name, values in pressure.items()}
    assert max(drops, key=drops.get).startswith(burst.place)
    assert all(drop > 10 for drop in drops.values())
    flow = next(iter(under(registry, burst, "/q-01/", [-1, 3, 120]).values()))
    assert 200 < flow[1] - flow[0] < 420
    assert abs(flow[2] - flow[0]) < 150  # repaired


def test_an_overload_lifts_every_girder_and_the_weighing_strip():
    registry, convoy = placed("bridge_overload")
    peaks = under(registry, convoy, "/peak", range(8))
    assert max(float(v.max()) for v in peaks.values()) > 150
    assert next(iter(under(registry, convoy, "wim", range(8)).values())).min() > 100
    assert max(float(v.max()) for v in under(registry, convoy, "/peak", [10, 11]).values()) < 90


def test_an_underpass_fills_as_the_volume_says_and_is_pumped_dry():
    registry, flood = placed("underpass_flood")
    depth = next(iter(under(registry, flood, "pond", range(70)).values()))
    inflow = 0.9 * 85 / 3.6e6 * 1e4
    volume = inflow * (12 * 60 - 150)
    assert depth[12] == pytest.approx(100 * (volume / 2000) ** 0.5, abs=0.2)
    assert depth[20] > 25
    assert np.all(np.diff(depth[:21]) >= -0.2)
    assert depth[-1] < 3


def test_a_silent_gateway_says_nothing_and_starts_anew_with_a_new_boot():
    folder, meta = demo_recording()
    silence = next(i for i in meta["incidents"] if i["kind"] == "silent_gateway")
    events = [e for e in demo_replayed().events if e.subject == silence["place"]]
    assert [e.type for e in events] == ["RAISED", "CLEARED"]
    assert silence["end_ns"] <= events[1].receive_ns <= silence["end_ns"] + 2 * MINUTE_NS
    with open_recording(folder) as recording:
        frames = [f for step in recording.arrivals() if isinstance(step, list) for f in step]
    path = f"lifeline/v1/{silence['place']}/up"
    spoken = [f for f in frames if f.path == path and f.payload[:2] == b"CL"]
    boots = {f.receive_ns: compact.decode(f.payload).boot for f in spoken}
    assert {b for t, b in boots.items() if t < silence["begin_ns"]} == {1}
    assert {b for t, b in boots.items() if t >= silence["end_ns"]} == {2}
    assert not [t for t in boots if silence["begin_ns"] + SECOND_NS < t < silence["end_ns"]]


def test_the_counts_of_a_simulated_hour_add_up():
    _, meta = demo_recording()
    assert meta["readings_acked"] == meta["readings_sent"] - meta["readings_lost_injected"]
    heartbeats = 120
    assert meta["readings"] == (
        meta["readings_acked"] + meta["readings_duplicated_injected"] + heartbeats
    )
    assert meta["quarantined"] == meta["frames_malformed_injected"] > 0
    assert meta["readings_lost_injected"] > 0
    assert meta["readings_duplicated_injected"] > 0
    assert meta["transports"]["coap"]["frames_stored"] > 0


def test_every_shipped_scenario_fits_the_city_and_repeats_do_not_overlap():
    for name in shipped():
        scenario = load_scenario(name)
        incidents = scenario.place(demo_registry(), BEGIN_NS, factor=scenario.factor)
        assert [i.begin_ns for i in incidents] == sorted(i.begin_ns for i in incidents)
        assert len({i.id for i in incidents}) == len(incidents)
        for incident in incidents:
            assert incident.deadline_s * SECOND_NS < scenario.lasts_ns


def test_a_wrong_scenario_shows_every_mistake_with_its_place():
    text = (
        "version: 1\nname: x\nincident: []\nlinks: {late: {share: 0.1, of: 5m, every: 2m}}\n"
        "incidents:\n- {id: a, kind: gas_leek, at: 5m, place: x, lasts: 5}\n"
    )
    with pytest.raises(Invalid) as caught:
        scenario_of("x.yaml", text)
    said = str(caught.value)
    assert "x.yaml:3:1" in said
    assert 'did you mean "gas_leak"' in said
    assert "x.yaml:6:" in said
    with pytest.raises(Invalid, match="shipped are"):
        load_scenario("no-such-scenario")
    twice = "- {id: a, kind: gas_leak, at: 5m, place: x, lasts: 5m}\n" * 2
    with pytest.raises(Invalid, match="stands twice"):
        scenario_of("x.yaml", f"version: 1\nname: x\nincidents:\n{twice}")


def test_an_incident_in_an_impossible_place_names_the_possible_ones():
    text = (
        "version: 1\nname: x\nincidents:\n"
        "- {id: a, kind: gas_leak, at: 5m, place: 410100-bridge-sp-000001, lasts: 5m}\n"
        "- {id: b, kind: silent_gateway, at: 5m, place: nobody, lasts: 5m}\n"
        "- {id: c, kind: gas_leak, at: 5m, place: 410100-gas-mh-000001, lasts: 5m,"
        " options: {leak_m3_h: 0.001}}\n"
    )
    with pytest.raises(Invalid) as caught:
        scenario_of("x.yaml", text).place(demo_registry(), BEGIN_NS)
    said = [str(p) for p in caught.value.problems]
    assert len(said) == 3
    assert said[0].startswith("x.yaml:4:")
    assert "410100-gas-mh-000001" in said[0]
    assert "410100-tunnel-gw-000001" in said[1]
    assert "never reaches" in said[2]
