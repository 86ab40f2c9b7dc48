"""What must hold of any journal: the same events, however it is cut, restarted or sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rules.events import Event, encode
from rules.testing.play import How, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.testing.cases import Case
    from rules.testing.journal import Entries, Journal
    from rules.testing.play import Played

ONE_BY_ONE: Final = 1_000  # records read one by one; what follows is read at once
MAX_RESTARTS: Final = 100


def broken(name: str, case: Case, journal: Journal, entries: Entries, plain: Played) -> str:
    """Return how an invariant is broken, "" if it holds."""
    for said, how in _WAYS[name](entries, plain):
        other = play(case, journal, entries, how)
        if (found := _difference(plain.events, other.events)) is not None:
            return f"{name}: {said}, {found}"
    return ""


def _difference(plain: list[Event], other: list[Event]) -> str | None:
    before, after = [list(map(encode, events)) for events in (plain, other)]
    if before == after:
        return None
    at = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    said = [
        f"{e[at].type} of {e[at].rule or 'the system'} on {e[at].subject or 'it'}"
        if at < len(e)
        else "nothing"
        for e in (plain, other)
    ]
    return f"event {at + 1} is {said[1]} and not {said[0]}"


def _batches(_: Entries, __: Played) -> list[tuple[str, How]]:
    return [
        ("read one record at a time", How(batch=1, batch_until=ONE_BY_ONE)),
        ("read 7 records at a time", How(batch=7, batch_until=7 * ONE_BY_ONE)),
        ("read 1000 records at a time", How(batch=1000)),
    ]


def _restarts(entries: Entries, plain: Played) -> list[tuple[str, How]]:
    """Restart around all that was decided, after every arrival, and now and then between ticks."""
    decided = np.isin(entries.offset, [event.offset for event in plain.events])
    around = np.unique(np.flatnonzero(decided)[:, None] - (0, 1))[: MAX_RESTARTS // 2].tolist()
    arrivals = np.flatnonzero(~decided & ~entries.is_tick()).tolist()
    evenly = range(0, len(entries), max(1, len(entries) // (MAX_RESTARTS // 4)))
    step = max(1, -(-len(arrivals) // (MAX_RESTARTS - len(around))))
    chosen = {*around, *arrivals[::step], *evenly}
    return [("restarted on the way", How(restart=chosen.__contains__))]


def _twice(_: Entries, __: Played) -> list[tuple[str, How]]:
    return [("with everything sent twice", How(twice=True))]


_WAYS: Final[dict[str, Callable[[Entries, Played], list[tuple[str, How]]]]] = {
    "duplicate_any": _twice,
    "restart_anywhere": _restarts,
    "batch_1_7_1000": _batches,
}
