"""One case from its input to its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.events import encode
from rules.testing.invariants import broken
from rules.testing.journal import journal_of
from rules.testing.judging import Failure, judge
from rules.testing.play import How, play
from rules.testing.reasons import because
from rules.testing.ticks import after_changes, first_ticks, more_ticks, reach_of

if TYPE_CHECKING:
    from rules.series import Series
    from rules.testing.cases import Case
    from rules.testing.journal import Entries, Journal
    from rules.testing.play import Played


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one test gave. ``series`` holds scores only if something failed."""

    case: Case
    journal: Journal
    played: Played
    failures: tuple[Failure, ...]
    series: tuple[Series, ...] = ()

    @property
    def event_log(self) -> bytes:
        """Return the engine's events as the event log holds them, one JSON line each."""
        return b"".join(encode(event) + b"\n" for event in self.played.events)


def run(case: Case, *, golden: bool = True) -> Result:
    """Play one case and judge it; without ``golden`` its golden file is not looked at.

    Raises
    ------
    Invalid
        Its input is too long or cannot be; all problems of the file.
    """
    journal = journal_of(case)
    entries, played = settled(case, journal)
    failures = [_refused(case, number, said) for number, said in played.refused]
    failures += judge(case, journal, played)
    result = Result(case=case, journal=journal, played=played, failures=())
    if golden and case.test.entry.events is not None:
        failures += _golden(result)
    for name in case.test.entry.invariants:
        if said := broken(name, case, journal, entries, played):
            failures.append(_failure(case, ("invariants",), said))
    if not failures:
        return result
    series = play(case, journal, entries, How(scores=True)).series
    explained = [because(case, journal, series, failure) for failure in failures]
    return Result(
        case=case,
        journal=journal,
        played=played,
        failures=tuple(explained),
        series=tuple(series),
    )


def settled(case: Case, journal: Journal) -> tuple[Entries, Played]:
    """Play until the ticks suffice; return what was read and what came of it."""
    ticks, reach = first_ticks(journal), reach_of(case.plan)
    while True:
        entries = journal.records(ticks)
        played = play(case, journal, entries)
        more = more_ticks(journal, ticks, played.events)
        if reach:
            inputs = play(case, journal, entries, How(inputs=True)).events
            more = more_ticks(journal, more, inputs)
            more = after_changes(case, journal, more, inputs, reach)
        if len(more) == len(ticks):
            return entries, played
        ticks = more


def _refused(case: Case, number: int, said: str) -> Failure:
    return _failure(case, ("actions", number), said)


def _failure(case: Case, where: tuple[str | int, ...], said: str) -> Failure:
    line = case.test.document.at((*case.test.path, *where))[0]
    return Failure(number=-1, at_ns=0, line=line, rule="", subject="", said=said)


def _golden(result: Result) -> list[Failure]:
    case, got = result.case, result.event_log
    name = case.test.entry.events
    if case.golden is None:
        said = f"{name}: there is no such file yet: write it with --update-golden, and read it"
        return [_failure(case, ("events",), said)]
    if got == case.golden:
        return []
    before, after = case.golden.splitlines(), got.splitlines()
    at = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    lines = [
        x[at].decode("utf-8", "replace") if at < len(x) else "nothing" for x in (before, after)
    ]
    said = f"{name}:{at + 1}: expected {_cut(lines[0])}, got {_cut(lines[1])}"
    return [_failure(case, ("events",), said)]


def _cut(line: str) -> str:
    return line if len(line) <= 200 else f"{line[:197]}..."
