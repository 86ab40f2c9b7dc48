"""All slots of all per-channel rules side by side: parameters and lifecycle state, as arrays.

A slot is rule × side × channel. Low limits are mirrored (scores and limits negated, which is
exact), so that the lifecycle only knows "above". Levels are bits of one mask: bit l for level l,
and bit L, one past the last, for the hidden level that confirms a first dangerous sample
(docs/semantics.md section 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.plan import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.plan import ChannelRule, Level, Plan

INF_NS = np.int64(2**63 - 1)  # no timer
NO_NS = np.int64(-(2**63))  # no run, never
KIND_ORDER = ("threshold", "rate", "ewma")
DANGEROUS = 3  # severity from which fail_loud announces the first sample unconfirmed


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the slots were told: S slots, K = levels + 1 columns (the last is the hidden level)."""

    channel: NDArray[np.int32]  # [S]
    rule: NDArray[np.int32]  # [S] index into Plan.channel_rules
    sign: NDArray[np.float64]  # [S] +1, or −1 for a mirrored low side
    raise_at: NDArray[np.float64]  # [S, K] mirrored
    clear_at: NDArray[np.float64]  # [S, K] mirrored
    hold_ns: NDArray[np.int64]  # [S, K]
    hold_samples: NDArray[np.int32]  # [S, K]
    keep_ns: NDArray[np.int64]  # [S, K]
    max_gap_ns: NDArray[np.int64]  # [S]
    lowest: NDArray[np.float64]  # [S] smallest raise_at: below it an idle slot has nothing to do
    range_at: NDArray[np.float64]  # [S] mirrored; beyond it the range latch closes; +inf = never
    fail_loud: NDArray[np.bool_]  # [S]
    accept: NDArray[np.int64]  # [S] index of the slot's acceptance class


@dataclass(slots=True)
class State:
    """What the slots remember of the rows they judged."""

    onset_ns: NDArray[np.int64]  # [S, K] start of the breach run, NO_NS = none
    count: NDArray[np.int32]  # [S, K] rows of it
    clear_ns: NDArray[np.int64]  # [S, K] start of the clear run, NO_NS = none
    due_ns: NDArray[np.int64]  # [S, K] tick time that will set the level, INF_NS = none
    mask: NDArray[np.int64]  # [S] latched levels
    closed: NDArray[np.bool_]  # [S] range latch
    busy: NDArray[np.bool_]  # [S] any run, latch or range latch
    gap: NDArray[np.bool_]  # [S] the next row comes after a clock epoch
    last_ns: NDArray[np.int64]  # [S] judged time of the last row while busy
    receive_ns: NDArray[np.int64]  # [S]
    value: NDArray[np.float64]  # [S]
    score: NDArray[np.float64]  # [S] mirrored
    episode: NDArray[np.int64]  # [S] g of the RAISED
    max_severity: NDArray[np.int64]  # [S]

    @classmethod
    def fresh(cls, slots: int, columns: int) -> State:
        """Return the state of slots that judged nothing yet."""
        wide = (slots, columns)
        return cls(
            onset_ns=np.full(wide, NO_NS),
            count=np.zeros(wide, np.int32),
            clear_ns=np.full(wide, NO_NS),
            due_ns=np.full(wide, INF_NS),
            mask=np.zeros(slots, np.int64),
            closed=np.zeros(slots, np.bool_),
            busy=np.zeros(slots, np.bool_),
            gap=np.zeros(slots, np.bool_),
            last_ns=np.full(slots, NO_NS),
            receive_ns=np.full(slots, NO_NS),
            value=np.full(slots, np.nan),
            score=np.full(slots, np.nan),
            episode=np.zeros(slots, np.int64),
            max_severity=np.zeros(slots, np.int64),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, not copied."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(slots=True)
class Slots:
    """The table: slots sorted by (kind, channel, rule, side), a pointer array per kind."""

    parameters: Parameters
    state: State
    levels: tuple[Level, ...]
    severity: NDArray[np.int64]  # [K] severity of each column, the hidden one 0
    pointer: dict[str, NDArray[np.int64]]  # kind -> [channels + 1]
    keys: list[tuple[str, str, int, str]]  # [S] rule id, channel id, side, hash of the meaning
    accept_flags: list[tuple[int, ...]]  # acceptance classes; () = all flags
    busy_slots: NDArray[np.int32]  # [channels] threshold slots in motion
    next_due_ns: np.int64 = field(default=INF_NS)

    def note_busy(self, slot: NDArray[np.int64], busy: NDArray[np.bool_]) -> None:
        """Write whether slots are in motion, and count them by channel."""
        was = self.state.busy[slot]
        self.state.busy[slot] = busy
        changed = (was != busy) & (slot < self.pointer["threshold"][-1])
        if changed.any():
            step = np.where(busy[changed], 1, -1)
            np.add.at(self.busy_slots, self.parameters.channel[slot[changed]], step)

    def recount(self) -> None:
        """Count the slots in motion anew: their state was put back from elsewhere."""
        thresholds = slice(0, int(self.pointer["threshold"][-1]))
        channel = self.parameters.channel[thresholds][self.state.busy[thresholds]]
        self.busy_slots[:] = np.bincount(channel, minlength=len(self.busy_slots))

    def __len__(self) -> int:
        """Return the number of slots."""
        return len(self.parameters.channel)


def build_slots(
    plan: Plan, channel_ids: Sequence[str], range_lo: NDArray[Any], range_hi: NDArray[Any]
) -> Slots:
    """Lay out the slots of a plan; all state fresh."""
    levels = plan.levels
    columns = len(levels) + 1
    classes: list[tuple[int, ...]] = [(1, 2, 3)]
    parts = [
        _rule_parameters(plan, number, rule, range_lo, range_hi, classes)
        for number, rule in enumerate(plan.channel_rules)
    ]
    whole = {
        f.name: np.concatenate([p[f.name] for p in parts]) if parts else _none(f.name, columns)
        for f in fields(Parameters)
    }
    kinds = np.array([KIND_ORDER.index(r.kind) for r in plan.channel_rules], np.int64)
    kind = kinds[whole["rule"]]
    order = np.lexsort((whole["sign"], whole["rule"], whole["channel"], kind))
    parameters = Parameters(**{name: column[order] for name, column in whole.items()})
    kind = kind[order]
    pointer = {}
    for k, name in enumerate(KIND_ORDER):
        first = int(np.searchsorted(kind, k))
        of_kind = parameters.channel[kind == k]
        pointer[name] = first + np.searchsorted(of_kind, np.arange(len(channel_ids) + 1))
    return Slots(
        parameters=parameters,
        state=State.fresh(len(order), columns),
        levels=levels,
        severity=np.array([level.severity for level in levels] + [0], np.int64),
        pointer=pointer,
        keys=_keys(plan, parameters, channel_ids),
        accept_flags=classes,
        busy_slots=np.zeros(len(channel_ids), np.int32),
    )


def _none(name: str, columns: int) -> NDArray[Any]:
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


def _rule_parameters(
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
    return {
        "channel": rule.channel.astype(np.int32),
        "rule": np.full(n, number, np.int32),
        "sign": np.full(n, sign),
        "raise_at": raise_wide,
        "clear_at": widen(clear_at, np.where(loud, clear_at[row, pick], np.nan)),
        "hold_ns": widen(rule.hold_ns, np.full(n, plan.confirm_hold_ns)),
        "hold_samples": widen(rule.hold_samples, np.where(loud, 2, 0)),
        "keep_ns": widen(rule.keep_ns, rule.keep_ns[row, pick]),
        "max_gap_ns": rule.max_gap_ns.astype(np.int64),
        "lowest": np.where(np.isnan(lowest), np.inf, lowest),
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


def _keys(
    plan: Plan, parameters: Parameters, channel_ids: Sequence[str]
) -> list[tuple[str, str, int, str]]:
    """Name each slot by rule, channel, side and the hash of everything that shapes its meaning."""
    shaping = ("raise_at", "clear_at", "hold_ns", "hold_samples", "keep_ns", "max_gap_ns")
    columns = [getattr(parameters, name) for name in (*shaping, "range_at", "fail_loud")]
    keys = []
    own: dict[int, dict[int, bytes]] = {}
    for number, rule in enumerate(plan.channel_rules):
        own[number] = _own_parameters(rule)
    levels = ",".join(f"{level.name}:{level.severity}" for level in plan.levels).encode()
    for s in range(len(parameters.channel)):
        rule = plan.channel_rules[parameters.rule[s]]
        channel = int(parameters.channel[s])
        digest = blake2b(levels + rule.kind.encode(), digest_size=8)
        for column in columns:
            digest.update(np.ascontiguousarray(column[s]).tobytes())
        digest.update(own[int(parameters.rule[s])][channel])
        digest.update(repr(sorted(rule.accept)).encode())
        keys.append((rule.rule_id, channel_ids[channel], rule.side, digest.hexdigest()))
    return keys


def _own_parameters(rule: ChannelRule) -> dict[int, bytes]:
    """Return the kind-specific parameters of each channel of a rule, as bytes."""
    own: list[NDArray[Any]] = [rule.window_ns, rule.min_points, rule.alpha, rule.warmup, rule.floor]
    head = f"{rule.method}/{rule.per_ns}".encode()
    return {
        int(channel): head + b"".join(c[i : i + 1].tobytes() for c in own if len(c))
        for i, channel in enumerate(rule.channel)
    }


def timed(hold_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell holds that time alone can fulfil."""
    return hold_ns < NEVER_NS
