"""Faults of known time and kind in a real heating substation's measurements, for scoring rules.

Lines are those of the XAI4HEAT data: one substation, hourly. What a fault does to the other
channels follows one chain: radiators give less where the supply is cooler, so the return falls
by ``RETURN_BY_SUPPLY`` of it; the primary return follows the secondary one; power goes with the
secondary's spread. These are assumptions about a station like this one, the lines are real.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

COLUMNS: Final = (
    "t_amb", "t_ref", "t_sup_prim", "t_ret_prim", "t_sup_sec", "t_ret_sec", "e", "pe",
)  # fmt: skip
HOUR_NS: Final = 3_600_000_000_000
STEADY_HOURS: Final = 5  # heated so long, one line an hour: the first hours of a day are not steady
ON_SHARE: Final = 0.2  # of the usual power: it heats
WORST_KW: Final = 20_000.0  # more is a fault code of the meter
SEASON: Final = (10, 15), (4, 15)  # first and last day of heating: month, day
ENOUGH_HOURS: Final = 1000  # steady ones that make a season
RETURN_BY_SUPPLY: Final = 0.65
PRIMARY_BY_RETURN: Final = 1.0
APART_NS: Final = 5 * 24 * HOUR_NS  # between two faults, so that each alarm is of one
SEEN_HOURS: Final = 8  # steady ones of a fault's own; less could not be seen by anybody


@dataclass(frozen=True, slots=True)
class Lines:
    """Hourly lines, oldest first: ``t_ns`` [N] and a column [N] of each name."""

    t_ns: NDArray[np.int64]
    of: dict[str, Floats]

    def between(self, begin_ns: int, end_ns: int) -> Lines:
        """Return the lines of a time."""
        at = (self.t_ns >= begin_ns) & (self.t_ns < end_ns)
        return Lines(self.t_ns[at], {name: column[at] for name, column in self.of.items()})

    def steady(self) -> NDArray[np.bool_]:
        """Return which lines [N] end ``STEADY_HOURS`` of heating without a gap."""
        on = (self.of["pe"] > ON_SHARE * self.usual_kw()) & (self.of["pe"] < WORST_KW)
        held = on.copy()
        for back in range(1, STEADY_HOURS):
            near = self.t_ns[back:] - self.t_ns[:-back] == back * HOUR_NS
            held[back:] &= on[:-back] & near
            held[:back] = False
        return held

    def usual_kw(self) -> float:
        """Return the median power of hours with any."""
        held = self.of["pe"][(self.of["pe"] > 1.0) & (self.of["pe"] < WORST_KW)]
        return float(np.median(held)) if len(held) else np.inf

    def text(self) -> str:
        """Return CSV as the publisher's; what is not known stays empty."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["datetime", *COLUMNS])
        for row, at_ns in enumerate(self.t_ns):
            at = datetime.fromtimestamp(int(at_ns) / 1e9, UTC)
            values = (float(self.of[name][row]) for name in COLUMNS)
            said = ["" if np.isnan(value) else f"{value:.3f}" for value in values]
            writer.writerow([f"{at:%Y-%m-%d %H:%M:%S}", *said])
        return out.getvalue()


def read_lines(path: Path) -> Lines:
    """Return the full hours of a file, each once; the publisher has the newest first."""
    held: dict[int, list[float]] = {}
    with path.open(encoding="utf-8-sig", newline="") as text:
        for line in csv.DictReader(text):
            at = datetime.strptime(line["datetime"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            if not at.minute and not at.second:
                held[int(at.timestamp()) * 1_000_000_000] = [
                    float(line[name]) if line[name] else np.nan for name in COLUMNS
                ]
    t_ns = np.array(sorted(held), np.int64)
    table = np.array([held[int(at)] for at in t_ns], np.float64).reshape(-1, len(COLUMNS))
    return Lines(t_ns, {name: table[:, i] for i, name in enumerate(COLUMNS)})


def seasons(lines: Lines) -> list[Lines]:
    """Return the heating seasons with enough steady hours, oldest first."""
    held = []
    first, last = (datetime.fromtimestamp(int(t) / 1e9, UTC).year for t in lines.t_ns[[0, -1]])
    for year in range(first - 1, last + 1):
        begin, end = (
            datetime(year, *SEASON[0], tzinfo=UTC),
            datetime(year + 1, *SEASON[1], tzinfo=UTC),
        )
        season = lines.between(int(begin.timestamp() * 1e9), int(end.timestamp() * 1e9))
        if season.steady().sum() >= ENOUGH_HOURS:
            held.append(season)
    return held


@dataclass(frozen=True, slots=True)
class Injected:
    """The truth of one fault."""

    kind: str
    begin_ns: int
    end_ns: int
    size: float  # K; of ``stuck`` and ``meter_stops`` nothing


@dataclass(frozen=True, slots=True)
class _Kind:
    hours: tuple[int, int]
    kelvin: tuple[float, float]
    change: Callable[[dict[str, Floats], NDArray[np.int64], Floats, np.random.Generator], None]
    ramp_hours: int = 2  # until its whole size is there


def _supply_by(of: dict[str, Floats], at: NDArray[np.int64], less: Floats) -> None:
    """Let the true supply be ``less`` K cooler, and all that hangs on it."""
    spread = np.maximum(of["t_sup_sec"][at] - of["t_ret_sec"][at], 1.0)
    of["t_sup_sec"][at] -= less
    _return_by(of, at, RETURN_BY_SUPPLY * less)
    _scale(of, at, (spread - (1 - RETURN_BY_SUPPLY) * less) / spread)


def _return_by(of: dict[str, Floats], at: NDArray[np.int64], less: Floats) -> None:
    of["t_ret_sec"][at] -= less
    of["t_ret_prim"][at] -= PRIMARY_BY_RETURN * less


def _scale(of: dict[str, Floats], at: NDArray[np.int64], by: Floats) -> None:
    """Change the power, and the energy counted from then on."""
    before = of["pe"][at].copy()
    of["pe"][at] = np.maximum(before * np.maximum(by, 0.0), 0.0)
    more = np.cumsum(np.nan_to_num(of["pe"][at] - before)) / 1000  # MWh, lines an hour apart
    of["e"][at] += more
    of["e"][at[-1] + 1 :] += more[-1]


def _under_supply(of: dict[str, Floats], at: NDArray[np.int64], size: Floats, _r: object) -> None:
    _supply_by(of, at, size)


def _over_supply(of: dict[str, Floats], at: NDArray[np.int64], size: Floats, _r: object) -> None:
    _supply_by(of, at, -size)


def _leak(of: dict[str, Floats], at: NDArray[np.int64], size: Floats, _r: object) -> None:
    """Make lost water good with cold: the return is cooler, more power holds the supply."""
    spread = np.maximum(of["t_sup_sec"][at] - of["t_ret_sec"][at], 1.0)
    _return_by(of, at, size)
    _scale(of, at, (spread + size) / spread)


def _drift_supply(
    of: dict[str, Floats], at: NDArray[np.int64], size: Floats, r: np.random.Generator
) -> None:
    """Let the supply's sensor lie: control holds what it shows, so the true one moves."""
    shown = of["t_sup_sec"][at].copy()
    _supply_by(of, at, size * r.choice([-1.0, 1.0]))
    of["t_sup_sec"][at] = shown


def _drift_return(
    of: dict[str, Floats], at: NDArray[np.int64], size: Floats, r: np.random.Generator
) -> None:
    of["t_ret_sec"][at] += size * r.choice([-1.0, 1.0])


def _drift_primary(
    of: dict[str, Floats], at: NDArray[np.int64], size: Floats, r: np.random.Generator
) -> None:
    of["t_ret_prim"][at] += size * r.choice([-1.0, 1.0])


def _stuck(
    of: dict[str, Floats], at: NDArray[np.int64], _size: Floats, r: np.random.Generator
) -> None:
    name = str(r.choice(["t_sup_sec", "t_ret_sec", "t_ret_prim"]))
    of[name][at] = of[name][at[0]]


def _meter(of: dict[str, Floats], at: NDArray[np.int64], _size: Floats, _r: object) -> None:
    _scale(of, at, np.zeros(len(at)))


KINDS: Final[dict[str, _Kind]] = {
    "under_supply": _Kind((12, 48), (3, 10), _under_supply),
    "over_supply": _Kind((12, 36), (3, 10), _over_supply),
    "leak": _Kind((24, 96), (3, 8), _leak),
    "drift_supply": _Kind((96, 240), (4, 8), _drift_supply, ramp_hours=72),
    "drift_return": _Kind((96, 240), (4, 8), _drift_return, ramp_hours=72),
    "drift_primary": _Kind((96, 240), (4, 8), _drift_primary, ramp_hours=72),
    "stuck": _Kind((18, 60), (0, 0), _stuck),
    "meter_stops": _Kind((18, 72), (0, 0), _meter),
}  # fmt: skip


def spoil(lines: Lines, *, seed: int, size: float = 1.0) -> tuple[Lines, list[Injected]]:
    """Return the lines with one fault of every kind laid over them, and the truth in time's order.

    Where, how long and how large is drawn by ``seed``; all sizes are times ``size``. A kind that
    finds no room is left out.
    """
    random = np.random.default_rng([seed, int(lines.t_ns[0] // HOUR_NS)])
    of = {name: column.copy() for name, column in lines.of.items()}
    steady = lines.steady()
    told: list[Injected] = []
    for name in random.permutation(list(KINDS)):
        kind = KINDS[str(name)]
        for _ in range(200):
            begin_ns = int(random.choice(lines.t_ns[steady]))
            end_ns = begin_ns + int(random.integers(kind.hours[0], kind.hours[1] + 1)) * HOUR_NS
            at = np.flatnonzero((lines.t_ns >= begin_ns) & (lines.t_ns < end_ns))
            free = all(
                end_ns + APART_NS <= f.begin_ns or f.end_ns + APART_NS <= begin_ns for f in told
            )
            if free and end_ns <= lines.t_ns[-1] and steady[at].sum() >= SEEN_HOURS:
                break
        else:
            continue
        kelvin = size * float(random.uniform(*kind.kelvin))
        grown = np.clip((lines.t_ns[at] - begin_ns) / HOUR_NS / kind.ramp_hours, 0, 1)
        kind.change(of, at, kelvin * grown, random)
        told.append(Injected(str(name), begin_ns, end_ns, kelvin))
    return Lines(lines.t_ns, of), sorted(told, key=lambda fault: fault.begin_ns)
