"""Alarms of one cause are one incident; the index finds what looking at every incident finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.alarm_fold import AlarmFold
from rules.events import Event, EventType
from rules.incidents.fold import changes
from rules.incidents.grouping import Grouping, Member, incident_id
from rules.incidents.natures import MINUTE_NS, SILENCE, nature_of
from rules.incidents.places import Places, metres_between
from simulators.city import registry_of_city

REGISTRY = registry_of_city("demo", 20260301, part=("gas", "drain", "gallery", "water"))
PLACES = Places(registry=REGISTRY)
CHANNELS = [
    c
    for c, quantity in zip(REGISTRY.channels.id, REGISTRY.channels.quantity, strict=True)
    if quantity in ("ch4", "pressure", "rain", "ponding", "level", "o2", "co", "turbidity")
]
BEGIN_NS = 10**18


def raised(subject: str, at_min: float, *, side: int = 1, severity: int = 2) -> Member:
    at_ns = BEGIN_NS + int(at_min * MINUTE_NS)
    return Member(
        alarm_id=f"{subject} {at_min}", place=PLACES.place("r", side, subject), rule="r",
        onset_ns=at_ns, raised_ns=at_ns, seen_ns=at_ns, severity=severity,
    )  # fmt: skip


def grouped(*members: Member) -> list[int]:
    """Return the number of the incident of each, in the order they were opened."""
    grouping, order, found = Grouping(PLACES), [], []
    for member in members:
        held = grouping.take(member)[0].incident_id
        order += [] if held in order else [held]
        found.append(order.index(held))
    return found


def ch4(n: int) -> str:
    return f"410100-gas-mh-{n:06d}/ch4-01/vol"


def test_a_leak_that_spreads_along_its_duct_is_one_incident():
    assert grouped(*(raised(ch4(n), 5 * k) for k, n in enumerate((20, 19, 18, 17)))) == [0, 0, 0, 0]


def test_leaks_in_two_ducts_at_the_same_minute_are_two():
    assert grouped(raised(ch4(10), 0), raised(ch4(20), 0), raised(ch4(11), 1)) == [0, 1, 0]


def test_a_leak_days_later_at_the_next_manhole_is_another_one():
    assert grouped(raised(ch4(10), 0), raised(ch4(11), 3 * 24 * 60)) == [0, 1]


def test_pressure_that_rises_and_pressure_that_falls_are_two_causes():
    plp, pmp = (f"410100-gas-rg-000002/{s}-01/mean" for s in ("plp", "pmp"))
    assert grouped(raised(plp, 0, side=1), raised(pmp, 1, side=-1)) == [0, 1]
    assert nature_of("gas", "flow", 1) == nature_of("gas", "pressure", -1)


def test_water_in_an_underpass_belongs_to_the_rain_near_it():
    rain = [f"410100-drain-up-00000{n}/rain-01/rate" for n in (1, 2)]
    pond = [f"410100-drain-up-00000{n}/pond-01/depth" for n in (1, 2)]
    assert grouped(*(raised(s, k) for k, s in enumerate((*rain, *pond)))) == [0, 0, 0, 0]
    assert grouped(*(raised(s, k) for k, s in enumerate(pond))) == [0, 1]


def test_silence_is_no_leak():
    place = PLACES.place("module-silent", 1, REGISTRY.devices.id[0])
    assert place.nature == SILENCE
    assert place.asset


def test_a_member_that_returned_long_ago_holds_nothing_together():
    grouping = Grouping(PLACES)
    first = raised(ch4(10), 0)
    grouping.take(first)
    grouping.take(replace(first, active=False, seen_ns=BEGIN_NS + 10 * MINUTE_NS))
    assert grouping.take(raised(ch4(10), 30))[1]
    grouping.take(replace(raised(ch4(10), 30), active=False, seen_ns=BEGIN_NS + 40 * MINUTE_NS))
    assert not grouping.take(raised(ch4(11), 80))[1]


def test_the_first_out_is_the_earliest_onset_not_the_first_heard():
    grouping = Grouping(PLACES)
    grouping.take(raised(ch4(10), 5))
    late = replace(raised(ch4(11), 6), onset_ns=BEGIN_NS)
    assert grouping.take(late)[0].first_out.alarm_id == late.alarm_id


def test_nothing_joins_an_incident_that_people_have_closed():
    grouping = Grouping(PLACES)
    closed = grouping.take(raised(ch4(10), 0))[0]
    grouping.remove(closed.incident_id)
    group, joined = grouping.take(raised(ch4(11), 1))
    assert not joined
    assert group.incident_id != closed.incident_id


def test_without_a_registry_ids_tell_the_asset():
    places = Places()
    one, two = (places.place("r", 1, ch4(n)) for n in (10, 11))
    assert one.asset == "410100-gas-mh-000010"
    assert one.domain == "gas"
    assert one.asset != two.asset
    assert places.within(one.asset, 3) == {one.asset: 0}


def test_the_distance_of_a_degree():
    assert metres_between((113.0, 34.0), (113.0, 35.0)) == pytest.approx(111_195, abs=1)
    assert metres_between((113.0, 34.0), ()) == float("inf")


class EveryGroup(Grouping):
    """The slow twin: it looks at every incident, by no index."""

    def _candidates(self, member):
        return [self.groups[each] for each in sorted(self.groups)]


RAISES = st.lists(
    st.tuples(
        st.integers(0, len(CHANNELS) - 1), st.integers(0, 600), st.sampled_from((-1, 1)),
        st.booleans(),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(RAISES)
def test_the_index_finds_what_looking_at_every_incident_finds(raises):
    fast, slow = Grouping(PLACES), EveryGroup(PLACES)
    for channel, minute, side, returns in sorted(raises, key=lambda r: r[1]):
        member = raised(CHANNELS[channel], minute, side=side)
        assert fast.take(member) == slow.take(member)
        if returns:
            over = replace(member, active=False, seen_ns=member.raised_ns + 1)
            assert fast.take(over) == slow.take(over)
    assert fast.groups == slow.groups


@settings(max_examples=60, deadline=None)
@given(RAISES, st.integers(0, 40))
def test_a_restart_between_two_alarms_changes_no_incident(raises, cut):
    """What a ledger reads back is put into a new grouping: the rest falls as it would have."""
    members = [raised(CHANNELS[c], t, side=s) for c, t, s, _ in sorted(raises, key=lambda r: r[1])]
    whole, before = Grouping(PLACES), Grouping(PLACES)
    for member in members:
        whole.take(member)
    for member in members[:cut]:
        before.take(member)
    after = Grouping(Places(registry=REGISTRY))
    for group in before.groups.values():
        after.put(group)
    for member in members[cut:]:
        after.take(member)
    assert after.groups == whole.groups


def said(kind: str, offset: int, severity: int, subject: str) -> Event:
    return Event(
        type=EventType(kind), offset=offset, row=0, rule="gas-ch4", subject=subject,
        severity=severity, max_severity=severity, klass="safety", episode="1.0",
        onset_ns=BEGIN_NS + offset, event_ns=BEGIN_NS + offset, receive_ns=BEGIN_NS + offset,
    )  # fmt: skip


def test_events_open_incidents_join_them_and_make_them_worse():
    fold, grouping = AlarmFold(), Grouping(PLACES)
    told = []
    story = [("RAISED", 2, ch4(10)), ("RAISED", 2, ch4(11)), ("ESCALATED", 4, ch4(11)),
             ("CLEARED", 0, ch4(10))]  # fmt: skip
    for offset, (kind, severity, subject) in enumerate(story):
        event = said(kind, offset, severity, subject)
        told += changes(grouping, event, fold.apply(event, offset + 1).changed)
    assert [(c.opened, c.joined, c.worse) for c in told] == [
        (True, False, False), (False, True, False), (False, False, True), (False, False, False),
    ]  # fmt: skip
    group = told[-1].group
    assert group.incident_id == incident_id(said("RAISED", 0, 2, ch4(10)).alarm_id)
    assert group.severity == 4
    assert [m.active for m in group.members] == [False, True]
