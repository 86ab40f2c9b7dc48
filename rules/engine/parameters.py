"""What the slots were told, as arrays: rules laid out channel by channel, low sides mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine.tracks import mix, mix_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.plan import ChannelRule, Level, Plan

DANGEROUS = 3  # severity from which fail_loud announces the first sample unconfirmed


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the slots were told: S slots, K = levels + 1 columns (the last is the hidden level).

    The wide tables [S + X, K] go on with what holds at other hours: rules/engine/hours.py.
    """

    channel: NDArray[np.int32]  # [S] index into Slots.subjects
    rule: NDArray[np.int32]  # [S] index into Slots.rules
    sign: NDArray[np.float64]  # [S] +1, or −1 for a mirrored low side
    raise_at: NDArray[np.float64]  # [S + X, K] mirrored
    clear_at: NDArray[np.float64]  # [S + X, K] mirrored
    hold_ns: NDArray[np.int64]  # [S + X, K]
    hold_samples: NDArray[np.int32]  # [S + X, K]
    keep_ns: NDArray[np.int64]  # [S + X, K]
    max_gap_ns: NDArray[np.int64]  # [S]
    lowest: NDArray[np.float64]  # [S] smallest raise_at: below it an idle slot has nothing to do
    calm: NDArray[np.float64]  # [S] a row below it, after another, changes nothing; −inf = never
    range_at: NDArray[np.float64]  # [S] mirrored; beyond it the range latch closes; +inf = never
    fail_loud: NDArray[np.bool_]  # [S]
    accept: NDArray[np.int64]  # [S] index of the slot's acceptance class


def none_of(name: str, columns: int) -> NDArray[Any]:
    """Return the empty column of a plan without rules."""
    wide: dict[str, Any] = {
        "raise_at": float,
        "clear_at": float,
        "hold_ns": np.int64,
        "hold_samples": np.int32,
    }
    wide["keep_ns"] = np.int64
    if name in wide:
        return np.zeros((0, columns), wide[name])
    whole = {"channel": np.int32, "rule": np.int32, "fail_loud": np.bool_}
    return np.zeros(0, whole.get(name, np.int64 if name in {"max_gap_ns", "accept"} else float))


def rule_parameters(
    plan: Plan,
    number: int,
    rule: ChannelRule,
    range_lo: NDArray[Any],
    range_hi: NDArray[Any],
    classes: list[tuple[int, ...]],
) -> dict[str, NDArray[Any]]:
    """Return one rule's slots as columns, mirrored where it is a low side."""
    n = len(rule.channel)
    sign = float(rule.side)
    raise_at, clear_at = rule.raise_at * sign, rule.clear_at * sign
    hidden = _hidden_level(plan.levels, raise_at) if rule.fail_loud else np.full(n, -1)
    loud = hidden >= 0
    pick = np.where(loud, hidden, 0)
    row = np.arange(n)

    def widen(column: NDArray[Any], extra: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([column, extra[:, None].astype(column.dtype)], axis=1)

    raise_wide = widen(raise_at, np.where(loud, raise_at[row, pick], np.nan))
    if rule.over_range:
        edge = range_hi[rule.channel] if rule.side > 0 else -range_lo[rule.channel]
        range_at = np.where(np.isnan(edge), np.inf, edge)
    else:
        range_at = np.full(n, np.inf)
    flags = () if rule.fail_loud else tuple(sorted(rule.accept))
    if flags not in classes:
        classes.append(flags)
    lowest = np.fmin.reduce(raise_wide, axis=1)
    clear_wide = widen(clear_at, np.where(loud, clear_at[row, pick], np.nan))
    keep_wide = widen(rule.keep_ns, rule.keep_ns[row, pick])
    # where no level waits before it clears, one row below all clear limits ends whatever ran
    at_once = ~((keep_wide > 0) & ~np.isnan(raise_wide)).any(axis=1)
    calm = np.fmin.reduce(clear_wide, axis=1)
    return {
        "channel": rule.channel.astype(np.int32),
        "rule": np.full(n, number, np.int32),
        "sign": np.full(n, sign),
        "raise_at": raise_wide,
        "clear_at": clear_wide,
        "hold_ns": widen(rule.hold_ns, np.full(n, plan.confirm_hold_ns)),
        "hold_samples": widen(rule.hold_samples, np.where(loud, 2, 0)),
        "keep_ns": keep_wide,
        "max_gap_ns": rule.max_gap_ns.astype(np.int64),
        "lowest": np.where(np.isnan(lowest), np.inf, lowest),
        "calm": np.where(at_once & ~np.isnan(calm), calm, -np.inf),
        "range_at": range_at,
        "fail_loud": np.full(n, rule.fail_loud),
        "accept": np.full(n, classes.index(flags), np.int64),
    }


def _hidden_level(levels: tuple[Level, ...], raise_at: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return, per channel, the level whose first sample must be confirmed; −1 = none declared."""
    declared = ~np.isnan(raise_at)
    dangerous = declared & (np.array([level.severity for level in levels]) >= DANGEROUS)
    highest = np.where(
        declared.any(axis=1), declared.shape[1] - 1 - declared[:, ::-1].argmax(axis=1), -1
    )
    return np.where(dangerous.any(axis=1), dangerous.argmax(axis=1), highest).astype(np.int64)


def score_meaning(rule: ChannelRule, part: dict[str, NDArray[Any]]) -> NDArray[np.uint64]:
    """Hash what shapes a rule's scores, channel by channel: two sides of one rule share it."""
    digest = np.full(len(rule.channel), 14695981039346656037, np.uint64)
    digest = mix_text(digest, rule.kernel)
    digest = mix_text(digest, repr(sorted(rule.options.items())))
    digest = mix_text(digest, repr(() if rule.fail_loud else sorted(rule.accept)))
    digest = mix(digest, part["max_gap_ns"])
    for name in sorted(rule.own):
        digest = mix(mix_text(digest, name), np.asarray(rule.own[name]))
    return digest


def slot_meaning(
    plan: Plan, rule: ChannelRule, part: dict[str, NDArray[Any]], digest: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Hash everything that shapes what a slot means."""
    levels = ",".join(f"{level.name}:{level.severity}" for level in plan.levels)
    digest = mix_text(digest, levels)
    shaping = ("raise_at", "clear_at", "hold_ns", "hold_samples", "keep_ns")
    for name in (*shaping, "range_at", "fail_loud"):
        digest = mix(digest, part[name])
    for held in rule.by_hours:
        for name in shaping:
            digest = mix(digest, getattr(held, name))
    if rule.schedules:
        digest = mix_text(digest, repr(rule.schedules))
    for schedule in rule.schedules:
        if schedule.warned is not None:
            digest = mix_text(digest, f"{schedule.name} {schedule.warned}")
    return digest
