"""A rule's limits in canonical units, one Side at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.language.amounts import Amount, PerLevel
from rules.quantities import QUANTITIES, UnknownUnit, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.language.amounts import Span
    from rules.language.models import ChannelBody, LimitBody
    from rules.plan import Level
    from rules.problems import Severity
    from rules.strict_models import Path

Spans = dict[str, "Span"]
SideProblem = tuple["Path", str, "Severity"]


@dataclass(frozen=True, slots=True)
class Side:
    """Limits of one side for one quantity; arrays have one entry a level of the site."""

    sign: int  # +1 above, −1 below
    raise_at: NDArray[np.float64]
    clear_at: NDArray[np.float64]
    unit: str  # of the score
    intervals: bool = False  # limits are so many of each channel's registered intervals
    own: dict[str, float] = field(default_factory=dict)  # of the kind's parameters
    problems: list[SideProblem] = field(default_factory=list)


Convert = Callable[[Amount], float]


def limit_sides(
    body: LimitBody, levels: Sequence[Level], converters: tuple[Convert, Convert], unit: str
) -> list[Side]:
    """Return the sides of ``above`` and ``below``; ``converters`` are of values, of differences."""
    value, difference = converters
    sides = []
    for key, sign, limits in (("above", 1, body.above), ("below", -1, body.below)):
        if limits is None:
            continue
        raise_at = {name: value(amount) for name, amount in limits.items()}
        clear_at = {}
        for name, limit in raise_at.items():
            if body.clear is not None and name in body.clear:
                clear_at[name] = value(body.clear[name])
            else:
                band = body.hysteresis.of(name, Amount(0.0)) if body.hysteresis else Amount(0.0)
                clear_at[name] = _less(limit, sign * _band(band, difference))
        sides.append(side_of(key, sign, raise_at, clear_at, levels, unit))
    return sides


def side_of(
    key: str,
    sign: int,
    raise_at: dict[str, float],
    clear_at: dict[str, float],
    levels: Sequence[Level],
    unit: str,
) -> Side:
    """Return limits by level as a side; ``key`` is where they stand."""
    side = Side(sign, _laid(raise_at, levels), _laid(clear_at, levels), unit)
    side.problems.extend(_order(side, key, levels))
    return side


def value_converters(body: Any, quantity: str) -> tuple[Convert, Convert]:
    """Return what brings the rule's values, and its differences, to the quantity's unit."""
    unit = QUANTITIES[quantity].unit
    return (
        lambda amount: canonical(quantity, unit_of(amount, body.unit, unit), amount.number),
        lambda amount: difference_of(amount, body.unit, quantity),
    )


def difference_of(amount: Amount, of_rule: str, quantity: str) -> float:
    """Return a difference of values, such as a hysteresis, in the quantity's unit."""
    unit = unit_of(amount, of_rule, QUANTITIES[quantity].unit)
    return canonical(quantity, unit, amount.number, difference=True)


def sigma_sides(
    key: str, limits: dict[str, Amount], side: str, body: ChannelBody, levels: Sequence[Level]
) -> list[Side]:
    """Return the sides of limits without a unit, such as so many standard deviations.

    ``key`` is where they stand; ``side`` is above, below or both, where limits are mirrored.
    """
    for amount in limits.values():
        if amount.unit not in ("", "sigma"):
            raise UnknownUnit(f"{key} limits have no unit: {amount.number:g}, not {amount.unit!r}")
    sides = []
    for sign, name in ((1, "above"), (-1, "below")):
        if side not in (name, "both"):
            continue
        raise_at = {level: sign * amount.number for level, amount in limits.items()}
        clear_at = {}
        for level, limit in raise_at.items():
            band = body.hysteresis.of(level, Amount(0.0)) if body.hysteresis else Amount(0.0)
            clear_at[level] = _less(limit, sign * band.number)
        built = side_of(key, sign, raise_at, clear_at, levels, "sigma")
        if min(amount.number for amount in limits.values()) <= 0:
            built.problems.append(((key,), f"{key} limits must be above 0", "error"))
        sides.append(built)
    return sides


def percent_side(
    key: str, sign: int, limits: dict[str, Amount], body: Any, levels: Sequence[Level]
) -> Side:
    """Return the side of limits in percent of what is usual: drops are negative, rises positive."""
    bands = body.hysteresis or PerLevel(each=Amount(0.0, "%"))
    raise_at: dict[str, float] = {}
    clear_at: dict[str, float] = {}
    problems: list[SideProblem] = []
    for level, amount in limits.items():
        band = bands.of(level, Amount(0.0, "%"))
        for said in (amount, band):
            if said.unit != "%":
                raise UnknownUnit(f"{key}: {said.number:g} {said.unit}".rstrip() + " is no percent")
        raise_at[level] = amount.number
        clear_at[level] = _less(amount.number, sign * band.number)
        if not amount.number * sign > 0:
            word = "above 0, such as 5 %" if sign > 0 else "below 0, such as -5 %"
            problems.append(((key, level), f"{key}: {level} must be {word}", "error"))
    side = Side(sign, _laid(raise_at, levels), _laid(clear_at, levels), "%")
    side.problems.extend([*problems, *_order(side, key, levels)])
    return side


def second_sides(
    limits: dict[str, tuple[int, Spans | None]], levels: Sequence[Level]
) -> list[Side]:
    """Return the sides of limits that are times: by key, the sign and what was written.

    Times of sign −1 lie in the past: their limits are negative seconds.
    """
    sides = []
    for key, (sign, spans) in limits.items():
        if spans is None:
            continue
        times = {name: span.times for name, span in spans.items()}
        intervals = None not in times.values()
        raise_at = {
            name: sign * (span.times or 0.0 if intervals else span.duration_ns / 1e9)
            for name, span in spans.items()
        }
        laid = _laid(raise_at, levels)
        side = Side(sign, laid, laid.copy(), "s", intervals)
        if intervals or not any(times.values()):
            side.problems.extend(_order(side, key, levels))
        else:
            said = f"{key}: all levels as durations, or all as intervals (3x): not some and some"
            side.problems.append(((key,), said, "error"))
        sides.append(side)
    return sides


def unit_of(amount: Amount, of_rule: str, canonical_unit: str) -> str:
    """Return the unit an amount stands in: its own, or the rule's.

    Raises
    ------
    UnknownUnit
        It has none.
    """
    found = amount.unit or of_rule
    if found:
        return found
    if canonical_unit == "1":
        return "1"
    raise UnknownUnit(
        f"{amount.number:g} has no unit: write unit: {canonical_unit!r},"
        f' or "{amount.number:g} {canonical_unit}"'
    )


def _band(amount: Amount, difference: Callable[[Amount], float]) -> float:
    return 0.0 if amount.number == 0 else difference(amount)


def _less(limit: float, band: float) -> float:
    """Subtract as decimals: 0.6 − 0.1 is 0.5, not 0.49999999999999994."""
    return float(Fraction(repr(limit)) - Fraction(repr(band)))


def _laid(values: dict[str, float], levels: Sequence[Level]) -> NDArray[np.float64]:
    return np.array([values.get(level.name, np.nan) for level in levels])


def _order(side: Side, key: str, levels: Sequence[Level]) -> list[SideProblem]:
    """Check that levels are monotone, clear limits on the right side, bands narrower than gaps."""
    problems: list[SideProblem] = []
    declared = [int(i) for i in np.flatnonzero(~np.isnan(side.raise_at))]
    raise_at, clear_at = side.sign * side.raise_at, side.sign * side.clear_at
    word = "rise" if side.sign > 0 else "fall"
    for i in declared:
        if clear_at[i] > raise_at[i]:
            said = (
                f"level {levels[i].name} clears beyond its own limit: it could never clear:"
                " move clear inwards, or write a hysteresis of 0 or more"
            )
            problems.append(((key, levels[i].name), said, "error"))
    for low, high in pairwise(declared):
        names = f"{levels[low].name} and {levels[high].name}"
        at: Path = (key, levels[high].name)
        if raise_at[high] <= raise_at[low]:
            problems.append((at, f"{key}: limits must {word} with the level: {names}", "error"))
        elif clear_at[high] < raise_at[low]:
            said = f"hysteresis is wider than the gap between {names}"
            problems.append((at, said, "warning"))
    return problems
