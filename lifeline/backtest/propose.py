"""Limits, hysteresis and durations a rule could have, from what was good on its channels.

- ``for`` is longer than HELD of the runs of good samples in the tail: what comes and goes is over.
- A limit is what good data pass, for so long on end, so many times a channel and year
  (lifeline/backtest/tails.py): the lowest level as often as asked, each above it a tenth as often.
- Hysteresis is BAND times the robust standard deviation of the step from one sample to the next:
  noise round the limit does not clear and raise again.

What stays as it is, and is said: orange and red of fail_loud rules, and of others where good data
do not reach them more often than asked: they are about danger, and ``for`` of theirs too; a limit
from a clause that would be looser; a limit beyond the sensor's range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.backtest.suggest import CALM_SEVERITY
from lifeline.backtest.tails import LEAST_PEAKS, Track, held, noise_of, runs_above, tail_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from lifeline.backtest.good import Good
    from lifeline.backtest.tails import Tail
    from rules.plan import ChannelRule, Level
    from rules.registry import Registry

PER_SIDE: Final = ("threshold", "rate", "step")
MIRRORED: Final = {"zscore": "sigma", "ewma": "sigma", "seasonal": "sigma", "cusum": "decide"}
BAND: Final = 3.0
HELD: Final = 0.9
TENTH: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """One level of one side, in the rule's unit with its natural sign; holds in ns."""

    level: str
    severity: int
    side: int
    limit: float
    limit_now: float
    band: float
    band_now: float
    hold_ns: int
    hold_now_ns: int
    hold_samples: int  # of now: where samples are counted, `for` stays as it is
    kept: str = ""  # why the limit stays; "" = it is proposed
    frozen: bool = False  # nothing of it is touched: orange and red of fail_loud rules

    @property
    def changed(self) -> bool:
        """Tell whether anything differs from today's."""
        now = (self.limit_now, self.band_now, self.hold_now_ns)
        return (self.limit, self.band, self.hold_ns) != now


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a side's numbers rest on."""

    side: int
    samples: int
    years: float
    peaks: int
    noise: float
    counted: bool  # peaks were counted; otherwise a tail was fitted to them
    shape: float
    beyond: float  # how many times longer than the history the rarest asked for takes
    missing_days: float  # of good data of one channel; 0 = enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A rule on like channels: today they have equal parameters."""

    rule: str
    kind: str
    unit: str
    channels: tuple[str, ...]
    whole: bool  # these are all channels of the rule
    bases: tuple[Basis, ...]
    levels: tuple[LevelChange, ...]  # of each side, by severity rising
    left_out: dict[str, int]

    @property
    def changed(self) -> bool:
        """Tell whether it proposes anything."""
        return any(level.changed for level in self.levels)


def like_groups(sides: Sequence[ChannelRule]) -> list[NDArray[np.int32]]:
    """Return the channels of a rule by what it means on them: equal limits and times together."""
    meanings: dict[int, list[bytes]] = {}
    for side in sides:
        columns = (side.raise_at, side.clear_at, side.hold_ns, side.hold_samples)
        for at, row in enumerate(side.channel.tolist()):
            said = b"".join(np.ascontiguousarray(c[at]).tobytes() for c in columns)
            meanings.setdefault(row, []).append(said)
    groups: dict[tuple[bytes, ...], list[int]] = {}
    for row, said_of in meanings.items():
        groups.setdefault(tuple(said_of), []).append(row)
    return [np.array(sorted(rows), np.int32) for rows in groups.values()]


def proposed(
    sides: Sequence[ChannelRule],
    rows: NDArray[np.int32],
    fitted: NDArray[np.int32],
    good: Good,
    registry: Registry,
    levels: Sequence[Level],
    *,
    per_year: float,
) -> Proposal:
    """Return what one rule could mean on ``rows``, on which it means the same today.

    The numbers are made from ``fitted``, which are some of them.
    """
    mirrored = sides[0].kind in MIRRORED
    both = mirrored and len(sides) > 1
    bases, changes = [], []
    for side in sides:
        tracks = list(_tracks(side, fitted, good, registry, both=both))
        tail, noise = tail_of(tracks), noise_of(tracks)
        bases.append(_basis(side, tracks, tail, noise, per_year))
        at = int(np.flatnonzero(side.channel == rows[0])[0])
        now = list(_now(side, at, levels))
        if tail.enough:
            now = _levels(side, now, tracks, tail, noise, (registry, rows), per_year)
        changes += now
    every = np.unique(np.concatenate([side.channel for side in sides]))
    counts: Mapping[str, int] = good.left_out.get(sides[0].rule_id, {})
    return Proposal(
        rule=sides[0].rule_id,
        kind=sides[0].kind,
        unit=sides[0].unit,
        channels=tuple(registry.channels.id[row] for row in rows.tolist()),
        whole=len(every) == len(rows),
        bases=tuple(bases),
        levels=tuple(_shared(changes)),
        left_out={why: counts.get(why, 0) for why in ("quality", "incident", "alarm")},
    )


def _tracks(
    side: ChannelRule, rows: NDArray[np.int32], good: Good, registry: Registry, *, both: bool
) -> Iterator[Track]:
    """Yield each channel's scores, turned so that higher is nearer to this side's alarm."""
    for row in rows.tolist():
        t_ns, score = good.scores.get((side.rule_id, row), (np.zeros(0, np.int64), np.zeros(0)))
        x = np.abs(score) if both else side.side * score
        finite = np.isfinite(x)
        t_ns, x = t_ns[finite], x[finite]
        if not len(x):
            continue
        order = np.argsort(t_ns, kind="stable")  # two sides may score one sample
        t_ns, x = t_ns[order], x[order]
        heads = np.flatnonzero(np.diff(t_ns, prepend=t_ns[0] - 1))
        worst = np.maximum.reduceat(x, heads)
        yield Track(t_ns[heads], worst, int(registry.channels.interval_ns[row]))


def _basis(
    side: ChannelRule, tracks: Sequence[Track], tail: Tail, noise: float, per_year: float
) -> Basis:
    days = tail.years * 365.25
    peaks = len(tail.peaks)
    missing = 0.0
    if not tail.enough:
        missing = days * (LEAST_PEAKS / max(peaks, 1) - 1) or 1.0
    rarest = per_year / TENTH ** max(int((~np.isnan(side.raise_at[0])).sum()) - 1, 0)
    return Basis(
        side=side.side,
        samples=sum(len(track.x) for track in tracks),
        years=tail.years,
        peaks=peaks,
        noise=noise,
        counted=tail.enough and tail.counts(rarest),
        shape=tail.shape,
        beyond=max(1.0 / (rarest * tail.years), 1.0) if tail.years else math.inf,
        missing_days=missing,
    )


def _now(side: ChannelRule, at: int, levels: Sequence[Level]) -> Iterator[LevelChange]:
    """Yield what holds today, as a change that changes nothing."""
    for column, level in enumerate(levels):
        limit = float(side.raise_at[at, column])
        if math.isnan(limit):
            continue
        band = abs(limit - float(side.clear_at[at, column]))
        hold_ns = int(side.hold_ns[at, column])
        yield LevelChange(
            level=level.name, severity=level.severity, side=side.side,
            limit=limit, limit_now=limit, band=band, band_now=band,
            hold_ns=hold_ns, hold_now_ns=hold_ns,
            hold_samples=int(side.hold_samples[at, column]),
            frozen=side.fail_loud and level.severity > CALM_SEVERITY,
        )  # fmt: skip


def _levels(
    side: ChannelRule,
    now: Sequence[LevelChange],
    tracks: Sequence[Track],
    tail: Tail,
    noise: float,
    where: tuple[Registry, NDArray[np.int32]],
    per_year: float,
) -> list[LevelChange]:
    """Return the levels with new holds, limits that suit them, and bands."""
    registry, rows = where
    resolution = float(registry.channels.resolution[rows].max())
    step = _step(noise, resolution if side.kind == "threshold" else 0.0, tail)
    tails = {0: tail}
    apart = _outward(BAND * noise, step) + step  # so that noise does not carry it over two levels
    found: list[LevelChange] = []
    least = -math.inf  # turned upward, as everything here
    for number, level in enumerate(_with_times(side, now, tracks, tail)):
        waits = _intervals(level, tracks)
        if waits not in tails:
            tails[waits] = tail_of([held(track, waits) for track in tracks])
        of_level = tails[waits] if tails[waits].enough else tail
        wanted = _outward(of_level.limit(per_year / TENTH**number), step)
        wanted = max(wanted, _outward(least + apart, step)) if found else wanted
        why = _why_kept(side, level, now[number + 1 :], wanted, where)
        limit = level.limit_now if why else side.side * wanted + 0.0
        found.append(replace(level, limit=limit, kept=why))
        least = side.side * limit
    return _with_bands(found, noise, step)


def _intervals(level: LevelChange, tracks: Sequence[Track]) -> int:
    """Return for how many intervals a breach of a level must last at the least."""
    by_time = math.ceil(level.hold_ns / min(track.interval_ns for track in tracks))
    return min(by_time, level.hold_samples - 1) if level.hold_samples else by_time


def _why_kept(
    side: ChannelRule,
    level: LevelChange,
    above: Sequence[LevelChange],
    wanted: float,
    where: tuple[Registry, NDArray[np.int32]],
) -> str:
    """Return why a level keeps its limit; "" if it may be ``wanted`` (turned upward)."""
    registry, rows = where
    asked = f"good data would ask for {side.side * wanted:g}"
    if level.frozen:
        return f"{level.level} of a fail_loud rule is never touched"
    now = side.side * level.limit_now
    if level.severity > CALM_SEVERITY and wanted <= now:
        return "it is about danger, which good data do not show: never tightened from history"
    if side.source == "clause" and wanted > now:
        return f"from a clause: never looser ({asked})"
    if side.kind == "threshold":
        ends = registry.channels.range_hi if side.side > 0 else registry.channels.range_lo
        end = float((side.side * ends[rows]).min())
        if wanted >= end:
            return f"{asked}, beyond the range's end, {side.side * end:g}"
    fixed = [a for a in above if _holds(side, a) and wanted >= side.side * a.limit_now]
    if fixed:
        return f"{asked}, not short of {fixed[0].level}"
    return ""


def _holds(side: ChannelRule, level: LevelChange) -> bool:
    """Tell whether a level cannot give way to one below it."""
    return level.frozen or side.source == "clause"


def _with_bands(found: list[LevelChange], noise: float, step: float) -> list[LevelChange]:
    """Return the levels with a band of noise, narrower than the gap between two levels."""
    gaps = np.abs(np.diff([level.limit for level in found]))
    band = _outward(BAND * noise, step)
    if len(gaps) and band >= gaps.min():
        band = float(f"{gaps.min() / 2:.3g}")
    return [level if level.frozen else replace(level, band=band) for level in found]


def _with_times(
    side: ChannelRule, now: Sequence[LevelChange], tracks: Sequence[Track], tail: Tail
) -> list[LevelChange]:
    """Return blue and yellow with a hold longer than what comes and goes.

    Limits from a clause never get a longer one: that would be looser.
    """
    runs = runs_above(tracks, tail.threshold)
    longest = math.ceil(float(np.quantile(runs, HELD))) if len(runs) else 1
    # a run of n samples lasts n - 1 intervals
    hold_ns = (longest - 1) * max(track.interval_ns for track in tracks)

    def of(level: LevelChange) -> int:
        return min(hold_ns, level.hold_now_ns) if side.source == "clause" else hold_ns

    return [
        level
        if level.severity > CALM_SEVERITY or level.hold_samples
        else replace(level, hold_ns=of(level))
        for level in now
    ]


def _shared(changes: Sequence[LevelChange]) -> Iterator[LevelChange]:
    """Yield the levels with the band and hold of the wider side: a rule has one for both.

    Where a level of one side is never touched, neither is the other's band and hold.
    """
    for change in changes:
        of_level = [c for c in changes if c.level == change.level]
        if any(c.frozen for c in of_level):
            yield replace(change, band=change.band_now, hold_ns=change.hold_now_ns)
            continue
        yield replace(
            change,
            band=max(c.band for c in of_level),
            hold_ns=max(c.hold_ns for c in of_level),
        )


def _step(noise: float, resolution: float, tail: Tail) -> float:
    """Return a round number finer than the noise: limits are told as people write them."""
    fine = max(noise / 2, resolution, 1e-4 * abs(tail.threshold), 1e-9)
    return float(10.0 ** math.floor(math.log10(fine)))


def _outward(x: float, step: float) -> float:
    """Return the next multiple of a step at or beyond x, as people write it."""
    return float(f"{math.ceil(x / step - 1e-9) * step:.10g}")


def as_plain(change: LevelChange) -> dict[str, Any]:
    """Return a level's numbers for JSON."""
    return {
        "level": change.level,
        "side": "above" if change.side > 0 else "below",
        "limit": change.limit,
        "limit_now": change.limit_now,
        "hysteresis": change.band,
        "hysteresis_now": change.band_now,
        "for_s": change.hold_ns / 1e9 if not change.hold_samples else None,
        "for_now_s": change.hold_now_ns / 1e9 if not change.hold_samples else None,
        "kept": change.kept,
    }
