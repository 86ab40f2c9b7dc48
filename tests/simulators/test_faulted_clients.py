"""Faults of sensors and links on the devices that speak to real servers: the fast stream's own."""

import json
import threading
import time
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import paho.mqtt.client as paho
import pytest
import servers
from city_fixture import BEGIN_NS, demo_registry
from test_fleet_live import CoapServer

from ingest.admission import Admission
from ingest.codecs import compact
from ingest.frame import Frame
from lifeline.clock import Clock
from rules.problems import Invalid
from simulators.city import registry_of_city
from simulators.devices import CoapTarget, MqttTarget, run_city
from simulators.devices.fleet import Fleet
from simulators.devices.sockets import room_for
from simulators.scenario import scenario_of
from simulators.signals import Signals

MINUTE_NS = 60_000_000_000
GATEWAY = "410100-tunnel-gw-000001"
CLEAN = "version: 1\nname: clean\n"


def faults(*lines):
    return CLEAN + "faults:\n" + "".join(f"- {{{line}}}\n" for line in lines)


def spoken(text, *, minutes=30, device=GATEWAY):
    """Every message of a device, and its whole frames decoded, in order of leaving."""
    registry = demo_registry()
    scenario = scenario_of("faults.yaml", text)
    fleet = Fleet(
        registry,
        scenario,
        signals=Signals(registry, seed=scenario.seed, changes=[]),
        incidents=[],
        begin_ns=BEGIN_NS,
        faults=scenario.faults(registry, BEGIN_NS),
        only={registry.device_row[device]},
    )
    said = list(fleet.messages(BEGIN_NS + minutes * MINUTE_NS))
    kept = [(m, compact.decode(m.payload)) for m in said if m.kind in ("good", "duplicate")]
    assert all(a.due_ns <= b.due_ns for a, b in pairwise(said))
    return said, kept


def samples(kept):
    """(port, time in ms) → value of every sample."""
    registry = demo_registry()
    admission = Admission(registry)
    frames = [Frame(m.payload, "mqtt", m.path, m.due_ns + MINUTE_NS) for m, _ in kept]
    held = admission.admit(frames)
    assert not held.quarantined
    r = held.readings
    columns = zip(r.channel.tolist(), r.event_ns.tolist(), r.value.tolist(), strict=True)
    return {(registry.channels.id[c], t): v for c, t, v in columns}


def test_without_faults_nothing_waits_and_nothing_comes_twice():
    said, kept = spoken(CLEAN)
    assert {m.kind for m in said} == {"good"}
    sequences = [frame.sequence for _, frame in kept]
    assert sequences == list(range(len(kept)))
    assert len(kept) > 25


def test_duplicates_are_the_same_bytes_again():
    said, _ = spoken(faults(f"id: d, kind: duplicates, at: 10m, place: {GATEWAY}, lasts: 10m, "
                            "options: {share: 1}"))  # fmt: skip
    inside = [m for m in said if 10 * MINUTE_NS <= m.due_ns - BEGIN_NS < 20 * MINUTE_NS]
    kinds = Counter(m.kind for m in inside)
    assert kinds["duplicate"] == kinds["good"] >= 9
    assert set(Counter(m.payload for m in inside).values()) == {2}
    assert not [m for m in said if m not in inside and m.kind != "good"]


def test_reordered_reports_overtake_and_none_is_lost():
    _, clean = spoken(CLEAN)
    _, kept = spoken(faults(f"id: r, kind: reordering, at: 5m, place: {GATEWAY}, lasts: 20m, "
                            "options: {share: 0.4}"))  # fmt: skip
    sequences = [frame.sequence for _, frame in kept]
    assert sequences != sorted(sequences)
    assert samples(kept) == samples(clean)


def test_a_cut_link_is_left_and_all_that_was_stored_comes_with_its_own_times():
    said, kept = spoken(faults(f"id: g, kind: gateway_loss, at: 5m, place: {GATEWAY}, lasts: 15m"))
    _, clean = spoken(CLEAN)
    silent = [m for m in said if 5 * MINUTE_NS <= m.due_ns - BEGIN_NS < 20 * MINUTE_NS]
    assert [m.kind for m in silent] == ["off"]
    assert samples(kept) == samples(clean)
    late = [m for m, _ in kept if 0 <= m.due_ns - BEGIN_NS - 20 * MINUTE_NS < MINUTE_NS // 2]
    assert len(late) >= 14
    assert any(m.stored for m in late)


def test_without_power_readings_are_lost_and_a_new_boot_begins():
    said, kept = spoken(faults(f"id: g, kind: gateway_loss, at: 5m, place: {GATEWAY}, lasts: 10m, "
                               "options: {stored: 0}"))  # fmt: skip
    lost = [m for m in said if m.kind == "lost"]
    assert len(lost) >= 9
    after = [frame for m, frame in kept if m.due_ns - BEGIN_NS >= 15 * MINUTE_NS]
    assert {frame.boot for frame in after} == {2}
    assert [frame.sequence for frame in after] == list(range(len(after)))
    assert [m.kind for m in said].count("off") == 1


def test_a_reboot_counts_anew_and_a_wrong_clock_is_in_the_stamps():
    _, kept = spoken(faults(f"id: b, kind: reboot, at: 10m, place: {GATEWAY}, lasts: 1m"))
    assert [f.boot for _, f in kept] == sorted(f.boot for _, f in kept)
    assert {f.boot for _, f in kept} == {1, 2}
    assert next(f.sequence for _, f in kept if f.boot == 2) == 0
    _, clean = spoken(CLEAN)
    _, wrong = spoken(faults(f"id: c, kind: clock_skew, at: 10m, place: {GATEWAY}, lasts: 1h, "
                             "options: {offset_s: -90, ppm: 0}"))  # fmt: skip
    true, held = ([t for _, t in samples(kept)] for kept in (clean, wrong))
    assert min(held) == min(true)
    assert max(held) == max(true) - 90_000_000_000


def test_a_sensor_stands_still_is_off_or_gives_nothing():
    registry = demo_registry()
    row = registry.device_row[GATEWAY]
    mine = np.flatnonzero(registry.channels.device == row)
    channel = next(registry.channels.id[r] for r in mine if registry.channels.quantity[r] == "co")
    sensor = channel.rpartition("/")[0]
    _, clean = spoken(CLEAN)
    true = samples(clean)
    inside = {at for at in true if at[0] == channel and 600 <= (at[1] - BEGIN_NS) / 1e9 < 1200}
    where = f"at: 10m, place: {sensor}, lasts: 10m"

    stuck = samples(spoken(faults(f"id: s, kind: stuck, {where}"))[1])
    assert len({stuck[at] for at in inside}) == 1
    assert len({true[at] for at in inside}) > 1
    biased = samples(spoken(faults(f"id: s, kind: bias, {where}, options: {{range: 0.1}}"))[1])
    assert all(biased[at] > true[at] for at in inside)
    gone = samples(spoken(faults(f"id: s, kind: dropout, {where}, options: {{share: 1}}"))[1])
    assert set(true) - set(gone) == inside
    for held in (stuck, biased, gone):
        assert all(held[at] == true[at] for at in set(true) - inside)


def test_a_fault_in_the_wrong_place_is_told_with_its_line():
    text = faults("id: a, kind: reboot, at: 1m, place: nowhere, lasts: 1m",
                  f"id: b, kind: stuck, at: 1m, place: {GATEWAY}/x, lasts: 1m")  # fmt: skip
    with pytest.raises(Invalid) as caught:
        scenario_of("my.yaml", text).faults(demo_registry(), BEGIN_NS)
    assert [(p.line, p.rule) for p in caught.value.problems] == [(4, "a"), (5, "b")]
    with pytest.raises(Invalid, match=r"unknown fault 'rebot' \(did you mean \"reboot\""):
        scenario_of("my.yaml", faults("id: a, kind: rebot, at: 1m, place: x, lasts: 1m"))
    with pytest.raises(Invalid, match="stands twice"):
        scenario_of("my.yaml", faults(*["id: a, kind: reboot, at: 1m, place: x, lasts: 1m"] * 2))


def test_more_clients_than_a_machine_allows_are_refused_with_the_remedy(monkeypatch):
    limits = [(256, 1024)]
    monkeypatch.setattr("resource.getrlimit", lambda _: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda _, wanted: limits.append(wanted))
    room_for(100)
    assert limits[-1] == (500, 1024)
    with pytest.raises(
        Invalid, match=r"1000 clients.*need 3200 open files.*allows 1024.*ulimit -Hn"
    ):
        room_for(1000)


@pytest.mark.real
def test_each_device_is_a_client_and_what_faults_did_is_what_servers_received():
    registry = demo_registry()
    admission = Admission(registry)
    coap = CoapServer(admission)
    coap.start()
    assert coap.ready.wait(10)
    module = next(
        d for d, t, codec in zip(registry.devices.id, registry.devices.transport,
                                 registry.devices.codec, strict=True)
        if t == "coap" and codec == "compact" and "gas" in d
    )  # fmt: skip
    text = faults(
        f"id: d, kind: duplicates, at: 10s, place: {GATEWAY}, lasts: 10m, options: {{share: 1}}",
        f"id: g, kind: gateway_loss, at: 1m, place: {GATEWAY}, lasts: 2m",
        f"id: m, kind: lossy, at: 0s, place: {module}, lasts: 1h, options: {{share: 1}}",
    )
    got = []
    with servers.mosquitto() as broker:
        listener = paho.Client(paho.CallbackAPIVersion.VERSION2)
        listener.on_message = lambda _c, _u, m: got.append(Frame(m.payload, "mqtt", m.topic, 0))
        listener.connect(broker.host, broker.port)
        listener.subscribe("lifeline/v1/#", 1)
        listener.loop_start()
        now_ns = time.time_ns()
        stop = threading.Event()
        threading.Timer(6, stop.set).start()
        told = run_city(
            registry=registry,
            scenario=scenario_of("faults.yaml", text),
            clock=Clock(wall_origin_ns=now_ns, city_origin_ns=BEGIN_NS, factor=60),
            mqtt=MqttTarget(port=broker.port),
            coap=CoapTarget(port=coap.port),
            stop=stop,
            begin_ns=BEGIN_NS,
            boot=1,
        )
        time.sleep(0.3)
        listener.loop_stop()
        listener.disconnect()
    coap.stop.set()
    coap.join(10)
    assert told["clients"] == {"mqtt": 8, "coap": 54}  # all but the heartbeat's device
    assert [fault["kind"] for fault in told["faults"]] == ["duplicates", "gateway_loss", "lossy"]
    counts = told["transports"]["mqtt"]
    mine = [compact.decode(f.payload) for f in got if GATEWAY in f.path]
    assert counts["frames_duplicated"] > 0
    assert counts["frames_delayed"] >= 1
    assert len(mine) - len({(f.boot, f.sequence) for f in mine}) == counts["frames_duplicated"]
    assert counts["readings_acked"] == counts["readings_sent"]
    spoke = defaultdict(int)
    for frame in coap.frames:
        spoke[frame.path.split("/")[-1]] += 1
    assert module not in spoke
    assert len(spoke) > 5


def stop_when_all_speak(file, stop, coap):
    """Wait for 300 modules, 500 readings and more than 5 modules heard, as the machine allows."""
    ends_s = time.monotonic() + 60
    while time.monotonic() < ends_s:
        told = json.loads(file.read_text()) if file.exists() else {"clients": {}}
        heard = len({frame.path for frame in list(coap.frames)}) > 5
        if heard and told["clients"].get("coap") == 300 and told["readings_acked"] > 500:
            break
        time.sleep(0.2)
    stop.set()


@pytest.mark.real
def test_hundreds_of_clients_of_a_large_city_speak_from_one_process(tmp_path):
    registry = registry_of_city("bozhou", 1)
    coap = CoapServer(Admission(registry))
    coap.start()
    assert coap.ready.wait(10)
    clean = scenario_of("clean.yaml", CLEAN + "profile: bozhou\n")
    with servers.mosquitto() as broker:
        stop = threading.Event()
        threading.Thread(target=stop_when_all_speak, args=(tmp_path / "s.json", stop, coap)).start()
        told = run_city(
            registry=registry,
            scenario=clean,
            stats_file=tmp_path / "s.json",
            clock=Clock(time.time_ns(), BEGIN_NS, 30),
            mqtt=MqttTarget(port=broker.port),
            coap=CoapTarget(port=coap.port),
            stop=stop,
            begin_ns=BEGIN_NS,
            most=300,
        )
    coap.stop.set()
    coap.join(10)
    gateways = Counter(registry.devices.transport)["mqtt"]
    assert gateways - 2 <= told["clients"]["mqtt"] <= gateways  # all that have channels
    assert told["clients"]["coap"] == 300
    assert len({frame.path for frame in coap.frames}) > 5
    assert told["readings_acked"] == told["readings_sent"] > 500
