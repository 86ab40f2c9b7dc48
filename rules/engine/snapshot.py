"""Snapshots: the engine's arrays with the names of their slots, and their on-disk form.

Slots are restored by (rule, channel, side, hash of the meaning), so neither a reload nor another
order of rules shifts them. Equality of events is promised per numpy version and CPU level, which
the snapshot records.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from rules.events import Event, EventType
from rules.readings import offset_of, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.engine.fold import Engine
    from rules.plan import Level

FORMAT = 1
MAGIC = b"CLSNAP01"


class SnapshotDamagedError(Exception):
    """A snapshot whose bytes are not what was written; use an older one and run on from it."""


def take(engine: Engine) -> dict[str, Any]:
    """Return copies of everything the engine remembers."""
    deadman = engine.deadman
    return {
        "format": FORMAT,
        "numpy": np.__version__,
        "next_offset": engine.next_offset,
        "plan_hash": engine.plan.content_hash,
        "registry_hash": engine.registry.content_hash,
        "slot_keys": list(engine.slots.keys),
        "deadman_keys": [(r, d, m.hex()) for r, d, m in deadman.keys],
        "channels": list(engine.registry.channels.id),
        "tick_ns": int(deadman.tick_ns),
        "blind_ns": int(deadman.blind_ns),
        "accept_flags": [list(flags) for flags in engine.slots.accept_flags],
        "judge": engine.judge.state(),
        "slots": {k: v.copy() for k, v in engine.slots.state.columns().items()},
        "rate": {k: v.copy() for k, v in engine.rate.columns().items()},
        "ewma": {k: v.copy() for k, v in engine.ewma.columns().items()},
        "deadman": {k: v.copy() for k, v in deadman.columns().items()},
        "threshold": {"last_value": engine.threshold.last_value.copy()},
    }


def put_back(engine: Engine, state: dict[str, Any]) -> list[Event]:
    """Restore a snapshot into an engine freshly built from a plan and registry."""
    if state["format"] != FORMAT:
        raise SnapshotDamagedError(
            f"snapshot format {state['format']}, this version reads {FORMAT}"
        )
    engine.judge.restore(state["judge"])
    engine.judge.grow(len(engine.registry.channels.id))
    engine.next_offset = int(state["next_offset"])
    return carry_over(engine, state, engine.plan.levels, engine.next_offset)


def carry_over(
    engine: Engine, state: dict[str, Any], old_levels: Sequence[Level], offset: int
) -> list[Event]:
    """Move the state of slots of unchanged meaning into the engine's new tables."""
    old = {tuple(key): i for i, key in enumerate(state["slot_keys"])}
    new_at = [i for i, key in enumerate(engine.slots.keys) if key in old]
    old_at = [old[engine.slots.keys[i]] for i in new_at]
    for name, column in engine.slots.state.columns().items():
        column[new_at] = state["slots"][name][old_at]
    engine.slots.next_due_ns = np.int64(np.iinfo(np.int64).min)
    engine.slots.recount()
    _move_kind(engine, state, "rate", new_at, old_at)
    _move_kind(engine, state, "ewma", new_at, old_at)
    silences = _move_deadman(engine, state)
    for number, flags in enumerate(engine.slots.accept_flags):
        if list(flags) in state["accept_flags"]:
            held = state["threshold"]["last_value"][state["accept_flags"].index(list(flags))]
            engine.threshold.last_value[number, : len(held)] = held
    events = _dropped(engine, state, set(old_at), old_levels, offset)
    return events + _dropped_silences(engine, state, silences, old_levels, offset)


def _move_kind(
    engine: Engine, state: dict[str, Any], kind: str, new_at: list[int], old_at: list[int]
) -> None:
    """Move the windows or statistics of one kind."""
    target = getattr(engine, kind)
    base, stop = int(engine.slots.pointer[kind][0]), int(engine.slots.pointer[kind][-1])
    old_base = _old_base(state, kind)
    pairs = [
        (n - base, o - old_base) for n, o in zip(new_at, old_at, strict=True) if base <= n < stop
    ]
    if not pairs:
        return
    mine, theirs = np.array(pairs).T
    for name, column in target.columns().items():
        held = state[kind][name]
        if column.ndim > 1 and held.shape[1] > column.shape[1]:
            column = np.pad(column, ((0, 0), (0, held.shape[1] - column.shape[1])))  # noqa: PLW2901
            setattr(target, name, column)
        if column.ndim > 1:
            column[mine, : held.shape[1]] = held[theirs]
        else:
            column[mine] = held[theirs]


def _old_base(state: dict[str, Any], kind: str) -> int:
    """Return where a kind's slots began in the snapshot's table: kinds follow one another."""
    ewma = len(state["ewma"]["mean"])
    rate = len(state["rate"]["held"])
    total = len(state["slot_keys"])
    return total - ewma if kind == "ewma" else total - ewma - rate


def _move_deadman(engine: Engine, state: dict[str, Any]) -> set[int]:
    """Move what is known of each device's silence; return the old slots that live on."""
    deadman = engine.deadman
    deadman.tick_ns, deadman.blind_ns = np.int64(state["tick_ns"]), np.int64(state["blind_ns"])
    deadman.wake()
    old = {tuple(key): i for i, key in enumerate(state["deadman_keys"])}
    kept: set[int] = set()
    for i, (rule, device, missing) in enumerate(deadman.keys):
        at = old.get((rule, device, missing.hex()))
        if at is not None:
            for name, column in deadman.columns().items():
                column[i] = state["deadman"][name][at]
            kept.add(at)
    return kept


def _dropped(
    engine: Engine,
    state: dict[str, Any],
    kept: set[int],
    old_levels: Sequence[Level],
    offset: int,
) -> list[Event]:
    """Say which alarms end because their rule was changed or removed: never silently."""
    events = []
    visible = (1 << len(old_levels)) - 1
    latched = np.flatnonzero(state["slots"]["mask"] & visible)
    for slot in latched.tolist():
        if slot in kept:
            continue
        rule, channel, side, meaning = state["slot_keys"][slot]
        episode = int(state["slots"]["episode"][slot])
        top = (int(state["slots"]["mask"][slot]) & visible).bit_length() - 1
        events.append(
            Event(
                type=EventType.RULE_CHANGED,
                offset=offset,
                row=0,
                rule=rule,
                subject=channel,
                side=side,
                previous=old_levels[top].severity,
                event_ns=_last_tick_ns(state),
                receive_ns=_last_tick_ns(state),
                max_severity=int(state["slots"]["max_severity"][slot]),
                episode=f"{offset_of(episode)}.{row_of(episode)}",
                evidence={"old_meaning": meaning, "plan": engine.plan.content_hash},
            )
        )
    return events


def _dropped_silences(
    engine: Engine,
    state: dict[str, Any],
    kept: set[int],
    old_levels: Sequence[Level],
    offset: int,
) -> list[Event]:
    """Say which alarms of silent devices end because their rule was changed or removed."""
    held = state["deadman"]
    events = []
    for slot in np.flatnonzero(held["level"] >= 0).tolist():
        if slot in kept:
            continue
        rule, device, _missing = state["deadman_keys"][slot]
        episode = int(held["episode"][slot])
        events.append(
            Event(
                type=EventType.RULE_CHANGED,
                offset=offset,
                row=0,
                rule=rule,
                subject=device,
                previous=old_levels[int(held["level"][slot])].severity,
                event_ns=_last_tick_ns(state),
                receive_ns=_last_tick_ns(state),
                max_severity=old_levels[int(held["top"][slot])].severity,
                episode=f"{offset_of(episode)}.{row_of(episode)}",
                evidence={"plan": engine.plan.content_hash},
            )
        )
    return events


def _last_tick_ns(state: dict[str, Any]) -> int:
    """Return the Clock's last word before a change; 0 before the first tick."""
    return max(int(state["tick_ns"]), 0)


# ---- on disk ------------------------------------------------------------------------------------


def to_bytes(state: dict[str, Any]) -> bytes:
    """Return a snapshot as bytes: magic, CRC-32, and an npz of arrays with a JSON head."""
    arrays = {
        f"{group}.{name}": column
        for group, columns in state.items()
        if isinstance(columns, dict)
        for name, column in columns.items()
    }
    head = {k: v for k, v in state.items() if not isinstance(v, dict)}
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    body = buffer.getvalue()
    return MAGIC + crc32(body).to_bytes(4, "little") + body


def from_bytes(data: bytes) -> dict[str, Any]:
    """Undo to_bytes.

    Raises
    ------
    SnapshotDamagedError
        The bytes are not a whole snapshot of this format.
    """
    head_size = len(MAGIC) + 4
    body = data[head_size:]
    if data[: len(MAGIC)] != MAGIC or crc32(body).to_bytes(4, "little") != data[8:head_size]:
        raise SnapshotDamagedError(f"{len(data)} bytes that are no snapshot, or a damaged one")
    state: dict[str, Any] = {}
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        for name in arrays.files:
            if name == "head":
                state |= json.loads(arrays[name].tobytes())
                continue
            group, column = name.split(".", 1)
            state.setdefault(group, {})[column] = arrays[name]
    state["slot_keys"] = [tuple(key) for key in state["slot_keys"]]
    state["deadman_keys"] = [tuple(key) for key in state["deadman_keys"]]
    return state
