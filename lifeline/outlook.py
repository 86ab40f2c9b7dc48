"""What rules expect of channels, for their trends: the usual range, and when a limit is reached.

Taken from the engine's series log, so a chart shows the very numbers that were judged. In memory
only: after a start it holds what the log still has, and grows again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.series import Series

FORECAST: Final = "forecast"
SPREAD: Final = {"seasonal": ("median", "sigma"), "modal": ("expected", "")}
"""By kind: what is usual, and in which unit its score counts from there ("": in percent of it)."""
MOST_ROWS: Final = 1 << 19  # 32 bytes each; a larger city sees a shorter past
FIRST_ROWS: Final = 1 << 10
MOST_FORECASTS: Final = 100_000


class Foretold(NamedTuple):
    """The newest forecast of a rule on a channel; seconds from ``judged_ns``, inf = never."""

    rule: str
    judged_ns: int
    value: float
    early_s: float  # the bound its levels go by
    p10_s: float
    p50_s: float
    p90_s: float


class Usual(NamedTuple):
    """What a rule compared a channel with, n rows by time; a score of k is ``k · spread`` off."""

    rule: str
    kind: str
    judged_ns: NDArray[np.int64]
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]


class Outlook:
    """Forecasts that stand, and a ring of what was usual. One thread puts, any may read."""

    def __init__(self, *, most_rows: int = MOST_ROWS) -> None:
        self._most = most_rows
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._names: list[tuple[str, str]] = []  # rules with their kinds, by number
        self._of_rule: dict[tuple[str, str], int] = {}
        self._forecasts: dict[str, dict[str, Foretold]] = {}  # by channel, by rule
        self._columns = _empty(min(FIRST_ROWS, most_rows))
        self._written = 0

    def put(self, series: Series) -> None:
        """Take rows of the engine's series log."""
        with self._lock:
            for number, source in enumerate(series.sources):
                at = np.flatnonzero(series.source == number)
                if not len(at):
                    continue
                if source.kind == FORECAST:
                    self._foretell(source.rule, series, at)
                elif source.kind in SPREAD:
                    self._keep(source.rule, source.kind, source.extra, series, at)

    def forecasts(self, channel: str) -> list[Foretold]:
        """Return what is foretold of a channel, by rule."""
        with self._lock:
            return sorted(self._forecasts.get(channel, {}).values())

    def usual(self, channel: str, from_ns: int, to_ns: int) -> list[Usual]:
        """Return what was usual of a channel in [``from_ns``, ``to_ns``], by rule."""
        with self._lock:
            number = self._numbers.get(channel, -1)
            held = min(self._written, len(self._columns["judged_ns"]))
            cut = {name: column[:held] for name, column in self._columns.items()}
            mine = (cut["channel"] == number) & (cut["judged_ns"] >= from_ns)
            at = np.flatnonzero(mine & (cut["judged_ns"] <= to_ns))
            cut = {name: column[at] for name, column in cut.items()}
        order = np.argsort(cut["judged_ns"], kind="stable")
        cut = {name: column[order] for name, column in cut.items()}
        told = []
        for rule in np.unique(cut["rule"]).tolist():
            own = cut["rule"] == rule
            columns = [cut[name][own] for name in ("judged_ns", "middle", "spread")]
            told.append(Usual(*self._names[rule], *columns))
        return sorted(told, key=lambda each: each.rule)

    def _foretell(self, rule: str, series: Series, at: NDArray[np.intp]) -> None:
        """Keep a channel's newest forecast; one that says "never" takes the last one away."""
        for i in at.tolist():
            channel, score = series.subjects[series.subject[i]], float(series.score[i])
            held = self._forecasts.get(channel, {})
            if np.isinf(score):
                held.pop(rule, None)
                if not held:
                    self._forecasts.pop(channel, None)
                continue
            if channel not in self._forecasts and len(self._forecasts) >= MOST_FORECASTS:
                self._forecasts.pop(next(iter(self._forecasts)))
            etas = [float(x) for x in series.extra[i, :3]]
            told = Foretold(rule, int(series.judged_ns[i]), float(series.value[i]), score, *etas)
            self._forecasts.setdefault(channel, held)[rule] = told

    def _keep(
        self, rule: str, kind: str, names: tuple[str, ...], series: Series, at: NDArray[np.intp]
    ) -> None:
        usual, unit = SPREAD[kind]
        middle = series.extra[at, names.index(usual)]
        spread = series.extra[at, names.index(unit)] if unit else middle / 100.0
        subjects = series.subject[at]
        known = {
            n: self._numbers.setdefault(series.subjects[n], len(self._numbers))
            for n in np.unique(subjects).tolist()
        }
        key = (rule, kind)
        if key not in self._of_rule:
            self._of_rule[key] = len(self._names)
            self._names.append(key)
        sound = np.isfinite(middle) & np.isfinite(spread)
        rows = {
            "channel": np.array([known[n] for n in subjects.tolist()], np.int32),
            "rule": np.full(len(at), self._of_rule[key], np.int32),
            "judged_ns": series.judged_ns[at],
            "middle": middle,
            "spread": spread,
        }
        rows = {name: column[sound][-self._most :] for name, column in rows.items()}
        count = len(rows["channel"])
        self._grow(self._written + count)
        place = (self._written + np.arange(count)) % len(self._columns["judged_ns"])
        for name, column in rows.items():
            self._columns[name][place] = column
        self._written += count

    def _grow(self, wanted: int) -> None:
        """Make room, up to the most; the ring has not gone round before it is full-grown."""
        size = len(self._columns["judged_ns"])
        while size < min(wanted, self._most):
            size = min(2 * size, self._most)
        if size > len(self._columns["judged_ns"]):
            grown = _empty(size)
            for name, column in self._columns.items():
                grown[name][: len(column)] = column
            self._columns = grown


def _empty(rows: int) -> dict[str, NDArray[Any]]:
    return {
        "channel": np.full(rows, -1, np.int32),
        "rule": np.zeros(rows, np.int32),
        "judged_ns": np.zeros(rows, np.int64),
        "middle": np.zeros(rows),
        "spread": np.zeros(rows),
    }
