"""When and where official warnings hold: whatever order they come in, and the louder side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rules.bulletins import spans
from rules.registry_file import registry_of
from rules.schedule import Warned
from rules.standing import LOOK_BACK_NS, MOST, StandingWarnings, covered, read_warning
from tests.storm_kit import REGISTRY, T0, S, warning


def test_a_sender_speaks_for_its_own_in_whatever_order_the_messages_come() -> None:
    alert = warning(0)
    cancel = warning(100, "w2", kind="cancel", references=("met,w1",), expires_ns=T0)
    foreign = replace(cancel, sender="else", identifier="w3", sent_ns=T0 + 5)
    drill = replace(cancel, identifier="w4", exercise=True, sent_ns=T0 + 6)
    update = warning(50, "w5", kind="update", references=("met,w1",), onset_ns=T0 + 70 * S)
    whole = {"met,w1": (T0, T0 + 3600 * S)}
    assert spans([alert, foreign, drill]) == whole
    for held in ([alert, cancel, foreign], [foreign, cancel, alert]):
        assert spans(held) == {"met,w1": (T0, T0 + 100 * S)}
    both = spans([cancel, update, alert])
    assert both["met,w1"] == (T0, T0 + 70 * S)
    assert both["met,w5"] == (T0 + 70 * S, T0 + 3650 * S)
    assert spans([warning(0, expires_ns=T0)]) == {}


RING = ((113.65, 34.75), (113.75, 34.75), (113.75, 34.85), (113.65, 34.85))
FAR = ((1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0))


@pytest.mark.parametrize(
    ("said", "jinshui", "erqi"),
    [
        ({}, True, True),  # no area at all: everywhere
        ({"areas": ("金水区",)}, True, False),
        ({"areas": ("河南省郑州市金水区",)}, True, False),
        ({"areas": ("金水区", "二七区")}, True, True),
        ({"areas": ("郑州市北部",)}, True, True),  # nobody knows which that is
        ({"areas": ("金水区", "北部")}, True, True),
        ({"polygons": (RING,)}, True, False),
        ({"polygons": (FAR,)}, False, False),
        ({"areas": ("北部",), "polygons": (RING,)}, True, False),
        ({"areas": ("北部", "二七区"), "polygons": (RING,)}, True, True),
        ({"areas": ("北部", "西部"), "polygons": (FAR,)}, True, True),  # one area has no polygon
        ({"codes": ("410105",)}, True, False),
        ({"codes": ("410100",)}, True, True),
        ({"codes": ("410000000000",)}, True, True),
        ({"codes": ("320100",)}, False, False),
        ({"codes": ("410105001000",)}, True, False),  # a street of it: may be ours
        ({"areas": ("南京", "苏州"), "codes": ("320100", "320500")}, False, False),
    ],
)
def test_a_warning_covers_what_it_names_and_what_it_may_mean(
    said: dict[str, object], *, jinshui: bool, erqi: bool
) -> None:
    registry = registry_of({"r.yaml": REGISTRY})
    place = registry.asset_row
    found = covered(warning(0, **said), registry)
    assert bool(found[place["410105-drain-mh-000001"]]) is jinshui
    assert bool(found[place["410103-drain-mh-000002"]]) is erqi


def test_an_asset_without_a_place_is_covered() -> None:
    """An area that is named in words only, and an asset of which nothing is known."""
    text = REGISTRY.replace("  district: 金水区\n  at: [113.7, 34.8]\n", "")
    registry = registry_of({"r.yaml": text})
    row = registry.asset_row["410105-drain-mh-000001"]
    assert covered(warning(0, areas=("二七区",)), registry)[row]
    assert covered(warning(0, polygons=(FAR,)), registry)[row]
    known = StandingWarnings(registry)
    known.take(warning(0, areas=("二七区",)).data(), T0)
    asked = Warned(("rainstorm",), 1)
    assert known.holds(asked, np.array([-1]), np.array([T0])).tolist() == [True]


def test_what_ended_long_ago_and_what_is_too_much_is_forgotten() -> None:
    registry = registry_of({"r.yaml": REGISTRY})
    known = StandingWarnings(registry)
    assert known.take(warning(0).data(), T0)
    assert not known.take(warning(0).data(), T0), "the same again"
    known.take(warning(10, "w2").data(), T0 + 3600 * S + LOOK_BACK_NS)
    assert len(known.state) == 2
    known.take(warning(20, "w3").data(), T0 + 3601 * S + LOOK_BACK_NS)
    assert [each["identifier"] for each in known.state] == ["w2", "w3"]
    many = StandingWarnings(registry)
    for number in range(MOST + 3):
        many.take(warning(number, f"m{number}").data(), T0)
    kept = {each["identifier"] for each in many.state}
    assert len(kept) == MOST
    assert {"m0", "m1", "m2"}.isdisjoint(kept)


def test_texts_of_a_warning_are_not_kept_in_snapshots() -> None:
    read = read_warning(warning(0, description=("long", "长"), headline=("h", "头")).data())
    assert read is not None
    assert (read.description, read.headline) == (("", ""), ("", ""))
    assert read.issuer == ("", "郑州市气象台")
