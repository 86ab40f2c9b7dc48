"""Many pages and alarms, a small part of `lifeline bench page`; streams that bring only changes."""

from __future__ import annotations

import json

import pytest

from lifeline.bench.page.load import Ask, faults, measure
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until


def events(stream):
    """The (kind, what it tells) of a stream, one after the other."""
    kind = ""
    for line in stream:
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            yield kind, json.loads(line[6:])


def next_of(told, *kinds: str):
    return next((kind, what) for kind, what in told if kind in kinds)


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


def test_a_page_gets_the_whole_once_and_then_only_the_alarms_that_are_new_to_it(city):
    with serving(city.data) as http:
        city.send(LEVEL, 0.7)
        city.send(GAS, 0.6)
        until(lambda: len(http.get("/api/alarms").json()["alarms"]) == 2)
        with (
            http.stream("GET", "/api/stream?changes=1") as thin,
            http.stream("GET", "/api/stream") as whole,
        ):
            told, every = events(thin.iter_lines()), events(whole.iter_lines())
            kind, first = next_of(told, "state", "change")
            assert (kind, len(first["alarms"])) == ("state", 2)
            assert len(next_of(every, "state")[1]["alarms"]) == 2
            known = {a["id"]: a for a in first["alarms"]}
            city.send(OTHER_GAS, 0.7)
            while len(known) < 3:
                kind, change = next_of(told, "state", "change")
                assert kind == "change"
                assert len(change["alarms"]) <= 1, "what has not changed is not sent"
                known |= {a["id"]: a for a in change["alarms"]}
                assert set(change["ids"]) <= set(known), "nothing is named that was not sent"
            shown = [known[i] for i in change["ids"]]
            while len((now := next_of(every, "state")[1])["alarms"]) < 3:
                pass
            assert shown == now["alarms"], "the same screen, in the same order"
            assert change["counts"] == now["counts"]


@pytest.mark.real
@pytest.mark.alone
def test_alarms_reach_every_page_and_the_screen_within_a_second():
    told = measure(Ask(profile="demo", pages=12, standing=60, alarms=4, every_s=1.0))
    assert told["missing"] == 0
    assert told["streams_ms"]["n"] == 12 * 4
    assert told["screen_ms"]["n"] == 4
    assert told["streams_ms"]["p50"] < 1_000
    assert told["screen_ms"]["p50"] < 1_000
    assert 0 < told["server_core_share"] < 1
    assert told["pan"]["frames"] > 50


def test_what_was_not_kept_is_said():
    good = {
        "missing": 0, "streams_ms": {"worst": 400}, "screen_ms": {"worst": 999},
        "first_paint_ratio": 1.5, "pan": {"fps": 30.0},
    }  # fmt: skip
    assert faults(good) == []
    bad = {
        "missing": 2, "streams_ms": {"worst": 1_000}, "screen_ms": {},
        "first_paint_ratio": 1.6, "pan": {"fps": 29.0},
    }  # fmt: skip
    assert len(faults(bad)) == 4
