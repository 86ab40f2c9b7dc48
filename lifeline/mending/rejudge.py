"""``lifeline rejudge``: what would have been raised on the corrected data, by today's rules.

A list for review. It changes nothing: no alarm is raised, closed or taken back, and nobody is told
anything. The engine runs over the archive and journal with the corrections laid over them, and its
episodes are set beside those of the event log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingest.journal import JournalReader, durable_end
from ingest.journal.segments import segments
from ingest.store.past import Piece, Span
from lifeline.backtest.episodes import Episodes
from lifeline.backtest.run import Version, run
from lifeline.backtest.score import paired
from lifeline.backtest.sources import opened
from lifeline.mending.past import corrections_of
from rules.events import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ingest.store.corrections import Corrections
    from lifeline.backtest.episodes import Episode
    from rules.language import RuleSet
    from rules.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Episodes that only one of the two said. ``rows`` were judged anew, ``same`` are in both."""

    missed: tuple[Episode, ...]  # would have been raised, and was not
    unfounded: tuple[Episode, ...]  # was raised, and would not have been
    same: int
    rows: int
    corrections: int


def rejudge(
    data: Path,
    rules: RuleSet,
    registry: Registry,
    span_ns: tuple[int, int],
    *,
    warmup_ns: int = 0,
    tell: Callable[[int, int], None] = lambda _done, _time_ns: None,
) -> Review:
    """Judge what was received in a span again and compare.

    Raises
    ------
    rules.problems.Invalid, Missing
        The rules do not fit the registry; the data folder lost what its records name.
    """
    corrections = corrections_of(data)
    begin_ns = max(span_ns[0] - warmup_ns, 0)
    with opened(data=data, from_ns=begin_ns) as source:
        read = source.read
        today = replace(
            source,
            registry=registry if source.registry is not None else None,
            texts=lambda _digest: registry,
            read=lambda span: _mended(read(span), corrections),
        )
        version = Version(rules, today, span_ns[0])
        reading = run(today, [version], Span(from_ns=begin_ns, to_ns=span_ns[1]), tell=tell)
    would = version.episodes.held
    did = _said(data, span_ns)
    both = paired(would, did)
    known = {id(e) for pair in both for e in pair}
    return Review(
        missed=tuple(e for e in would if id(e) not in known),
        unfounded=tuple(e for e in did if id(e) not in known),
        same=len(both),
        rows=reading.rows,
        corrections=len(corrections.names),
    )


def _mended(pieces: Iterator[Piece], corrections: Corrections) -> Iterator[Piece]:
    for piece in pieces:
        if piece.columns is None:
            yield piece
        else:
            yield replace(piece, columns=corrections.on_columns(piece.columns))


def _said(data: Path, span_ns: tuple[int, int]) -> list[Episode]:
    """Return the episodes of the event log that concern the span."""
    folder = data / "events"
    episodes = Episodes(span_ns[0])
    held = segments(folder)
    if held:
        end = durable_end(folder)
        with JournalReader(folder, start=held[0].first) as reader:
            while records := reader.events(until=end):
                events = [decode(line) for _, lines in records for line in lines.lines]
                episodes.take([e for e in events if e.receive_ns < span_ns[1]])
    return episodes.held
