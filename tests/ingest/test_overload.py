"""What is given up when too much comes: in the stated order, counted by channel, safety never."""

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from ingest import metrics, service
from ingest.admission import Admission
from ingest.codecs import json_mapping
from ingest.codecs.compact import Series, Wave
from ingest.overload import STEPS, Overload, OverloadLimits, Progress, shed_from, told
from rules.readings import HEARD_ONLY, Readings
from tests.intake_run import running, until
from tests.intake_site import BRIDGE, GATEWAY, NOW_NS, compact_payload, mqtt, site

SECOND = 10**9
FULL, EMPTY = 0.9, 0.0


def classed(**classes):
    """Return the test site with channels of these classes, by the end of their ids."""
    made = site()
    klass = tuple(
        next((k for end, k in classes.items() if name.endswith(end)), "safety")
        for name in made.channels.id
    )
    return replace(made, channels=replace(made.channels, klass=klass))


def bridge(sequence=1):
    """Return a frame with a waveform of x and y, and a reading of x."""
    waves = [
        Wave(port=port, start_ms=0, period_us=10_000, samples=np.arange(50) / 10)
        for port in (10, 11)
    ]
    series = Series(port=10, offsets_ms=[500], values=[1.0])
    return mqtt(compact_payload(*waves, series, device=BRIDGE, sequence=sequence), device=BRIDGE)


def gas():
    payload = json_mapping.encode(
        device=GATEWAY, keys=["ch4", "t"], event_ns=[NOW_NS] * 2, values=[20, 21.5], sequence=1
    )
    return mqtt(payload, form="json")


@pytest.mark.parametrize("in_bulk", [False, True])
@pytest.mark.parametrize(
    ("step", "channels", "waves"),
    [
        (0, ["vol", "temp", "x"], ["x", "y"]),
        (1, ["vol", "temp", "x"], ["y"]),
        (2, ["vol", "temp"], ["y"]),
        (3, ["vol"], ["y"]),
    ],
)
def test_waveforms_go_first_then_info_then_maintenance_and_safety_never(
    monkeypatch, step, channels, waves, in_bulk
):
    """Also a waveform of a safety channel stays, here that of y."""
    monkeypatch.setattr("ingest.admission._BULK_BYTES", 0 if in_bulk else 1 << 60)
    registry = classed(temp="maintenance", x="info")
    admission = Admission(registry)
    whole = admission.admit([gas(), bridge()])
    sent = {registry.channels.id[c] for c in whole.readings.channel.tolist()}
    admission.shed_step = step
    admitted = admission.admit([gas(), bridge()])
    names = registry.channels.id

    def short(rows):
        return [names[c].rsplit("/", 1)[1] for c in rows if c != HEARD_ONLY]

    assert short(admitted.readings.channel) == channels
    assert [n for _, b in admitted.blocks for n in short(b.channel)] == waves
    kept = admitted.readings.channel[admitted.readings.channel != HEARD_ONLY]
    for name in ("value", "judged_ns", "qc_flag", "receive_ns", "boot", "sequence"):
        of = np.isin(whole.readings.channel, kept)
        told_of = admitted.readings.channel != HEARD_ONLY
        assert getattr(admitted.readings, name)[told_of].tolist() == (
            getattr(whole.readings, name)[of].tolist()
        )
    readings, samples = (admission.shed[form].tolist() for form in ("readings", "samples"))
    assert readings == [int(n.rsplit("/", 1)[1] not in channels) * (n in sent) for n in names]
    assert samples == [50 * (n.endswith(("/x", "/y")) and n[-1] not in waves) for n in names]
    assert not admitted.quarantined
    assert set(admitted.readings.device.tolist()) == {0, 2}


def test_a_device_of_which_all_is_given_up_is_still_heard():
    """Or shedding would be told as a thousand silent devices."""
    admission = Admission(classed(x="info", y="info"))
    admission.shed_step = 3
    admitted = admission.admit([bridge()])
    assert admitted.readings.channel.tolist() == [HEARD_ONLY]
    assert admitted.readings.device.tolist() == [2]
    assert not admitted.blocks


def test_a_class_nobody_knows_is_never_given_up():
    assert [shed_from(klass) for klass in ("safety", "new", "")] == [len(STEPS)] * 3
    assert shed_from("info") < shed_from("maintenance") < len(STEPS)


def test_a_change_of_registry_goes_on_shedding():
    admission = Admission(site())
    admission.shed_step = 2
    assert admission.with_registry(site(simulation=True)).shed_step == 2


# ------------------------------------------------------------------ when


class Scene:
    """An intake whose clock, queue and engine the test moves."""

    def __init__(self, tmp_path):
        self.now_s, self.end, self.engine = 1000.0, 0, 0
        self.run = tmp_path / "run"
        self.progress = Progress(self.run)
        self.progress.tell(0)
        self.overload = Overload(self.run, OverloadLimits(), now_s=lambda: self.now_s)

    def pass_time(self, seconds, *, share=EMPTY, engine=1.0, age_s=1.0):
        """Let time pass; the engine does its share of what comes. Return the steps it went by."""
        steps = []
        rows = Readings.of({"channel": [0], "judged_ns": [NOW_NS], "value": [1.0]})
        rows = replace(rows, receive_ns=rows.event_ns + int(age_s * SECOND))
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.end += 10
            self.engine = min(self.end, self.engine + 10 * engine)
            self.overload.received(rows)
            self.overload.committed(self.end)
            self.progress.tell(int(self.engine))
            self.overload.look(share)
            steps.append(self.overload.step)
        return list(dict.fromkeys(steps))


def test_with_time_for_all_nothing_is_given_up(tmp_path):
    assert Scene(tmp_path).pass_time(60) == [0]


def test_an_engine_that_falls_behind_makes_us_give_up_step_by_step_and_then_take_again(tmp_path):
    scene = Scene(tmp_path)
    assert scene.pass_time(5, engine=0.5) == [0, 1, 2, 3]
    assert scene.pass_time(3, engine=0.5) == [3]
    assert scene.pass_time(60, engine=3.0) == [3, 2, 1, 0]
    assert scene.pass_time(30) == [0]


def test_giving_up_takes_effect_within_seconds(tmp_path):
    scene = Scene(tmp_path)
    seconds = 0.0
    while scene.overload.step < 3:
        scene.pass_time(0.1, engine=0.4)
        seconds += 0.1
    assert seconds < 4.5


def test_a_queue_that_stays_full_is_overload_and_a_short_rush_is_none(tmp_path):
    scene = Scene(tmp_path)
    for _ in range(10):
        assert scene.pass_time(0.2, share=FULL) == [0]
        assert scene.pass_time(0.6) == [0]
    assert scene.pass_time(4, share=FULL) == [0, 1, 2, 3]


def test_an_engine_that_stands_still_is_no_overload_nor_one_that_catches_up(tmp_path):
    """The journal keeps what waits: giving up what comes would bring none of it sooner."""
    scene = Scene(tmp_path)
    assert scene.pass_time(120, engine=0.0) == [0]
    assert scene.pass_time(60, engine=4.0) == [0]


def test_a_backlog_that_the_broker_kept_is_no_overload(tmp_path):
    scene = Scene(tmp_path)
    assert scene.pass_time(30, share=FULL, engine=0.5, age_s=600.0) == [0]
    assert scene.pass_time(5, share=FULL, engine=0.5, age_s=1.0)[-1] == 3


def test_what_is_taken_again_waits_until_the_engine_has_caught_up(tmp_path):
    scene = Scene(tmp_path)
    scene.pass_time(20, engine=0.5)
    behind = scene.end - scene.engine
    assert scene.pass_time(20, engine=1.0 + behind / 10 / 400) == [3]  # slowly: 40 s are needed


def test_an_engine_that_never_said_anything_is_not_waited_for(tmp_path):
    assert told(tmp_path) is None
    now_s = [0.0]
    overload = Overload(tmp_path, now_s=lambda: now_s[0])
    for n in range(100):
        now_s[0] += 1
        overload.committed(n)
        overload.look(EMPTY)
    assert overload.step == 0
    (tmp_path / "engine.at").write_bytes(b"abc")
    assert told(tmp_path) is None


# ------------------------------------------------------------------ as a whole


def test_the_service_sheds_at_the_step_in_force_and_tells_metrics_by_channel(tmp_path, monkeypatch):
    registry = classed(temp="info")
    intakes, overloads = [], []
    for name, made in (("Intake", intakes), ("Overload", overloads)):
        real = getattr(service, name)

        def build(*args, real=real, made=made, **options):
            made.append(real(*args, **options))
            return made[-1]

        monkeypatch.setattr(service, name, build)
    before = metrics.SHED.total("readings")
    with running(tmp_path, registry=registry) as run:
        for step in (2, 0):
            overloads[0].step = step
            intakes[0].put(gas().payload, transport="mqtt", path=gas().path)
            until(lambda step=step: len(values(run)) == (1 if step else 3))
    assert values(run) == [1.0, 1.0, 21.5]
    assert metrics.SHED.total("readings") == before + 1
    text = generate_latest(REGISTRY).decode()
    assert f'lifeline_shed_total{{channel="{registry.channels.id[1]}",form="readings"}}' in text
    assert "lifeline_shed_step" in text


def values(run):
    rows = [r.body for r in run.records() if isinstance(r.body, Readings)]
    return [v for body in rows for v in body.value.tolist()]


def test_counts_by_channel_add_up_over_a_change_of_registry():
    counts = metrics.ShedCounts()
    counts.attach(("never", "shed"))
    first = counts.attach(("a", "b"))
    first["readings"] += [2, 0]
    first["samples"] += [0, 50]
    counts.attach(("b", "a"))["readings"] += [0, 3]
    held = CollectorRegistry()
    held.register(counts)
    text = generate_latest(held).decode()
    assert 'lifeline_shed_total{channel="a",form="readings"} 5.0' in text
    assert 'lifeline_shed_total{channel="b",form="samples"} 50.0' in text
    assert text.count("lifeline_shed_total{") == 2
    assert (counts.total("readings"), counts.total("samples")) == (5, 50)


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_device_of_which_nothing_is_kept_is_counted_without_being_read(monkeypatch, step):
    """Many messages at once: only keys are looked at, and the counts are those of reading all."""
    registry = classed(vol="maintenance", temp="info", x="info", y="info")
    frames = [gas() for _ in range(5)] + [mqtt(b"[}", form="json"), bridge()]
    admission, twin = Admission(registry), Admission(registry)
    admission.shed_step = twin.shed_step = step
    monkeypatch.setattr(twin, "_given_up", lambda _: (np.empty(0, int), np.zeros(5, int)))
    admitted, slow = admission.admit(frames), twin.admit(frames)
    assert len(admitted.unread) == (5 if step == 3 else 0)
    for form in ("readings", "samples"):
        assert admission.shed[form].tolist() == twin.shed[form].tolist()
    for name in ("channel", "device", "value", "receive_ns"):
        np.testing.assert_array_equal(
            getattr(admitted.readings, name), getattr(slow.readings, name)
        )
    assert [q.reason for q in admitted.quarantined] == ["json"]
