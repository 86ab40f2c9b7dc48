"""A recording cut, spiced, anonymised, looped and sought: always the same, always told."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from city_fixture import BEGIN_NS, MINUTE_NS, demo_recording, demo_registry, demo_replayed

from rules.events import encode
from rules.problems import Invalid
from rules.readings import Control, Readings, Tick
from simulators.recording import (
    Cut,
    Play,
    anonymise,
    cut,
    open_recording,
    replay,
    simulate,
    spice,
    write_recording,
)
from simulators.recording.steps import step_time_ns
from simulators.scenario import load_scenario, scenario_of

LEAK = """
version: 1
name: what-if
incidents:
- {id: leak, kind: gas_leak, at: 5m, place: PLACE, lasts: 20m, options: {leak_m3_h: 2}}
"""


def bodies(folder):
    with open_recording(folder) as recording:
        return list(recording.admitted())


def rows(folder):
    return Readings.concatenate(b for b in bodies(folder) if isinstance(b, Readings))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """Forty quiet minutes: as a live system would have recorded them."""
    out = tmp_path_factory.mktemp("quiet") / "quiet"
    simulate(
        load_scenario("quiet"),
        out=out,
        registry=demo_registry(),
        begin_ns=BEGIN_NS,
        lasts_ns=40 * MINUTE_NS,
    )
    return out


def test_a_cut_has_the_readings_of_its_time_and_channels_and_no_others(quiet, tmp_path):
    begin, end = BEGIN_NS + 10 * MINUTE_NS, BEGIN_NS + 20 * MINUTE_NS
    kept = Cut(begin_ns=begin, end_ns=end, channels=("*-gas-mh-*/ch4*/*",))
    cut(quiet, tmp_path / "cut.zip", kept)
    whole, part = rows(quiet), rows(tmp_path / "cut.zip")
    names = np.array(demo_registry().channels.id)
    wanted = np.array([bool(re.search(r"-gas-mh-.*/ch4", name)) for name in names])
    mine = (whole.channel >= 0) & wanted[whole.channel]
    mine &= (whole.receive_ns >= begin) & (whole.receive_ns < end)
    said = part.channel >= 0
    for name in ("channel", "value", "event_ns", "receive_ns", "boot", "sequence", "index"):
        np.testing.assert_array_equal(getattr(part, name)[said], getattr(whole, name)[mine])
    assert said.sum() > 100
    ticks = [b.tick_ns for b in bodies(tmp_path / "cut.zip") if isinstance(b, Tick)]
    assert begin <= min(ticks) <= max(ticks) < end
    with open_recording(tmp_path / "cut.zip") as recording:
        assert set(np.flatnonzero(recording.registry.channels.alive)) == set(np.flatnonzero(wanted))


def test_nobody_is_silent_who_was_cut_out(quiet, tmp_path):
    cut(quiet, tmp_path / "cut", Cut(channels=("*-gas-mh-*",)))
    assert replay(tmp_path / "cut").alarms == replay(quiet).alarms == []


def test_a_cut_that_fits_nothing_is_refused_with_the_nearest(quiet, tmp_path):
    with pytest.raises(Invalid, match="fits no channel"):
        cut(quiet, tmp_path / "a", Cut(channels=("*-steam-*",)))
    with pytest.raises(Invalid, match="no reading is left"):
        cut(quiet, tmp_path / "b", Cut(end_ns=BEGIN_NS - 1))
    with pytest.raises(Invalid, match="begins when it has ended"):
        Cut(begin_ns=5, end_ns=5)


def gas_manhole(registry):
    quantities = {
        (registry.assets.id[a], q)
        for a, q in zip(registry.channels.asset, registry.channels.quantity, strict=True)
    }
    return next(a for a, q in sorted(quantities) if "-gas-mh-" in a and q == "ch4")


def test_a_leak_laid_over_a_quiet_recording_is_alarmed_where_and_when_it_was_put(quiet, tmp_path):
    place = gas_manhole(demo_registry())
    scenario = scenario_of("leak.yaml", LEAK.replace("PLACE", place))
    meta = spice(quiet, tmp_path / "spiced.zip", scenario)
    before, after = rows(quiet), rows(tmp_path / "spiced.zip")
    changed = before.value != after.value
    changed &= ~(np.isnan(before.value) & np.isnan(after.value))
    names = demo_registry().channels.id
    touched = {names[row] for row in np.unique(after.channel[changed])}
    assert meta["readings_changed"] == changed.sum() > 10
    assert after.judged_ns[changed].min() >= BEGIN_NS + 5 * MINUTE_NS
    assert touched <= set(meta["incidents"][0]["subjects"]) | touched
    assert any(name.startswith(place) for name in touched)
    np.testing.assert_array_equal(before.receive_ns, after.receive_ns)
    alarms = replay(tmp_path / "spiced.zip").alarms
    truth = meta["incidents"][0]
    mine = [a for a in alarms if a.subject.startswith(place) and a.klass == "safety"]
    assert mine
    assert max(a.severity for a in mine) >= 3
    first = min(a.receive_ns for a in mine)
    assert 0 < first - truth["begin_ns"] <= truth["deadline_s"] * 1e9
    assert replay(quiet).alarms == []


def test_an_incident_that_meets_no_reading_is_refused(quiet, tmp_path):
    text = LEAK.replace("PLACE", gas_manhole(demo_registry())).replace("5m", "9h")
    with pytest.raises(Invalid, match="changed nothing"):
        spice(quiet, tmp_path / "out", scenario_of("late.yaml", text))


def test_a_silenced_gateway_says_nothing_in_what_was_recorded(quiet, tmp_path):
    text = (
        "version: 1\nname: dark\nincidents:\n"
        "- {id: dark, kind: silent_gateway, at: 5m, place: 410100-tunnel-gw-000001, lasts: 9m}\n"
    )
    meta = spice(quiet, tmp_path / "dark", scenario_of("dark.yaml", text))
    row = demo_registry().device_row["410100-tunnel-gw-000001"]
    left = rows(tmp_path / "dark")
    mine = left.judged_ns[left.device == row] - BEGIN_NS
    assert not ((mine >= 5 * MINUTE_NS) & (mine < 14 * MINUTE_NS)).any()
    assert (mine >= 14 * MINUTE_NS).any()
    assert meta["readings_silenced"] == len(rows(quiet)) - len(left) > 0


def texts_of(registry):
    """Every code, name and text of a registry that says where it is."""
    found = set()
    for table, columns in (
        (registry.sites, ("id", "name", "name_zh")),
        (registry.assets, ("id", "name", "name_zh", "district", "zone")),
        (registry.devices, ("id",)),
        (registry.channels, ("id", "key")),
    ):
        for column in columns:
            found.update(getattr(table, column))
    return {text for text in found if text}


def test_no_original_code_name_or_position_is_left_in_an_anonymous_recording(quiet, tmp_path):
    commanded = tmp_path / "commanded"
    order = Control("ack", {"alarm": "1.0", "by": "Zhang San", "command": "c-1"})
    with open_recording(quiet) as recording:
        write_recording(commanded, recording.registry, [*recording.admitted(), order], {})
    out = tmp_path / "given"
    keys = {"key_file": tmp_path / "key", "map_file": tmp_path / "map.json"}
    done = anonymise(commanded, out, **keys, blur_m=150)
    assert done["commands_left_out"] == 1
    original = demo_registry()
    held = b"".join(f.read_bytes() for f in sorted(out.rglob("*")) if f.is_file())
    given = bodies(out)
    assert not [b for b in given if isinstance(b, Control)]
    assert {f.name for f in out.iterdir()} <= {
        "meta.json", "registry.json", "journal", "raw", "quarantine",
    }  # fmt: skip
    left = [text for text in texts_of(original) if text.encode() in held]
    assert left == []
    assert b"410100" not in held
    with open_recording(out) as recording:
        registry = recording.registry
    for axis, scale in (("lon", 111_320 * np.cos(np.radians(34.75))), ("lat", 111_320)):
        moved = (getattr(registry.assets, axis) - getattr(original.assets, axis)) * scale
        finite = np.isfinite(moved)
        assert np.abs(moved[finite]).max() <= 151
        assert np.mean(np.abs(moved[finite]) > 1) > 0.9
    known = json.loads(keys["map_file"].read_text())
    assert known[registry.assets.id[0]] == original.assets.id[0]
    assert known[registry.channels.id[5]] == original.channels.id[5]
    assert oct(keys["key_file"].stat().st_mode)[-3:] == "600"
    assert oct(keys["map_file"].stat().st_mode)[-3:] == "600"


def test_alarms_of_an_anonymous_recording_are_those_of_the_original_by_its_map(tmp_path):
    folder, _ = demo_recording()
    with pytest.raises(Invalid, match="elsewhere"):
        anonymise(folder, tmp_path / "o", key_file=tmp_path / "o" / "k", map_file=tmp_path / "m")
    anonymise(folder, tmp_path / "out", key_file=tmp_path / "k", map_file=tmp_path / "m")
    known = json.loads((tmp_path / "m").read_text())
    told = [(a.rule, known[a.subject], a.severity) for a in replay(tmp_path / "out").alarms]
    assert sorted(told) == sorted((a.rule, a.subject, a.severity) for a in demo_replayed().alarms)


def test_the_same_key_gives_the_same_names_and_another_key_others(quiet, tmp_path):
    def ids(name, key):
        anonymise(quiet, tmp_path / name, key_file=tmp_path / key, map_file=tmp_path / f"{name}.m")
        with open_recording(tmp_path / name) as recording:
            return recording.registry.assets.id

    first, again, other = ids("a", "k1"), ids("b", "k1"), ids("c", "k2")
    assert first == again
    assert not set(first) & set(other)


def test_sought_and_ended_a_replay_tells_what_the_whole_one_told_then(tmp_path):
    folder, _ = demo_recording()
    whole = demo_replayed().events
    begin, end = BEGIN_NS + 20 * MINUTE_NS, BEGIN_NS + 40 * MINUTE_NS
    play = Play(begin_ns=begin, end_ns=end)
    part = replay(folder, play=play)
    expected = [e for e in whole if begin <= e.receive_ns < end]
    assert [encode(e) for e in part.events] == [encode(e) for e in expected]
    assert len(expected) > 0
    assert part.readings < demo_replayed().readings


def test_looped_a_recording_says_the_same_each_turn_later_by_its_length(quiet, tmp_path):
    cut(quiet, tmp_path / "cut", Cut(channels=("*-gas-*",)))
    once = bodies(tmp_path / "cut")
    with open_recording(tmp_path / "cut") as recording:
        thrice = list(Play(loops=3).of(recording.steps))
    assert len(thrice) == 3 * len(once)
    times = [step_time_ns(step) for step in thrice]
    assert times == sorted(times)
    length = times[len(once)] - times[0]
    for turn in (1, 2):
        for body, later in zip(once, thrice[turn * len(once) :], strict=False):
            assert step_time_ns(later) - step_time_ns(body) == turn * length
            if isinstance(body, Readings):
                np.testing.assert_array_equal(body.value, later.value)
                assert not np.intersect1d(body.boot, later.boot).size
    done = replay(tmp_path / "cut", play=Play(loops=3))
    assert done.readings == 3 * replay(tmp_path / "cut").readings
    assert [encode(e) for e in done.events] == [
        encode(e) for e in replay(tmp_path / "cut", play=Play(loops=3)).events
    ]


def test_frames_as_they_came_cannot_be_looped_and_it_says_what_can(quiet):
    with pytest.raises(Invalid, match="recording cut"):
        replay(quiet, play=Play(loops=2))
