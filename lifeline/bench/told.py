"""Whether three programs tell the same: events as tuples, compared whatever their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.bench.loop_rare import Told
    from rules.events import Event
    from rules.registry import Registry

SLOPE_TOLERANCE = 1e-9  # sums in another order round otherwise; all other scores are equal


def as_told(said: Sequence[Event], registry: Registry) -> list[Told]:
    """Return the engine's events as loop and C tell them: a channel is its row."""
    row = registry.channel_row
    return [
        (
            str(event.type),
            event.rule,
            event.side,
            row.get(event.subject, -1),
            event.event_ns,
            0.0 if event.score is None else event.score,
        )
        for event in said
    ]


def same(one: Sequence[Told], other: Sequence[Told]) -> bool:
    """Tell whether these are the same events; a slope's score may differ by rounding."""
    if len(one) != len(other):
        return False
    return all(
        a[:5] == b[:5]
        and (a[5] == b[5] or (a[1] == "slope" and abs(a[5] - b[5]) <= SLOPE_TOLERANCE))
        for a, b in zip(sorted(one), sorted(other), strict=True)
    )
