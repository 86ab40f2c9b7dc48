"""What called the operators: how often, in floods or not, of which sources and at which levels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.events import EventType
from rules.flood import WINDOW_NS, Flood, FloodLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifeline.kpi.past import Line, Span
    from rules.events import Event

TEN: Final = 10
"""Calls in ten minutes beyond which an operator no longer keeps up; and the sources looked at."""
CHATTER_COUNT: Final = 3
CHATTER_NS: Final = 60 * 10**9
FLEETING_NS: Final = 10 * 10**9
RAISES: Final = frozenset({EventType.RAISED, EventType.RERUN_DIFFERS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One rule on one subject and side, and how often it called."""

    rule: str
    subject: str
    side: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodSpell:
    """One flood: since when and until when, Unix ns, and the calls in it."""

    from_ns: int
    to_ns: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """All calls of a span, counted."""

    total: int
    bins: tuple[int, ...]  # of ten minutes each from the span's begin; the last may be shorter
    mean: float  # per operator and ten minutes
    peak: float  # per operator, the worst ten minutes
    over_ten: float  # share of the ten minutes with more than ten calls an operator
    floods: tuple[FloodSpell, ...]
    in_flood: float  # share of the time
    by_severity: dict[int, int]
    top: tuple[Source, ...]
    top_share: float  # of the ten worst sources in all calls
    chattering: tuple[Source, ...]  # three raises in a minute; ``calls`` = raises
    fleeting: tuple[Source, ...]  # gone within ten seconds; ``calls`` = how often


def shown_severity(event: Event) -> int:
    """Return the level an event was announced at: one lower while a first sample stands alone."""
    at = event.severity or event.max_severity
    return at if event.confirmed or at <= 1 else at - 1


def calls_of(lines: Sequence[Line], span: Span, *, flood: FloodLimits) -> Calls:
    """Count the calls of a span; ``flood`` are the limits for one operator."""
    held = [line.event for line in lines if line.called and span.holds(line.event)]
    length_ns = span.to_ns - span.from_ns
    bins = [0] * -(-length_ns // WINDOW_NS)
    for event in held:
        bins[(event.receive_ns - span.from_ns) // WINDOW_NS] += 1
    by_source = Counter((e.rule, e.subject, e.side) for e in held)
    top = _sources(by_source)[:TEN]
    spells = _floods(sorted(e.receive_ns for e in held), span, flood)
    return Calls(
        total=len(held),
        bins=tuple(bins),
        mean=len(held) * WINDOW_NS / length_ns / span.operators,
        peak=max(bins) / span.operators,
        over_ten=sum(n > TEN * span.operators for n in bins) / len(bins),
        floods=tuple(spells),
        in_flood=sum(s.to_ns - s.from_ns for s in spells) / length_ns,
        by_severity=dict(sorted(Counter(map(shown_severity, held)).items())),
        top=tuple(top),
        top_share=sum(s.calls for s in top) / len(held) if held else 0.0,
        chattering=_chattering(lines, span),
        fleeting=_fleeting(lines, span),
    )


def _sources(counts: Counter[tuple[str, str, int]]) -> list[Source]:
    worst = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Source(rule=r, subject=s, side=d, calls=n) for (r, s, d), n in worst]


def _floods(times: Sequence[int], span: Span, limits: FloodLimits) -> list[FloodSpell]:
    """Replay the calls; a flood is over when fewer than ``ends`` lie in the ten minutes before."""
    all_of_us = FloodLimits(
        begins=limits.begins * span.operators, ends=limits.ends * span.operators
    )
    flood, begun, found = Flood(), 0, list[FloodSpell]()
    for at, now_ns in enumerate([*times, span.to_ns]):
        over_ns = times[at - all_of_us.ends] + WINDOW_NS if at >= all_of_us.ends else 0
        if flood.is_open and now_ns >= over_ns:
            found.append(FloodSpell(from_ns=flood.since_ns, to_ns=over_ns, calls=at - begun))
            flood = Flood(times_ns=flood.times_ns)
        if at == len(times):
            break
        was_open = flood.is_open
        flood = flood.announce(now_ns, all_of_us)
        begun = at if flood.is_open and not was_open else begun
    if flood.is_open:
        calls = len(times) - begun
        found.append(FloodSpell(from_ns=flood.since_ns, to_ns=span.to_ns, calls=calls))
    return found


def _chattering(lines: Iterable[Line], span: Span) -> tuple[Source, ...]:
    raises: dict[tuple[str, str, int], list[int]] = {}
    for line in lines:
        event = line.event
        if event.type in RAISES and span.holds(event):
            key = (event.rule, event.subject, event.side)
            raises.setdefault(key, []).append(event.receive_ns)
    chatters: Counter[tuple[str, str, int]] = Counter()
    for key, times in raises.items():
        times.sort()
        ends = zip(times, times[CHATTER_COUNT - 1 :], strict=False)
        if any(last - first < CHATTER_NS for first, last in ends):
            chatters[key] = len(times)
    return tuple(_sources(chatters))


def _fleeting(lines: Iterable[Line], span: Span) -> tuple[Source, ...]:
    """Find what is gone within ten seconds: nobody could have done anything about it."""
    raised: dict[str, int] = {}
    gone: Counter[tuple[str, str, int]] = Counter()
    for line in lines:
        event = line.event
        if event.type in RAISES:
            raised[event.alarm_id] = event.receive_ns
        elif event.type is EventType.CLEARED and span.holds(event):
            since = raised.get(event.alarm_id)
            if since is not None and event.receive_ns - since < FLEETING_NS:
                gone[event.rule, event.subject, event.side] += 1
    return tuple(_sources(gone))
