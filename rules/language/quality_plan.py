"""Checks × Registry → QualityRule arrays; and whether a check could hide what a rule must see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.language.kinds.kind import spans_of
from rules.language.limits import unit_of
from rules.language.quality import LSB
from rules.plan import NEVER_NS, QualityRule
from rules.quantities import QUANTITIES, SITE_LEL_BASIS, UnknownUnit, canonical
from rules.readings import QC_FAIL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rules.language.amounts import Amount
    from rules.language.quality import Check
    from rules.language.selection import Selector
    from rules.plan import ChannelRule
    from rules.problems import Problem
    from rules.registry import Registry

    Columns = dict[str, NDArray[Any]]

MAX_GAP_TIMES: Final = 3.0
DROPOUT_ROWS: Final = 32  # what the engine holds of a dropout


def compile_checks(
    checks: Sequence[Check], selector: Selector, problems: list[Problem]
) -> list[QualityRule]:
    """Return the arrays of all checks; a check that matches nothing gives none."""
    built = []
    for check in checks:
        rows = np.flatnonzero(selector.channels(check.body.select))
        if not len(rows):
            unknown = selector.unknown(check.body.select)
            said = f"matches no registered channel{': ' + unknown if unknown else ''}"
            problems.append(check.problem(("select",), said, "warning"))
            continue
        try:
            own = _OWN[check.body.kind](check, rows, selector.registry, problems)
        except UnknownUnit as error:
            problems.append(check.problem(("unit",) if check.body.unit else (), str(error)))
            continue
        interval = selector.registry.channels.interval_ns[rows]
        gap = own.pop("max_gap_ns", None)
        if gap is None:
            gap = spans_of(check.body.max_gap, interval, MAX_GAP_TIMES)
        rule = QualityRule(
            rule_id=check.body.id,
            kind=check.body.kind,
            channel=rows.astype(np.int32),
            max_gap_ns=gap,
            own=own,
            file=check.file,
        )
        built.append(rule)
    return built


# ---- parameters of each kind -----------------------------------------------------------------


def _values(
    amount: Amount | None,
    check: Check,
    rows: NDArray[np.intp],
    registry: Registry,
    *,
    open_end: float = np.nan,
    difference: bool = False,
) -> NDArray[np.float64]:
    """Return an amount in each channel's canonical unit, [n]."""
    if amount is None:
        return np.full(len(rows), open_end)
    if amount.unit == LSB and difference:
        return amount.number * registry.channels.resolution[rows]
    names = [registry.channels.quantity[row] for row in rows.tolist()]
    of_quantity = {
        name: canonical(
            name,
            unit_of(amount, check.body.unit, QUANTITIES[name].unit),
            amount.number,
            difference=difference,
        )
        for name in dict.fromkeys(names)
    }
    return np.array([of_quantity[name] for name in names])


def _range(
    check: Check, rows: NDArray[np.intp], registry: Registry, problems: list[Problem]
) -> Columns:
    body, own = check.body, {}
    for name in ("suspect", "fail"):
        low, high = getattr(body, name) or (None, None)
        own[f"{name}_lo"] = _values(low, check, rows, registry, open_end=-np.inf)
        own[f"{name}_hi"] = _values(high, check, rows, registry, open_end=np.inf)
        if (own[f"{name}_lo"] > own[f"{name}_hi"]).any():
            problems.append(check.problem((name,), f"{name}: the lower end comes first"))
    inside = (own["suspect_lo"] < own["fail_lo"]) | (own["suspect_hi"] > own["fail_hi"])
    if body.suspect is not None and body.fail is not None and inside.any():
        said = "the suspect span must lie inside the fail span"
        problems.append(check.problem(("suspect",), said))
    own["corrupt"] = _codes(body.corrupt, rows, registry)
    return own


def _codes(codes: list[float], rows: NDArray[np.intp], registry: Registry) -> NDArray[np.float64]:
    """Return fault codes as admission converts what the device sends, [n, k]."""
    channels = registry.channels
    out = np.full((len(rows), max(len(codes), 1)), np.nan)
    for i, row in enumerate(rows.tolist()):
        own_basis = float(channels.lel_basis[row])
        basis = SITE_LEL_BASIS if np.isnan(own_basis) else own_basis
        for k, code in enumerate(codes):
            out[i, k] = canonical(channels.quantity[row], channels.unit[row], code, lel_basis=basis)
    return out


def _clock(
    check: Check,
    rows: NDArray[np.intp],
    registry: Registry,  # noqa: ARG001 - all kinds are called alike
    problems: list[Problem],  # noqa: ARG001
) -> Columns:
    def each(ns: int | None) -> NDArray[np.int64]:
        return np.full(len(rows), NEVER_NS if ns is None else ns, np.int64)

    return {"future_ns": each(check.body.future_max), "past_ns": each(check.body.past_max)}


def _gap(
    check: Check, rows: NDArray[np.intp], registry: Registry, problems: list[Problem]
) -> Columns:
    interval = registry.channels.interval_ns[rows]
    if check.body.max_gap is not None:
        said = "max_gap means nothing here: suspect is the longest gap"
        problems.append(check.problem(("max_gap",), said))
    suspect = spans_of(check.body.suspect, interval)
    if (suspect < interval).any():
        said = "suspect is shorter than the sampling interval of some channels"
        problems.append(check.problem(("suspect",), said, "warning"))
    return {"max_gap_ns": suspect}


def _spike(
    check: Check, rows: NDArray[np.intp], registry: Registry, problems: list[Problem]
) -> Columns:
    body, n = check.body, len(rows)
    if body.floor is None:
        floor = registry.channels.resolution[rows].astype(np.float64)
    else:
        floor = _values(body.floor, check, rows, registry, difference=True)
    if (floor < 0).any():
        problems.append(check.problem(("floor",), "floor must not be below 0"))
    if (floor == 0).any():
        first = registry.channels.id[rows[np.flatnonzero(floor == 0)[0]]]
        said = (
            "without a floor or a registered resolution the least change of a quiet signal is"
            f" a spike: write floor ({first})"
        )
        problems.append(check.problem(("floor",) if body.floor else ("kind",), said, "warning"))
    return {
        "window": np.full(n, body.window, np.int64),
        "suspect": np.full(n, body.suspect),
        "fail": np.full(n, np.inf if body.fail is None else body.fail),
        "floor": floor,
        "max_width": np.full(n, body.max_width, np.int64),
    }


def _dropout(
    check: Check, rows: NDArray[np.intp], registry: Registry, problems: list[Problem]
) -> Columns:
    low, high = (_values(end, check, rows, registry) for end in check.body.to)
    if (low > high).any():
        problems.append(check.problem(("to",), "to: the lower end comes first"))
    interval = registry.channels.interval_ns[rows]
    width = spans_of(check.body.max_width, interval)
    if (width >= DROPOUT_ROWS * interval).any():
        said = f"max_width holds more than {DROPOUT_ROWS} samples: a longer dropout counts as real"
        problems.append(check.problem(("max_width",), said, "warning"))
    return {"low": low, "high": high, "max_width_ns": width}


def _stuck(
    check: Check, rows: NDArray[np.intp], registry: Registry, problems: list[Problem]
) -> Columns:
    body, interval = check.body, registry.channels.interval_ns[rows]
    tolerance = _values(body.tolerance, check, rows, registry, difference=True)
    if (tolerance < 0).any():
        problems.append(check.problem(("tolerance",), "tolerance must not be below 0"))
    if body.tolerance.unit == LSB and (registry.channels.resolution[rows] == 0).any():
        said = "lsb is not known of some channels, and counts as 0: register their resolution"
        problems.append(check.problem(("tolerance",), said, "warning"))
    low, high = body.quiet or (None, None)
    never = np.full(len(rows), NEVER_NS, np.int64)
    suspect = never if body.suspect is None else spans_of(body.suspect, interval)
    fail = never if body.fail is None else spans_of(body.fail, interval)
    if body.suspect is not None and body.fail is not None and (fail < suspect).any():
        problems.append(check.problem(("fail",), "fail comes before suspect: swap them"))
    return {
        "tolerance": tolerance,
        "suspect_ns": suspect,
        "fail_ns": fail,
        "quiet_lo": _values(low, check, rows, registry, open_end=np.inf),
        "quiet_hi": _values(high, check, rows, registry, open_end=-np.inf),
    }


_OWN: Final[dict[str, Callable[[Check, NDArray[np.intp], Registry, list[Problem]], Columns]]] = {
    "range": _range,
    "clock": _clock,
    "gap": _gap,
    "spike": _spike,
    "dropout": _dropout,
    "stuck": _stuck,
}


# ---- what could hide an alarm ----------------------------------------------------------------


def masks(
    checks: Sequence[Check],
    built: Sequence[QualityRule],
    rules: Sequence[ChannelRule],
    registry: Registry,
) -> list[Problem]:
    """Return an error for each check that could hide from a rule a value it must see.

    - A fault code makes a row unusable even for a ``fail_loud`` rule. It hides an alarm if it
      breaches a limit and lies within the sensor's range or less than one width of it beyond: so
      near, it may be a true reading.
    - A failed value is hidden from rules that do not accept ``fail``. A fail span hides an alarm if
      a value outside it breaches a limit within the sensor's range, or anywhere beyond the range
      where that counts as the top level.
    - A value that failed for having stood still is hidden from a ``for`` as long as that.
    """
    by_id = {check.body.id: check for check in checks}
    found = []
    for quality in built:
        if quality.kind not in ("range", "stuck"):
            continue
        for rule in rules:
            both, mine, theirs = np.intersect1d(quality.channel, rule.channel, return_indices=True)
            if len(both):
                told = _Pair(quality, rule, registry, (both, mine, theirs))
                check = by_id[quality.rule_id]
                found += [check.problem(where, said) for where, said in told.masks()]
    return found


LIMITS_ON_VALUES = ("threshold", "stat_last", "stat_min", "stat_max", "stat_median")
"""Kernels whose limits are values of the channel: those of rules, and of conditions in ``all``."""


class _Pair:
    """One check and one side of a rule on the channels both are about."""

    def __init__(
        self,
        quality: QualityRule,
        rule: ChannelRule,
        registry: Registry,
        shared: tuple[NDArray[Any], NDArray[np.intp], NDArray[np.intp]],
    ) -> None:
        self.quality, self.rule, self.registry = quality, rule, registry
        self.channel, self.mine, self.theirs = shared
        self.blind = not rule.fail_loud and QC_FAIL not in rule.accept

    def masks(self) -> list[tuple[tuple[str, ...], str]]:
        """Return where and how the check hides something."""
        if self.quality.kind == "stuck":
            return self._by_standing_still() if self.blind else []
        if self.rule.kernel not in LIMITS_ON_VALUES:
            return []
        found = self._by_code()
        return found + self._by_span() if self.blind else found

    def _limits(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], float]:
        """Return, mirrored for a low side: lowest limit, range's far and near end, and sign."""
        sign = float(self.rule.side)
        limit = np.fmin.reduce(self.rule.raise_at[self.theirs] * sign, axis=1)
        channels = self.registry.channels
        far, near = channels.range_hi[self.channel], channels.range_lo[self.channel]
        return (limit, far, near, 1.0) if sign > 0 else (limit, -near, -far, -1.0)

    def _by_code(self) -> list[tuple[tuple[str, ...], str]]:
        limit, far, near, sign = self._limits()
        code = self.quality.own["corrupt"][self.mine] * sign
        with np.errstate(invalid="ignore"):
            edge = far + np.where(np.isfinite(near), far - near, np.inf)
        hidden = (code >= limit[:, None]) & (code <= edge[:, None])
        if not hidden.any():
            return []
        row, k = (int(i) for i in np.argwhere(hidden)[0])
        said = (
            f"corrupt: {code[row, k] * sign:g} may be a true reading that {self._who(row)} must"
            " see: register the sensor's range, or leave the code away"
        )
        return [(("corrupt",), said)]

    def _by_span(self) -> list[tuple[tuple[str, ...], str]]:
        limit, far, _, sign = self._limits()
        low, high = (self.quality.own[f"fail_{end}"][self.mine] for end in ("lo", "hi"))
        past, before = (high, low) if sign > 0 else (-low, -high)
        most = np.where(self.rule.over_range, np.inf, far)
        # values past the span on the rule's side; before it, where they breach all the same
        hidden = (past < most) & (limit <= most)
        hidden |= (limit < before) & np.isfinite(before)
        if not hidden.any():
            return []
        row = int(np.flatnonzero(hidden)[0])
        said = (
            f"fail: hides values that {self._who(row)} must see: widen it beyond the sensor's"
            " range, write suspect, or let the rule accept fail"
        )
        return [(("fail",), said)]

    def _by_standing_still(self) -> list[tuple[tuple[str, ...], str]]:
        hold = self.rule.hold_ns[self.theirs]
        timed = (hold < NEVER_NS) & ~np.isnan(self.rule.raise_at[self.theirs])
        fail = self.quality.own["fail_ns"][self.mine][:, None]
        hidden = (timed & (hold >= fail)).any(axis=1)
        if not hidden.any():
            return []
        row = int(np.flatnonzero(hidden)[0])
        said = (
            f"fail: a steady value fails before {self._who(row)} has held: make it longer, or"
            " let the rule accept fail"
        )
        return [(("fail",), said)]

    def _who(self, row: int) -> str:
        return f'rule "{self.rule.rule_id}" on {self.registry.channels.id[self.channel[row]]}'
