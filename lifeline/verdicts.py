"""Operators' verdicts as a truth file: which alarms were true, when, and what caused them.

A back-test and ``rules suggest --truth`` read it (lifeline/backtest/truth.py): what a person on
duty found true must not be lost by other limits; all else may be tuned away.
"""

from __future__ import annotations

import csv
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from lifeline.ledger.open import open_ledger
from lifeline.ledger.partition import LEDGER_PARTITION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lifeline.ledger import Ledger
    from rules.alarms import Alarm

COLUMNS: Final = ("id", "place", "from", "to", "kind", "level", "rules")
_EVERY: Final = 1_000_000


class Told(NamedTuple):
    """How many alarms have a verdict, by verdict; and how many have none."""

    true: int
    false: int
    open: int


def write_truth(ledger: Ledger, path: Path) -> Told:
    """Write the alarms found true as incidents, a line each; simulated ones are left out.

    An incident lasts from the alarm's onset until its return, or its last change, was known. Its
    level is blue: any alarm of that rule in that time has found it.

    Raises
    ------
    lifeline.ledger.LedgerError
        The ledger cannot be read.
    OSError
        The file cannot be written.
    """
    alarms = [a for a, simulated in _of_rules(ledger) if not simulated]
    true = judged(alarms, "true")
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(row_of(alarm) for alarm in true)
    false = len(judged(alarms, "false"))
    return Told(len(true), false, len(alarms) - len(true) - false)


def verdicts_in(folder: Path, verdict: str) -> list[dict[str, str]]:
    """Return the alarms of a city's ledger with a verdict, as lines of a truth file.

    Raises
    ------
    Missing
        There is no ledger.
    lifeline.ledger.LedgerError
        It cannot be read.
    """
    with closing(open_ledger(folder)) as ledger:
        return [row_of(alarm) for alarm in judged((a for a, _ in _of_rules(ledger)), verdict)]


def judged(alarms: Iterable[Alarm], verdict: str) -> list[Alarm]:
    """Return the alarms with a verdict, oldest first."""
    return sorted((a for a in alarms if a.verdict == verdict), key=lambda a: a.onset_ns)


def _of_rules(ledger: Ledger) -> list[tuple[Alarm, bool]]:
    """Return the alarms that rules gave; the ledger's own are about no reading."""
    return [
        (alarm, simulated)
        for alarm, simulated in ledger.list(ended=None, limit=_EVERY)
        if not alarm.episode.startswith(f"{LEDGER_PARTITION} ")
    ]


def row_of(alarm: Alarm) -> dict[str, str]:
    """Return an alarm as a line of a truth file."""
    # a back-test counts by when an alarm was known: what came in a late batch was known late
    ends_ns = max(alarm.cleared_ns, alarm.receive_ns, alarm.raised_ns, alarm.onset_ns)
    return {
        "id": alarm.alarm_id,
        "place": alarm.subject,
        "from": _iso(alarm.onset_ns),
        "to": _iso(ends_ns + 1_000_000_000),
        "kind": alarm.cause,
        "level": "blue",
        "rules": alarm.rule,
    }


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).isoformat()
