"""A CAP message is read whole or refused with the reason; nothing in it can hurt."""

from __future__ import annotations

import json
from datetime import timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeline.bulletins.cap_in import MAX_BYTES, MAX_POINTS, Unreadable, read_cap
from rules.bulletins import Bulletin, bulletin_of, replaced, standing
from tests.lifeline.caps import AREA, BUREAU, at, cap, info

HOUR = 3_600 * 10**9


def test_issuer_event_level_area_and_times_are_read():
    sent = at()
    english = info(
        language="en-US",
        event="Rainstorm",
        headline="Orange rainstorm warning",
        issuer="Zhengzhou Weather",
        sent=sent,
    )
    told = read_cap(cap(infos=[info(areas=AREA, sent=sent), english], sent=sent))
    assert (told.key, told.kind, told.exercise) == (f"{BUREAU},zz-001", "alert", False)
    assert (told.hazard, told.severity) == ("rainstorm", 3)
    assert told.issuer == ("Zhengzhou Weather", "郑州市气象台")
    assert told.event == ("Rainstorm", "暴雨")
    assert told.headline == ("Orange rainstorm warning", "郑州市气象台发布暴雨橙色预警信号")
    assert told.areas == ("金水区", "二七区")
    assert told.codes == ("410105",)
    assert told.polygons[0][0] == (113.6, 34.7)
    assert told.sent_ns == int(sent.timestamp()) * 10**9
    assert told.onset_ns == told.sent_ns
    assert told.expires_ns == told.sent_ns + 6 * HOUR


def test_what_was_read_is_the_same_after_it_was_json():
    told = read_cap(cap(kind="Update", references=["zz-000"]))
    assert bulletin_of(json.loads(json.dumps(told.data()))) == told


@pytest.mark.parametrize(
    ("headline", "event", "severity", "level"),
    [
        ("发布暴雨红色预警", "暴雨", "Severe", 4),  # the colour is what the public knows
        ("发布预警", "暴雨黄色预警", "Extreme", 2),
        ("由黄色升级为橙色", "暴雨", "Severe", 3),  # two colours say none
        ("发布预警", "大风", "Minor", 1),
        ("Blue gale warning", "gale", "Severe", 1),
        ("发布预警", "大风", "Unknown", 0),
    ],
)
def test_the_level_is_the_colour_it_names_else_cap_s_severity(headline, event, severity, level):
    said = info(headline=headline, event=event, severity=severity)
    assert read_cap(cap(infos=[said])).severity == level


@pytest.mark.parametrize(
    ("event", "hazard"),
    [("台风", "typhoon"), ("雷暴大风", "thunderstorm"), ("大风", "gale"), ("霾", "haze"),
     ("山洪灾害", "mountain-flood"), ("Road icing", "road-icing"), ("蝗虫", "other")],
)  # fmt: skip
def test_what_it_warns_of_is_one_of_our_words(event, hazard):
    assert read_cap(cap(infos=[info(event=event, headline="预警")])).hazard == hazard


def test_without_an_end_it_lasts_a_day():
    said = info().replace("<expires>", "<was>").replace("</expires>", "</was>")
    told = read_cap(cap(infos=[said]))
    assert told.expires_ns == told.sent_ns + 24 * HOUR


def test_a_long_polygon_is_held_as_the_box_around_it():
    ring = " ".join(f"{34 + i / 1e4:.4f},{113 + i / 1e4:.4f}" for i in range(MAX_POINTS + 1))
    area = f"<area><areaDesc>x</areaDesc><polygon>{ring}</polygon></area>"
    (box,) = read_cap(cap(infos=[info(areas=area)])).polygons
    assert box == ((113.0, 34.0), (113.06, 34.0), (113.06, 34.06), (113.0, 34.06), (113.0, 34.0))


ENTITY = '<!DOCTYPE a [<!ENTITY x "y">]>'
BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
DEEP = b"<a>" * 60_000 + b"</a>" * 60_000


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (cap(before=ENTITY), "no DTD"),
        (cap(before=BOMB), "no DTD"),
        (cap(before=FILE), "no DTD"),
        (cap(before='<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd">'), "no DTD"),
        (DEEP, f"at most {MAX_BYTES}"),
        (DEEP[:90_000], "no XML"),
        (b"<a>" * 30_000 + b"</a>" * 30_000, "no alert"),
        (cap(infos=[info(), "<info/>" * 25_000]), "elements"),
        (cap() + b" " * MAX_BYTES, f"at most {MAX_BYTES}"),
        (b"", "no XML"),
        (b"\xff\xfe\x00", "no XML"),
        (b'{"event": "rain"}', "no XML"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "no XML"),
        (b"<alert/>", "no alert"),
        (cap().replace(b"cap:1.2", b"cap:1.1"), "no alert"),
        (cap(identifier=""), "identifier is missing"),
        (cap(identifier="a b"), "identifier 'a b'"),
        (cap(sender="x" * 201), "sender"),
        (cap(kind="Ack"), "msgType 'Ack'"),
        (cap(status="Test"), "status 'Test'"),
        (cap(infos=[]), "no info"),
        (cap(kind="Update"), "without references"),
        (cap(kind="Cancel", infos=[]), "without references"),
        (cap(infos=[info(event="")]), "event is missing"),
        (cap(infos=[info(onset="<onset>tomorrow</onset>")]), "'tomorrow' is no time"),
        (cap(infos=[info(onset="<onset>2026-07-20T16:00:00</onset>")]), "has no zone"),
        (cap(infos=[info(onset="<onset>0001-01-01T00:00:00+08:00</onset>")]), "no time of ours"),
        (cap(infos=[info(areas="<area><polygon>1,2 3</polygon></area>")]), "no lat,lon"),
        (cap(infos=[info(areas="<area><polygon>91,2 1,2 1,2 1,2</polygon></area>")]), "earth"),
        (cap(infos=[info(areas="<area><polygon>nan,2 1,2 1,2 1,2</polygon></area>")]), "earth"),
        (cap(infos=[info(areas="<area><polygon>1,2 3,4</polygon></area>")]), "four points"),
        (cap(kind="Update", references=["x"]).replace(b",x,", b",x"), "sender,identifier,sent"),
        (cap(kind="Update", references=["x"] * 41), "at most 40"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(raw, said):
    with pytest.raises(Unreadable) as refused:
        read_cap(raw)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 500


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_bytes_of_any_kind_are_read_or_refused_and_nothing_else(data):
    raw = bytearray(cap())
    for _ in range(data.draw(st.integers(1, 6))):
        at_byte = data.draw(st.integers(0, len(raw) - 1))
        raw[at_byte : at_byte + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=6))
    try:
        told = read_cap(bytes(raw))
    except Unreadable:
        return
    assert isinstance(told, Bulletin)


def bulletin(name, **more):
    held = {"identifier": name, "sender": BUREAU, "sent_ns": 100, "kind": "alert"}
    return Bulletin(**held | {"expires_ns": 1_000, "severity": 2} | more)


def refer(*names, sender=BUREAU):
    return tuple(f"{sender},{name}" for name in names)


A = bulletin("a")
B = bulletin("b", kind="update", sent_ns=200, references=refer("a"), severity=3)
C = bulletin("c", kind="cancel", sent_ns=300, references=refer("a", "b"), expires_ns=1_000)


@pytest.mark.parametrize("order", [(A, B, C), (C, B, A), (B, A, C), (C, A, B)])
def test_updates_and_cancels_hold_in_whatever_order_they_came(order):
    assert standing(order, 500) == []
    assert {key: by.identifier for key, by in replaced(order).items()} == {
        A.key: "c",
        B.key: "c",
    }
    assert standing([b for b in order if b is not C], 500) == [B]


def test_a_warning_goes_at_its_end_and_not_before():
    assert standing([A], 999) == [A]
    assert standing([A], 1_000) == []


def test_nobody_voids_the_warning_of_another_and_an_exercise_voids_nothing_real():
    other = bulletin("x", kind="cancel", sender="y@example", references=refer("a"))
    drill = bulletin("d", kind="cancel", exercise=True, references=refer("a"))
    assert standing([A, other, drill], 500) == [A]
    own_drill = bulletin("e", exercise=True)
    assert standing([own_drill, bulletin("f", kind="cancel", references=refer("e"))], 500) == []


def test_the_worst_stands_first_and_exercises_last():
    drill = bulletin("d", exercise=True, severity=4)
    assert [b.identifier for b in standing([A, drill, B], 500)] == ["b", "d"]


def test_times_are_of_the_zone_they_are_written_in():
    sent = at(-1).astimezone(timezone(timedelta(hours=-3)))
    assert read_cap(cap(sent=sent)).sent_ns == int(sent.timestamp()) * 10**9
