"""The parts behind the page: hot buffer, watchdog, thinning, words for numbers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from lifeline.clock import Clock
from lifeline.console.sentences import number, unit_word, words
from lifeline.hot_buffer import ROW_BYTES, HotBuffer, Points, thin
from lifeline.site import Site
from lifeline.watchdog import Watchdog
from rules.alarms import Alarm
from rules.events import Event, EventType
from rules.judge import DUPLICATE, JUDGED, LATE
from rules.readings import Readings
from tests.small_city import plan_of, registry_of, rule_of


def rows(channel: list[int], event: list[int], value: list[float]) -> Readings:
    return Readings.of({"channel": channel, "judged_ns": event, "value": value})


def judged(n: int, verdict: int = JUDGED):
    return np.full(n, verdict, np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_ring_holds_the_newest_readings_of_every_channel_at_any_cut(seed):
    random = np.random.default_rng(seed)
    n, depth = 400, 16
    channel, value = random.integers(0, 5, n), random.normal(size=n)
    at = np.arange(n)
    buffer, start = HotBuffer(2, depth=depth), 0
    while start < n:
        stop = start + int(random.integers(1, 90))
        part = rows(channel[start:stop], at[start:stop], value[start:stop])
        buffer.put(part, judged(len(part)))
        start = stop
    for c in range(5):
        expected = [(at[i], value[i]) for i in range(n) if channel[i] == c][-depth:]
        points, since = buffer.read(c, 0, n)
        assert list(zip(points.event_ns, points.value, strict=True)) == expected
        assert since == expected[0][0]


def test_duplicates_are_left_out_and_late_rows_stand_at_their_time():
    buffer = HotBuffer(1)
    buffer.put(rows([0, 0, 0], [10, 20, 15], [1.0, 2.0, 3.0]), np.array([JUDGED, JUDGED, LATE]))
    buffer.put(rows([0], [20], [2.0]), judged(1, DUPLICATE))
    points, _ = buffer.read(0, 0, 100)
    assert points.value.tolist() == [1.0, 3.0, 2.0]


def test_the_buffer_keeps_within_its_bytes_however_many_channels_come():
    buffer = HotBuffer(0, max_bytes=ROW_BYTES * 16 * 1_000)
    buffer.put(rows([999], [1], [1.0]), judged(1))
    assert buffer.depth == 16
    assert buffer.read(999, 0, 10)[0].value.tolist() == [1.0]
    assert len(buffer.read(5_000, 0, 10)[0]) == 0


def test_thinning_never_loses_a_peak():
    n = 100_000
    value = np.sin(np.arange(n) / 5_000)
    value[31_337], value[70_001] = 99.0, -99.0
    at = np.arange(n, dtype=np.int64)
    flag = np.ones(n, np.uint8)
    few = thin(Points(at, at, value, flag, flag), 1_000)
    assert len(few) <= 1_010
    assert (few.value.max(), few.value.min()) == (99.0, -99.0)
    assert (np.diff(few.event_ns) > 0).all()


def heartbeat(receive_ns: int) -> Event:
    return Event(type=EventType.HEARTBEAT, offset=1, row=0, subject="probe", receive_ns=receive_ns)


CHANNELS = SimpleNamespace(id=("probe",), interval_ns=np.array([30 * 10**9]))
SITE = SimpleNamespace(
    registry=SimpleNamespace(channels=CHANNELS),
    plan=SimpleNamespace(probe_channels=np.array([0])),
)


def test_no_heartbeat_for_three_intervals_is_blindness():
    now_s, clock = [1_000.0], Clock()
    dog = Watchdog(clock, monotonic_s=lambda: now_s[0])
    assert not dog.sight().watched
    dog.follow(SITE)
    now_s[0] += 80
    assert not dog.sight().blind, "it may still come"
    dog.hear(heartbeat(clock.now_ns()))
    now_s[0] += 89
    assert not dog.sight().blind
    now_s[0] += 2
    assert dog.sight().blind
    dog.hear(heartbeat(clock.now_ns()))
    assert not dog.sight().blind


def test_old_heartbeats_of_a_backlog_do_not_make_us_see():
    now_s, clock = [1_000.0], Clock()
    dog = Watchdog(clock, monotonic_s=lambda: now_s[0])
    dog.follow(SITE)
    now_s[0] += 100
    dog.hear(heartbeat(clock.now_ns() - 600 * 10**9))
    assert dog.sight().blind


def test_numbers_and_units_are_written_for_people():
    assert number(1.6, 2) == "1.60"
    assert number(-0.0004, 2) == "−0.0004"
    assert number(math.inf, 2) == "∞"
    assert number(None, 2) == "–"
    assert unit_word("%{vol}") == "%vol"
    assert unit_word("kPa") == "kPa"


def test_the_count_of_a_vote_is_never_shown_as_a_concentration():
    vote = rule_of("cluster", kind="vote", unit="1", message="{{ score }} sensors around it")
    registry = registry_of((0,))
    site = Site(registry, plan_of(vote))
    subject = registry.channels.id[0]
    count: dict[str, float] = {"value": 3.0, "score": 3.0, "limit": 2.0}
    alarm = Alarm(alarm_id="a", rule="cluster", side=1, subject=subject, **count)
    said = words(alarm, site, "en", zone="UTC")
    assert (said.value, said.limit) == ("3", "2")
    assert said.sentence.startswith("3 sensors around it")


def test_an_alarm_about_a_zone_names_it_and_belongs_to_its_lifeline():
    burst = rule_of(
        "burst",
        kind="all",
        channels=[1],
        unit="1",
        message="{{ asset.name }}: all {{ score }} conditions of {{ rule }} hold",
        options={"inputs": "p q", "of": "burst/p burst/q", "at_least": "3 3"},
    )
    site = Site(registry_of((0,)), plan_of(burst, subjects=("z",)))
    assert site.domain_of("z") == "gas"
    assert site.domain_of("elsewhere") == ""
    count: dict[str, float] = {"value": 2.0, "score": 2.0, "limit": 2.0}
    alarm = Alarm(alarm_id="a", rule="burst", side=1, subject="z", **count)
    said = words(alarm, site, "en", zone="UTC")
    assert said.sentence.startswith("Z: all 2 conditions of burst hold")
    assert (said.value, said.limit, said.place) == ("2", "2", "z")
