"""The quality stage one reading at a time, written from docs/kinds/quality.md alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tests.oracle_judge import JUDGED, LATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.plan import Plan, QualityRule
    from tests.oracle_judge import Row

GOOD, SUSPECT, FAIL = 1, 3, 4
ROW_BITS = 24
NEVER_NS = 2**62
DROPOUT_ROWS = 32


def place(row: Row) -> int:
    return row.offset * 2**ROW_BITS + row.row


@dataclass(frozen=True)
class Said:
    """One word: the row at ``at`` says ``flag`` of the row at ``g``."""

    at: int
    g: int
    flag: int


class Naive(Protocol):
    def look(self, row: Row) -> list[Said]: ...
    def epoch(self) -> None: ...


class Stateless:
    def epoch(self) -> None:
        pass


@dataclass
class Range(Stateless):
    suspect: tuple[float, float]
    fail: tuple[float, float]
    corrupt: list[float]

    def look(self, row: Row) -> list[Said]:
        x = row.value
        if x in self.corrupt:
            row.usable = False
        flag = GOOD
        if x < self.suspect[0] or x > self.suspect[1]:
            flag = SUSPECT
        if x < self.fail[0] or x > self.fail[1] or x in self.corrupt:
            flag = FAIL
        return [Said(place(row), place(row), flag)] if flag > GOOD else []


@dataclass
class Clock(Stateless):
    future_ns: int
    past_ns: int

    def look(self, row: Row) -> list[Said]:
        ahead = row.event_ns - row.receive_ns
        future = self.future_ns < NEVER_NS and ahead > self.future_ns
        if future or (self.past_ns < NEVER_NS and -ahead > self.past_ns):
            return [Said(place(row), place(row), SUSPECT)]
        return []


@dataclass
class Gap:
    suspect_ns: int
    last: int | None = None

    def look(self, row: Row) -> list[Said]:
        long = self.last is not None and row.judged_ns - self.last > self.suspect_ns
        self.last = row.judged_ns
        return [Said(place(row), place(row), SUSPECT)] if long else []

    def epoch(self) -> None:
        self.last = None


@dataclass
class Excursion:
    """Rows beyond since a row that was not, and whether they may still come back."""

    most: int
    width_ns: float = math.inf
    was_outside: bool = False
    rows: list[tuple[int, int, int]] = field(default_factory=list)  # (t, g, flag if confirmed)

    def take(self, row: Row, final: int, *, beyond: bool, breaks: bool) -> list[Said]:
        if breaks:
            self.rows, self.was_outside = [], not beyond
            return []
        at, t = place(row), row.judged_ns
        if not beyond:
            back = not self.rows or t - self.rows[0][0] <= self.width_ns
            told = [Said(at, g, flag if back else GOOD) for _, g, flag in self.rows]
            self.rows, self.was_outside = [], True
            return told
        if self.rows or self.was_outside:
            self.was_outside = False
            first = self.rows[0][0] if self.rows else t
            if len(self.rows) < self.most and t - first <= self.width_ns:
                self.rows.append((t, at, final))
                return [Said(at, at, SUSPECT)]
            told = [Said(at, g, GOOD) for _, g, _ in self.rows]
            self.rows = []
            return told
        return []


@dataclass
class Breaking:
    """What spike, dropout and stuck have in common: which rows are theirs, and breaks."""

    max_gap_ns: int
    last: int | None = None

    def look(self, row: Row) -> list[Said]:
        if not row.usable or not math.isfinite(row.value):
            return []
        breaks = self.last is None or row.judged_ns - self.last > self.max_gap_ns
        self.last = row.judged_ns
        return self.take(row, breaks=breaks)

    def take(self, row: Row, *, breaks: bool) -> list[Said]:
        raise NotImplementedError

    def epoch(self) -> None:
        self.last = None


def median(values: list[float]) -> float:
    held = sorted(values)
    middle = len(held) // 2
    if len(held) % 2:
        return held[middle]
    return held[middle - 1] * 0.5 + held[middle] * 0.5


@dataclass(kw_only=True)
class Spike(Breaking):
    window: int
    suspect: float
    fail: float
    floor: float
    excursion: Excursion
    before: list[float] = field(default_factory=list)

    def take(self, row: Row, *, breaks: bool) -> list[Said]:
        if breaks:
            self.before = []
        beyond, final = False, SUSPECT
        if len(self.before) >= self.window // 2 + 1:
            m = median(self.before)
            sigma = max(1.4826 * median([abs(x - m) for x in self.before]), self.floor)
            beyond = abs(row.value - m) > self.suspect * sigma
            if self.fail < math.inf and abs(row.value - m) > self.fail * sigma:
                final = FAIL
        self.before = [*self.before, row.value][-self.window :]
        return self.excursion.take(row, final, beyond=beyond, breaks=breaks)


@dataclass(kw_only=True)
class Dropout(Breaking):
    low: float
    high: float
    excursion: Excursion

    def take(self, row: Row, *, breaks: bool) -> list[Said]:
        inside = self.low <= row.value <= self.high
        return self.excursion.take(row, FAIL, beyond=inside, breaks=breaks)


@dataclass(kw_only=True)
class Stuck(Breaking):
    tolerance: float
    suspect_ns: int
    fail_ns: int
    quiet: tuple[float, float]
    run: list[tuple[int, float]] = field(default_factory=list)

    def take(self, row: Row, *, breaks: bool) -> list[Said]:
        if self.quiet[0] <= row.value <= self.quiet[1]:
            self.run = []
            return []
        values = [x for _, x in self.run] + [row.value]
        if breaks or max(values) - min(values) > self.tolerance:
            self.run = []
        self.run.append((row.judged_ns, row.value))
        lasted = row.judged_ns - self.run[0][0]
        flag = FAIL if lasted >= self.fail_ns else SUSPECT
        if flag == FAIL or lasted >= self.suspect_ns:
            return [Said(place(row), place(row), flag)]
        return []


def check_of(rule: QualityRule, i: int) -> Naive:
    own = {name: column[i] for name, column in rule.own.items()}
    gap = int(rule.max_gap_ns[i])
    makers: dict[str, Callable[[], Naive]] = {
        "range": lambda: Range(
            (own["suspect_lo"], own["suspect_hi"]),
            (own["fail_lo"], own["fail_hi"]),
            [float(code) for code in own["corrupt"] if not math.isnan(code)],
        ),
        "clock": lambda: Clock(int(own["future_ns"]), int(own["past_ns"])),
        "gap": lambda: Gap(gap),
        "spike": lambda: Spike(
            gap,
            window=int(own["window"]),
            suspect=float(own["suspect"]),
            fail=float(own["fail"]),
            floor=float(own["floor"]),
            excursion=Excursion(int(own["max_width"])),
        ),
        "dropout": lambda: Dropout(
            gap,
            low=float(own["low"]),
            high=float(own["high"]),
            excursion=Excursion(DROPOUT_ROWS, int(own["max_width_ns"])),
        ),
        "stuck": lambda: Stuck(
            gap,
            tolerance=float(own["tolerance"]),
            suspect_ns=int(own["suspect_ns"]),
            fail_ns=int(own["fail_ns"]),
            quiet=(float(own["quiet_lo"]), float(own["quiet_hi"])),
        ),
    }
    return makers[rule.kind]()


ORDER = ("range", "clock", "gap", "spike", "dropout", "stuck")


@dataclass
class NaiveQuality:
    """All checks by channel. ``flags`` and ``marks`` grow: what was said since the beginning."""

    plan: Plan
    checks: dict[int, list[tuple[QualityRule, Naive]]] = field(default_factory=dict)
    flags: list[tuple[int, int, int, bool]] = field(default_factory=list)
    marks: list[tuple[int, str, int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for rule in sorted(self.plan.quality_rules, key=lambda rule: ORDER.index(rule.kind)):
            for i, channel in enumerate(rule.channel.tolist()):
                self.checks.setdefault(channel, []).append((rule, check_of(rule, i)))

    def mark(self, row: Row) -> None:
        """Give a row the flag it has from now on."""
        sent = replace(row)
        for rule, check in self.checks.get(row.channel, []):
            if row.opens_epoch:
                check.epoch()
            looks = row.verdict == JUDGED
            looks |= row.verdict == LATE and rule.kind in {"range", "clock"}
            for said in check.look(row) if looks else []:
                if said.g == place(row):
                    row.qc_flag = max(row.qc_flag, said.flag)
                word = (said.at, rule.rule_id, row.channel, said.g, said.flag)
                self.marks.append(word)
        if (row.qc_flag, row.usable) != (sent.qc_flag, sent.usable):
            self.flags.append((place(row), row.channel, row.qc_flag, row.usable))
