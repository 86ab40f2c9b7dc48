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

from rules.engine.holds import standing_alarms
from rules.engine.tracks import mix
from rules.engine.trial import ended, ended_silence, turned, turned_silences
from rules.plan import SHADOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.engine.fold import Engine
    from rules.engine.kinds.sampler import Sampler
    from rules.engine.kinds.scorer import Scorer
    from rules.engine.kinds.vote import Votes
    from rules.engine.quality.checks import Check
    from rules.engine.quality.checks import Tracks as Checks
    from rules.engine.slots import Slots
    from rules.engine.tracks import Tracks
    from rules.events import Event
    from rules.plan import Level

FORMAT = 2
MAGIC = b"CLSNAP02"


class SnapshotDamagedError(Exception):
    """A snapshot whose bytes are not what was written; use an older one and run on from it."""


def take(engine: Engine) -> dict[str, Any]:
    """Return copies of everything the engine remembers."""
    deadman, slots = engine.deadman, engine.slots
    state: dict[str, Any] = {
        "format": FORMAT,
        "numpy": np.__version__,
        "next_offset": engine.next_offset,
        "plan_hash": engine.plan.content_hash,
        "registry_hash": engine.registry.content_hash,
        "rules": [rule.rule_id for rule in slots.rules],
        "inputs_from": slots.inputs_from,
        "shadow": sorted({rule.rule_id for rule in engine.plan.told_rules if rule.shadow}),
        "quality_rules": [rule.rule_id for rule in engine.plan.quality_rules],
        "subjects": list(slots.subjects),
        "deadman_keys": [(r, d, m.hex()) for r, d, m in deadman.keys],
        "tick_ns": int(deadman.tick_ns),
        "blind_ns": int(deadman.blind_ns),
        "accept_flags": [list(flags) for flags in slots.accept_flags],
        "judge": engine.judge.state(),
        "slots": {k: v.copy() for k, v in slots.state.columns().items()},
        "slot_names": {
            "rule": slots.parameters.rule.copy(),
            "subject": slots.parameters.channel.copy(),
            "side": slots.parameters.sign.astype(np.int64),
            "meaning": slots.meaning.copy(),
        },
        "deadman": {k: v.copy() for k, v in deadman.columns().items()},
        "threshold_last": {"value": engine.threshold.last_value.copy()},
        "windows": list(engine.holds.orders.values()),
        "warnings": engine.warnings.state,
    }
    state |= engine.blocks.state()
    if engine.asof is not None:
        state["asof"] = {k: v.copy() for k, v in engine.asof.columns().items()}
    for kernel, scorer in engine.keepers.items():
        tracks = slots.tracks[kernel]
        state[f"track_{kernel}"] = {
            "rule": tracks.rule.copy(),
            "subject": tracks.channel.copy(),
            "meaning": tracks.meaning.copy(),
        }
        state[f"kernel_{kernel}"] = {k: v.copy() for k, v in scorer.columns().items()}
    if engine.readout is not None:
        state["readout"] = {k: v.copy() for k, v in engine.readout.minute.items()}
    for check in engine.quality.checks:
        checks = check.tracks
        state[f"track_{checks.kernel}"] = {
            "rule": checks.rule.copy(),
            "subject": checks.channel.copy(),
            "meaning": checks.meaning.copy(),
        }
        state[f"kernel_{checks.kernel}"] = {k: v.copy() for k, v in check.columns().items()}
    return state


def put_back(engine: Engine, state: dict[str, Any]) -> list[Event]:
    """Restore a snapshot into an engine freshly built from a plan and registry."""
    if state["format"] != FORMAT:
        raise SnapshotDamagedError(
            f"snapshot format {state['format']}, this version reads {FORMAT}"
        )
    engine.judge.restore(state["judge"])
    engine.judge.grow(len(engine.registry.channels.id))
    engine.warnings.restore(state.get("warnings", ()))  # snapshots of before have none
    engine.next_offset = int(state["next_offset"])
    return carry_over(engine, state, engine.plan.levels, engine.next_offset)


def carry_over(
    engine: Engine, state: dict[str, Any], old_levels: Sequence[Level], offset: int
) -> list[Event]:
    """Move the state of slots of unchanged meaning into the engine's new tables."""
    slots = engine.slots
    names = _names([rule.rule_id for rule in slots.rules], state["rules"], slots, state)
    p, held = slots.parameters, state["slot_names"]
    new_at, old_at, same = _matched(
        names,
        (p.rule, p.channel, p.sign.astype(np.int64), slots.meaning),
        (held["rule"], held["subject"], held["side"], held["meaning"]),
    )
    for name, column in slots.state.columns().items():
        theirs = state["slots"].get(name)
        if theirs is not None and theirs.shape[1:] == column.shape[1:]:
            column[new_at] = theirs[old_at]
    if "hour" not in state["slots"]:  # a snapshot of before: hours were all there was
        slots.state.hour[new_at] = slots.hours.at(new_at, slots.state.last_ns[new_at])
    slots.next_due_ns = np.int64(np.iinfo(np.int64).min)
    slots.recount()
    engine.blocks.restore(state)
    for kernel, scorer in engine.keepers.items():
        if f"track_{kernel}" in state:
            mine, theirs = _move_kernel(slots.tracks[kernel], scorer, state, names)
            told = state.get("readout", {}).get(kernel)
            if engine.readout is not None and told is not None:
                engine.readout.minute[kernel][mine] = told[theirs]
    _move_quality(engine, state)
    silences = _move_deadman(engine, state)
    for number, flags in enumerate(slots.accept_flags):
        if list(flags) in state["accept_flags"]:
            last = state["threshold_last"]["value"][state["accept_flags"].index(list(flags))]
            engine.threshold.last_value[number, : len(last)] = last
    if engine.asof is not None and "asof" in state:
        engine.asof.restore(state["asof"], state["accept_flags"])
    events = turned(engine, state, (new_at, old_at), same, offset)
    events += turned_silences(engine, state, offset)
    engine.holds.take_up(state.get("windows", ()))  # snapshots of before have none
    engine.holds.follow(standing_alarms(slots, engine.deadman), int(engine.deadman.tick_ns))
    events += _dropped(engine, state, old_at[:same], old_levels, offset)
    return events + _dropped_silences(engine, state, silences, old_levels, offset)


class _Names:
    """Rules and subjects of a snapshot, by their numbers in the engine's tables; −1 = gone."""

    def __init__(
        self, mine: list[str], theirs: list[str], slots: Slots, state: dict[str, Any]
    ) -> None:
        number = {rule: i for i, rule in reversed(list(enumerate(mine)))}
        self._mine = np.array([number[rule] for rule in mine], np.int64)
        self._rule = np.array([number.get(rule, -1) for rule in theirs], np.int64)
        if list(slots.subjects) == state["subjects"]:
            self._subject = np.arange(len(state["subjects"]))
        else:
            place = {subject: i for i, subject in enumerate(slots.subjects)}
            self._subject = np.array([place.get(s, -1) for s in state["subjects"]], np.int64)

    def match(
        self, mine: tuple[NDArray[Any], ...], theirs: tuple[NDArray[Any], ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of rows that mean the same: (rule, subject, …) here and there."""
        old = [self._rule[theirs[0]], self._subject[theirs[1]], *theirs[2:]]
        known = np.flatnonzero((old[0] >= 0) & (old[1] >= 0))
        new = [self._mine[mine[0]], *mine[1:]]
        digest_new = _digest(new, len(mine[0]))
        digest_old = _digest([column[known] for column in old], len(known))
        order = np.argsort(digest_old, kind="stable")
        at = np.searchsorted(digest_old[order], digest_new)
        inside = np.flatnonzero(at < len(order))
        found: NDArray[np.int64] = inside[digest_old[order[at[inside]]] == digest_new[inside]]
        return found, known[order[at[found]]]


def _names(mine: list[str], theirs: list[str], slots: Slots, state: dict[str, Any]) -> list[_Names]:
    """Return how rules are found: by their ids, and then by those they had in a shadow folder."""
    names = [_Names(mine, theirs, slots, state)]
    if any(rule.startswith(SHADOW) for rule in theirs):
        on_trial = [r.removeprefix(SHADOW) if r.startswith(SHADOW) else "" for r in theirs]
        names.append(_Names(mine, on_trial, slots, state))
    return names


def _matched(
    names: list[_Names], mine: tuple[NDArray[Any], ...], theirs: tuple[NDArray[Any], ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the places of rows that mean the same, here and there, and how many by their own id.

    What a rule of a shadow folder learned goes on in the rule it becomes, where that one brings
    nothing of its own.
    """
    new, old = names[0].match(mine, theirs)
    same = len(new)
    for others in names[1:]:
        more, before = others.match(mine, theirs)
        fresh = ~np.isin(more, new)
        new, old = np.concatenate([new, more[fresh]]), np.concatenate([old, before[fresh]])
    return new, old, same


def _digest(columns: list[NDArray[Any]], rows: int) -> NDArray[np.uint64]:
    digest = np.zeros(rows, np.uint64)
    for column in columns:
        digest = mix(digest, column)
    return digest


def _move_quality(engine: Engine, state: dict[str, Any]) -> None:
    """Move the windows and open excursions of the quality checks."""
    mine = [rule.rule_id for rule in engine.plan.quality_rules]
    names = [_Names(mine, state.get("quality_rules", []), engine.slots, state)]
    for check in engine.quality.checks:
        if f"track_{check.tracks.kernel}" in state:
            _move_kernel(check.tracks, check, state, names)


def _move_kernel(
    tracks: Tracks | Checks,
    scorer: Scorer | Sampler | Votes | Check,
    state: dict[str, Any],
    names: list[_Names],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move the windows or statistics of one kernel; return the places (new, old) of its tracks."""
    held = state[f"track_{tracks.kernel}"]
    mine, theirs, _ = _matched(
        names,
        (tracks.rule, tracks.channel, tracks.meaning),
        (held["rule"], held["subject"], held["meaning"]),
    )
    saved = state.get(f"kernel_{tracks.kernel}", {})
    for name, column in scorer.columns().items():
        theirs_column = saved[name]
        if theirs_column.shape[1:] != column.shape[1:]:
            column = np.zeros((len(column), *theirs_column.shape[1:]), column.dtype)  # noqa: PLW2901
        column[mine] = theirs_column[theirs]
        scorer.restore(name, column)
    return mine, theirs


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
    kept: NDArray[np.int64],
    old_levels: Sequence[Level],
    offset: int,
) -> list[Event]:
    """Say which alarms end because their rule was changed or removed: never silently."""
    visible = (1 << len(old_levels)) - 1
    latched = (state["slots"]["mask"] & visible) != 0
    latched[kept] = False
    latched &= state["slot_names"]["rule"] < state.get("inputs_from", len(state["rules"]))
    plan = engine.plan.content_hash
    return [
        ended(state, slot, old_levels, offset, plan) for slot in np.flatnonzero(latched).tolist()
    ]


def _dropped_silences(
    engine: Engine,
    state: dict[str, Any],
    kept: set[int],
    old_levels: Sequence[Level],
    offset: int,
) -> list[Event]:
    """Say which alarms of silent devices end because their rule was changed or removed."""
    plan = engine.plan.content_hash
    return [
        ended_silence(state, slot, old_levels, offset, plan)
        for slot in np.flatnonzero(state["deadman"]["level"] >= 0).tolist()
        if slot not in kept
    ]


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
    state["deadman_keys"] = [tuple(key) for key in state["deadman_keys"]]
    return state
