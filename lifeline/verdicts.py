"""Operators' verdicts as a truth file: which alarms were true, when, and what caused them.

A back-test and ``rules suggest --truth`` read it (lifeline/backtest/truth.py): what a person on
duty found true must not be lost by other limits; all else may be tuned away.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
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

    An incident lasts from the alarm's onset until it returned, or until what is known of it. Its
    level is blue: any alarm of that rule in that time has found it.

    Raises
    ------
    lifeline.ledger.LedgerError
        The ledger cannot be read.
    OSError
        The file cannot be written.
    """
    alarms = [a for a, simulated in ledger.list(ended=None, limit=_EVERY) if not simulated]
    true = sorted((a for a in alarms if a.verdict == "true"), key=lambda a: a.onset_ns)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS)
        out.writeheader()
        out.writerows(_row(alarm) for alarm in true)
    false = sum(a.verdict == "false" for a in alarms)
    return Told(len(true), false, len(alarms) - len(true) - false)


def _row(alarm: Alarm) -> dict[str, str]:
    ends_ns = max(alarm.cleared_ns, alarm.event_ns, alarm.raised_ns, alarm.onset_ns)
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
