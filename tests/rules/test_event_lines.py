"""An event's line, written field by field, is the line json makes of a dictionary."""

import json
import math
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.events import Event, EventType, decode, encode

TEXTS = st.text(max_size=12) | st.sampled_from(["", '"', "\\", "中文", "a\nb", "\x7f", "\u2028"])
INTS = st.integers(-(2**63), 2**64)
FLOATS = st.none() | st.floats() | st.integers(-5, 5) | st.sampled_from([math.inf, -0.0, 1e22])
EVIDENCE = st.dictionaries(
    TEXTS, st.recursive(st.none() | st.floats() | TEXTS | INTS, st.lists, max_leaves=4), max_size=3
)
EVENTS = st.builds(
    Event,
    type=st.sampled_from(EventType),
    offset=INTS, row=INTS, stage=INTS, rule=TEXTS, subject=TEXTS, side=INTS, ordinal=INTS,
    partition=TEXTS, severity=INTS, previous=INTS, max_severity=INTS, klass=TEXTS, episode=TEXTS,
    onset_ns=INTS, event_ns=INTS, receive_ns=INTS,
    value=FLOATS, score=FLOATS, limit=FLOATS,
    confirmed=st.booleans(), announce=st.booleans(), over_range=st.booleans(),
    evidence=EVIDENCE | EVIDENCE.map(MappingProxyType), shadow=st.booleans(),
)  # fmt: skip


def twin(event):
    held = event._asdict()
    if not event.shadow:
        del held["shadow"]
    return json.dumps(held, ensure_ascii=False, separators=(",", ":"), default=dict).encode()


@settings(max_examples=500, deadline=None)
@given(EVENTS)
def test_a_line_is_what_json_makes_of_the_fields(event):
    assert encode(event) == twin(event)


def test_the_fields_stand_in_their_order():
    """A field added to the event and not to its line would be missed here."""
    held = list(json.loads(encode(Event(EventType.RAISED, 1, 2, shadow=True))))
    assert held == list(Event._fields)


@pytest.mark.parametrize("shadow", [False, True])
def test_a_line_is_read_back(shadow):
    event = Event(EventType.RAISED, 1, 2, value=0.1, score=math.inf, shadow=shadow)
    assert decode(encode(event)) == event
