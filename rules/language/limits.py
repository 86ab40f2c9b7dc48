"""A rule's limits in canonical units, one Side at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.language.amounts import Amount
from rules.language.models import EwmaRule, RateRule, ThresholdRule
from rules.quantities import QUANTITIES, UnknownUnit, canonical, per_time, ucum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rules.plan import Level
    from rules.problems import Severity
    from rules.strict_models import Path

SideProblem = tuple["Path", str, "Severity"]


@dataclass(frozen=True, slots=True)
class Side:
    """Limits of one side for one quantity; arrays have one entry a level of the site."""

    sign: int  # +1 above, −1 below
    raise_at: NDArray[np.float64]
    clear_at: NDArray[np.float64]
    unit: str  # of the score
    per_ns: int = 1_000_000_000
    floor: float = 0.0
    problems: list[SideProblem] = field(default_factory=list)


def sides_of(body: Any, quantity: str, levels: Sequence[Level]) -> list[Side]:
    """Return the rule's sides for channels of ``quantity``.

    Raises
    ------
    UnknownUnit
        A limit's unit does not measure the quantity, or is missing.
    """
    if isinstance(body, EwmaRule):
        return _ewma(body, quantity, levels)
    value, difference, unit, per_ns = _converters(body, quantity)
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
        side = Side(sign, _laid(raise_at, levels), _laid(clear_at, levels), unit, per_ns)
        side.problems.extend(_order(side, key, levels))
        sides.append(side)
    return sides


def _converters(
    body: ThresholdRule | RateRule, quantity: str
) -> tuple[Callable[[Amount], float], Callable[[Amount], float], str, int]:
    """Return (of values, of differences, unit of the score, per_ns)."""
    unit = QUANTITIES[quantity].unit
    if isinstance(body, ThresholdRule):
        return (
            lambda amount: canonical(quantity, _unit(amount, body.unit, unit), amount.number),
            lambda amount: canonical(
                quantity, _unit(amount, body.unit, unit), amount.number, difference=True
            ),
            unit,
            1_000_000_000,
        )
    every = [*(body.above or {}).values(), *(body.below or {}).values()]
    first = _unit(every[0], body.unit, f"{unit}/min")
    _, per_ns = per_time(quantity, first)

    def rate(amount: Amount) -> float:
        scale, ns = per_time(quantity, _unit(amount, body.unit, f"{unit}/min"))
        return float(Fraction(repr(amount.number)) * scale * per_ns / ns)

    return rate, rate, f"{unit}/{ucum(first).rpartition('/')[2]}", per_ns


def _unit(amount: Amount, of_rule: str, canonical_unit: str) -> str:
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
            said = f"level {levels[i].name} clears beyond its own limit: it could never clear"
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


def _ewma(body: EwmaRule, quantity: str, levels: Sequence[Level]) -> list[Side]:
    for amount in body.sigma.values():
        if amount.unit not in ("", "sigma"):
            raise UnknownUnit(f"sigma limits have no unit: {amount.number:g}, not {amount.unit!r}")
    floor = 0.0
    if body.floor is not None:
        unit = _unit(body.floor, "", QUANTITIES[quantity].unit)
        floor = canonical(quantity, unit, body.floor.number, difference=True)
    sides = []
    for sign, name in ((1, "above"), (-1, "below")):
        if body.side not in (name, "both"):
            continue
        raise_at = {level: sign * amount.number for level, amount in body.sigma.items()}
        clear_at = {}
        for level, limit in raise_at.items():
            band = body.hysteresis.of(level, Amount(0.0)) if body.hysteresis else Amount(0.0)
            clear_at[level] = _less(limit, sign * band.number)
        side = Side(sign, _laid(raise_at, levels), _laid(clear_at, levels), "sigma", floor=floor)
        side.problems.extend(_order(side, "sigma", levels))
        if min(amount.number for amount in body.sigma.values()) <= 0:
            side.problems.append((("sigma",), "sigma limits must be above 0", "error"))
        sides.append(side)
    return sides
