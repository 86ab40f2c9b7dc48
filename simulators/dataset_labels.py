"""When public data sets say themselves that something was wrong: spans of time, as labelled."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Span = tuple[datetime, datetime]
NOT_FLAGGED: Final = {"", "0", "0.0", "NULL", "NaN"}
JOINED_LINES: Final = 3  # flagged lines so near each other are one span


def flagged(
    text: str, columns: Sequence[str], time: tuple[str, str], separator: str = ","
) -> list[Span]:
    """Return the spans of lines with a flag in any of ``columns``; time is (column, pattern)."""
    rows = list(csv.DictReader(io.StringIO(text), delimiter=separator))
    moments = [datetime.strptime(row[time[0]], time[1]).replace(tzinfo=UTC) for row in rows]
    apart = sorted(abs(b - a) for a, b in pairwise(moments))
    joined = JOINED_LINES * (apart[len(apart) // 2] if apart else timedelta(0))
    spans: list[Span] = []
    wrong = (any((row.get(c) or "").strip() not in NOT_FLAGGED for c in columns) for row in rows)
    for at in sorted(at for at, flag in zip(moments, wrong, strict=True) if flag):
        if spans and at - spans[-1][1] <= joined:
            spans[-1] = spans[-1][0], at
        else:
            spans.append((at, at))
    return spans


def nab_windows(file: Path, series: str) -> list[Span]:
    """Return NAB's windows of a series such as ``realKnownCause/machine_temperature.csv``."""
    if not file.is_file():
        return []
    held = json.loads(file.read_text(encoding="utf-8")).get(series, [])
    return [(_utc(begin), _utc(end)) for begin, end in held]


def batadal_attacks(file: Path, dataset: str) -> list[Span]:
    """Return BATADAL's attacks on a data set; lines that begin with # are remarks."""
    if not file.is_file():
        return []
    lines = [line for line in file.read_text("utf-8-sig").splitlines() if line[:1] != "#"]
    rows = csv.DictReader(lines)
    return [(_utc(r["start"]), _utc(r["end"])) for r in rows if r["dataset"] == dataset]


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
