"""What a scripted shift remembers by itself, to hold ledger, figures and report against.

It knows what it fed and what it ordered, and how alarms looked over the API right after; nothing is
read from the ledger's events, nor from what is computed of them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

CALLING: Final = ("RAISED", "ESCALATED", "CONFIRMED", "LATE_FINDING")
Key = tuple[str, str, bool]


@dataclass(slots=True)
class Watched:
    """One row of the operators' list."""

    key: Key
    waiting: list[tuple[int, int]] = field(default_factory=list)  # (level, when) it called
    before: list[tuple[int, int]] = field(default_factory=list)  # the last acknowledgement
    seen: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class DutyRecord:
    """Everything the script saw and did."""

    came: int = 0
    calls: list[int] = field(default_factory=list)  # when
    done: Counter[tuple[str, str]] = field(default_factory=Counter)  # (event type, by)
    waits: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # alarm: (level, s)
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)  # alarm: (rule, verdict)
    shelves: dict[str, int] = field(default_factory=dict)  # alarm: until
    rows: dict[str, Watched] = field(default_factory=dict)
    tests: Counter[bool] = field(default_factory=Counter)
    newest: dict[Key, str] = field(default_factory=dict)

    def look(self, alarm: dict[str, Any], *, now_ns: int, event: str = "", level: int = 0) -> None:
        """Note an alarm as the API shows it after an event, or after time did something."""
        name = alarm["id"]
        key = (alarm["rule"], alarm["subject"], alarm["late"])
        before = self.rows[name].seen if name in self.rows else {}
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = Watched(key)
            old = self.newest.get(key)
            if old is not None and alarm["reactivations"]:  # the same row goes on
                row.waiting, self.rows[old].waiting = self.rows[old].waiting, []
                chattered = bool(self.rows[old].seen.get("chattering"))
            else:
                chattered = bool(old and self.rows[old].seen.get("chattering"))
            before = {"chattering": chattered}
            self.newest[key] = name
        if self._calls(alarm, before, event):
            row.waiting.append((max(level or alarm["severity"], 1), now_ns))
            self.calls.append(now_ns)
        row.seen = alarm

    @staticmethod
    def _calls(alarm: dict[str, Any], before: dict[str, Any], event: str) -> bool:
        if alarm["held"]:
            return False
        if event in CALLING:
            again = event == "RAISED" and before.get("chattering") and alarm["chattering"]
            return not again or alarm["severity"] >= 4
        stands = alarm["active"] and not alarm["acked"]
        if event == "TIME":  # off its shelf, or seen too long ago
            return bool(stands and (before.get("acked") or before.get("held")))
        return bool(event == "UNSHELVED" and stands)

    def acked(self, name: str, by: str, *, now_ns: int) -> None:
        """Note an acknowledgement that was taken."""
        row = self.rows[name]
        self.done["ACKED", by] += 1
        row.before, row.waiting = row.waiting, []
        waits = self.waits.setdefault(name, [])
        if row.before:
            level = max(at for at, _ in row.before)
            since_ns = min(when for at, when in row.before if at == level)
            waits.append((level, (now_ns - since_ns) / 1e9))

    def taken_back(self, name: str, by: str) -> None:
        """Note that an acknowledgement was taken back: the alarm waits as before."""
        row = self.rows[name]
        self.done["ACK_REVOKED", by] += 1
        if row.before:
            self.waits[name].pop()
        row.waiting = row.before

    def answers(self) -> dict[str, dict[str, float]]:
        """Return times to acknowledge by level, as the figures have them."""
        by_level: dict[int, list[float]] = {}
        for waits in self.waits.values():
            for level, took_s in waits:
                by_level.setdefault(level, []).append(took_s)
        return {str(level): _shares(sorted(took)) for level, took in sorted(by_level.items())}


def _shares(took: list[float]) -> dict[str, float]:
    at = {name: took[math.ceil(q * len(took)) - 1] for name, q in _SHARES}
    return {"count": len(took)} | at


_SHARES: Final = (("p50_s", 0.5), ("p90_s", 0.9), ("p99_s", 0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing told twice: by the script's own record, and by ledger, figures or report."""

    name: str
    script: Any
    told: Any

    @property
    def agrees(self) -> bool:
        """Tell whether both are the same."""
        return bool(self.script == self.told)


def rows_of(page: str, section: str) -> int:
    """Return the lines of a section's table in the report."""
    found = re.search(rf'<section id="{section}">(.*?)</section>', page, re.DOTALL)
    body = re.search(r"<tbody>(.*?)</tbody>", found[1], re.DOTALL) if found else None
    return body[1].count("<tr>") if body else 0


def verdicts_of(figures: dict[str, Any]) -> dict[str, list[int]]:
    """Return [true, false] by rule, of rules with a verdict."""
    told = {rule: [v["true"], v["false"]] for rule, v in figures["verdicts"].items()}
    return {rule: counts for rule, counts in told.items() if sum(counts)}
