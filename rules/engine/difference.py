"""What a change of rules and registry does to each rule, told before it is done.

The same comparison as a change while running makes (`snapshot.carry_over`): places are found by
rule, side, subject and meaning. What is found keeps its state; what is not gives it up, and an
alarm that stands there ends with RULE_CHANGED.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from rules.engine.deadman import Deadman
from rules.engine.kinds import KERNELS
from rules.engine.quality import Quality
from rules.engine.slots import build_slots

if TYPE_CHECKING:
    from rules.plan import Plan
    from rules.registry import Registry

    Compiled = tuple[Plan, Registry]
    Places = dict[str, set[tuple[int, str, str]]]

What = Literal["added", "removed", "changed", "kept"]
AlarmKey = tuple[str, int, str]
"""Rule, side, subject."""


@dataclass(frozen=True, slots=True, order=True)
class RuleChange:
    """One rule (or check of the quality section) before and after.

    A place is one side of it on one channel, device or asset. ``before`` and ``after`` hash what
    the rule means at all its places, 16 hex digits; "" where there is no such rule.
    """

    rule: str
    what: What
    before: str
    after: str
    kept: int  # places whose state, alarm and acknowledgement stay
    ended: int  # places whose state is given up
    new: int  # places that begin fresh

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """Every rule of either side, by id, and the places where an alarm that stands ends."""

    rules: tuple[RuleChange, ...]
    ended: frozenset[AlarmKey]
    live: tuple[str, ...] = ()  # rules that were on trial and are not any more
    shadow: tuple[str, ...] = ()  # rules that are on trial now: their alarms end too

    def of(self, what: What) -> tuple[RuleChange, ...]:
        """Return the rules to which that happens."""
        return tuple(rule for rule in self.rules if rule.what == what)


def difference(before: Compiled, after: Compiled) -> Difference:
    """Return what becomes of each rule when ``after`` takes the place of ``before``.

    Rules that match nothing have no places, and are told by neither side.
    """
    old, new = _places(before), _places(after)
    changes: list[RuleChange] = []
    ended: set[AlarmKey] = set()
    for rule in sorted(old.keys() | new.keys()):
        was, now = old.get(rule, set()), new.get(rule, set())
        gone = was - now
        what: What = "changed" if gone else "kept"
        if not (was and now):
            what = "removed" if was else "added"
        kept, fresh = len(was & now), len(now - was)
        changes.append(RuleChange(rule, what, _hash(was), _hash(now), kept, len(gone), fresh))
        ended |= {(rule, side, subject) for side, subject, _ in gone}
    was_shadow, now_shadow = _on_trial(before), _on_trial(after)
    stay = old.keys() & new.keys()
    turned = sorted(stay & (now_shadow - was_shadow))
    for rule in turned:
        ended |= {(rule, side, subject) for side, subject, _ in old[rule]}
    live = tuple(sorted(stay & (was_shadow - now_shadow)))
    return Difference(tuple(changes), frozenset(ended), live, tuple(turned))


def _on_trial(compiled: Compiled) -> set[str]:
    return {rule.rule_id for rule in compiled[0].told_rules if rule.shadow}


def _hash(places: set[tuple[int, str, str]]) -> str:
    """Return one hash of a rule's places, whatever their order; "" of none."""
    text = repr(sorted(places)).encode()
    return blake2b(text, digest_size=8).hexdigest() if places else ""


def _places(compiled: Compiled) -> Places:
    """Return (side, subject, meaning) of all that a rule watches, by rule."""
    plan, registry = compiled
    channels = registry.channels
    slots = build_slots(plan, channels.id, channels.range_lo, channels.range_hi, KERNELS)
    held: Places = defaultdict(set)
    p = slots.parameters
    for rule, subject, side, meaning in zip(
        p.rule.tolist(),
        p.channel.tolist(),
        p.sign.astype(int).tolist(),
        slots.meaning.tolist(),
        strict=True,
    ):
        if rule < slots.inputs_from:
            name = slots.rules[rule].rule_id
            held[name].add((side, slots.subjects[subject], f"{meaning:016x}"))
    for rule, device, missing in Deadman(plan, registry.devices.id).keys:
        held[rule].add((1, device, missing.hex()))
    for check in Quality(plan, len(channels.id)).checks:
        tracks = check.tracks
        for rule, channel, meaning in zip(
            tracks.rule.tolist(), tracks.channel.tolist(), tracks.meaning.tolist(), strict=True
        ):
            name = plan.quality_rules[rule].rule_id
            held[name].add((0, channels.id[channel], f"{meaning:016x}"))
    return held
