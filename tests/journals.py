"""Random journals: small, adversarial, and made so that every branch of the engine is taken.

``case(random)`` draws a registry, a plan and records from a ``random.Random``, so a seed or
hypothesis can drive it. Values stand on limits, next to them, at zero, at ±inf, NaN, denormal
and huge; clocks jump; frames come twice, out of order and too late; devices reboot and fall silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.engine import KINDS
from rules.plan import NEVER_NS
from rules.readings import HEARD_ONLY, NO_SEQUENCE, Control, Record, Tick
from tests.across import arithmetic, logic
from tests.journal_quality import quality_rules
from tests.oracle_waveforms import WAVE_KINDS
from tests.own_parameters import OWN
from tests.small_city import (
    LEVELS,
    METHODS,
    SECOND_NS,
    T0_NS,
    deadman_of,
    plan_of,
    readings_of,
    registry_of,
    rule_of,
)
from tests.wave_journals import SOURCES, derived, devices, feature_rule, wave_speakers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from rules.plan import ChannelRule, DeadmanRule, Plan
    from rules.readings import Body
    from rules.registry import Registry

DEVICES = (0, 0, 1, 2, 2)  # device of each channel of readings
EVERYONE = (*DEVICES, *devices())  # and of those with waveforms, and features of them
SUBJECTS = ("asset-9", "asset-1", "asset-5")
RANGE_LO, RANGE_HI = -4.0, 12.0
LIMITS = (1.0, 2.0, 4.0, 8.0)
ODD_VALUES = (
    math.nan,
    math.inf,
    -math.inf,
    1e308,
    -1e308,
    5e-324,
    -5e-324,
    -0.0,
    2.0**53,
    math.nextafter(4.0, 0.0),
    math.nextafter(4.0, 9.0),
    RANGE_HI,
    RANGE_LO,
    math.nextafter(RANGE_HI, 99.0),
    math.nextafter(RANGE_LO, -99.0),
)


@dataclass(frozen=True)
class Case:
    registry: Registry
    plan: Plan
    records: list[Record]


@dataclass
class Speaker:
    """A device: its clock's error, its boot and sequence, and what it sent (to send again)."""

    device: int
    mode: str  # "sequence", "payload" or "none"
    orderly: bool  # sends nothing twice, no number twice
    channels: list[int]
    clock_error_ns: int = 0
    boot: int = 1
    sequence: int = 0
    level: float = 0.0
    sent: list[list[dict[str, Any]]] = field(default_factory=list)


# -- rules -------------------------------------------------------------------------------------


def limits(random: Random, *, side: int) -> tuple[list[float], list[float]]:
    """Raise and clear limits of the four levels, some not declared."""
    declared = [random.random() < 0.7 for _ in LEVELS]
    if not any(declared):
        declared[random.randrange(4)] = True
    shift, band = random.choice((0.0, 0.0, -3.0)), random.choice((0.0, 0.5, 1.0, 3.0))
    raises = [
        side * (limit + shift) if on else math.nan
        for limit, on in zip(LIMITS, declared, strict=True)
    ]
    return raises, [limit - side * band for limit in raises]


def channel_rules(random: Random, name: str, kind: str) -> list[ChannelRule]:
    """One rule on one side or on both, its parameters different from channel to channel."""
    common: dict[str, Any] = {
        "kind": kind,
        "accept": random.choice(((1, 2, 3), (1, 2), (1,), (1, 2, 3, 4, 9))),
        "fail_loud": random.random() < 0.4,
        "over_range": kind == "threshold" and random.random() < 0.4,
        "klass": random.choice(("safety", "maintenance", "info")),
        "method": random.choice(METHODS.get(kind, ("",))),
    }
    return [one_side(random, name, side, common) for side in random.choice(((1,), (-1,), (1, -1)))]


def one_side(random: Random, name: str, side: int, common: dict[str, Any]) -> ChannelRule:
    could = list(SOURCES) if common["kind"] in WAVE_KINDS else list(range(len(DEVICES)))
    drawn = sorted(random.sample(could, random.randint(1, len(could))))
    raise_at, clear_at = limits(random, side=side)
    common = {"channels": drawn, **common}
    rule = rule_of(name, side=side, raise_at=raise_at, clear_at=clear_at, **common)
    n = len(rule.channel)
    for i in range(n):
        if random.random() < 0.5:
            rule.raise_at[i], rule.clear_at[i] = limits(random, side=side)
        rule.hold_ns[i] = [random.choice((0, 0, 3, 10, 30)) * SECOND_NS for _ in LEVELS]
        rule.hold_samples[i] = [random.choice((0, 0, 0, 1, 2, 3)) for _ in LEVELS]
        rule.hold_ns[i][(rule.hold_samples[i] > 0) & (np.arange(4) % 2 == 1)] = NEVER_NS
        rule.keep_ns[i] = [random.choice((0, 0, 5, 20)) * SECOND_NS for _ in LEVELS]
        rule.max_gap_ns[i] = random.choice((15, 40, 180)) * SECOND_NS
        for own, choices in OWN.get(rule.kind, {}).items():
            rule.own[own][i] = random.choice(choices)
    return rule


def expression_rules(random: Random, name: str, kind: str) -> list[ChannelRule]:
    """An expression on one or two assets, a number or a truth."""
    truth = random.random() < 0.4
    program = logic(random, 2) if truth else arithmetic(random, random.choice((0, 1, 2)))
    subjects = sorted(random.sample(range(len(SUBJECTS)), random.randint(1, 2)))
    side = 1 if truth else random.choice((1, -1))
    common: dict[str, Any] = {
        "kind": kind,
        "accept": random.choice(((1, 2, 3), (1, 2), (1,))),
        "klass": random.choice(("safety", "info")),
        "options": {"program": " ".join(program), "inputs": "level flow power"},
        "own": {"inputs": [[0, 1, 2]], "constants": [[0.0, 1.0]], "max_age_ns": 0},
    }
    common["channels"] = [len(EVERYONE) + subject for subject in subjects]
    rule = one_side(random, name, side, common)
    if truth:
        rule.raise_at[:] = [math.nan, math.nan, 1.0, math.nan]
        rule.clear_at[:] = rule.raise_at
    return [rule]


def vote_rules(random: Random, name: str, kind: str) -> list[ChannelRule]:
    """A rule on channels, and a vote on it around some of them."""
    of = channel_rules(random, f"{name}-of", random.choice(("threshold", "threshold", "rate")))
    common: dict[str, Any] = {
        "kind": kind,
        "klass": random.choice(("safety", "info")),
        "options": {"of": f"{name}-of", "at_least": random.choice((1, 1, 2, 3))},
        "own": {"members": [[0, 1, -1, -1, -1]], "within_ns": 0},
    }
    rule = one_side(random, name, 1, common)
    for i in range(len(rule.channel)):
        need = random.choice((1.0, 2.0, 2.0, 3.0))
        rule.raise_at[i] = [math.nan, math.nan, need, random.choice((math.nan, need + 1.0))]
    rule.clear_at[:] = rule.raise_at
    return [*of, rule]


def deadman_rules(random: Random, name: str, kind: str) -> list[DeadmanRule]:
    """One rule of silence on some devices, the one that never speaks among them at times."""
    missing = sorted(random.choice((8, 20, 45, 90, math.inf)) for _ in LEVELS)
    watched = sorted(random.sample(range(max(DEVICES) + 2), random.randint(1, 4)))
    return [deadman_of(name, watched, missing)]


RULES = dict.fromkeys(KINDS, channel_rules) | {
    "expr": expression_rules,
    "vote": vote_rules,
    "deadman": deadman_rules,
}


def plan(random: Random, kinds: Sequence[str]) -> Plan:
    """A few rules of these kinds; ids are not in the order they are declared in."""
    rules: list[Any] = []
    for i in range(random.randint(2, 6)):
        kind = random.choice(kinds)
        rules += RULES[kind](random, f"rule-{(i * 7 + 3) % 10}", kind)
    rules.append(feature_rule(random, "features"))
    return plan_of(
        *rules,
        subjects=SUBJECTS,
        probes=random.choice(((), (0,), (1, 3))),
        blind_after_ns=random.choice((12, 30)) * SECOND_NS,
        blind_grace_ns=random.choice((0, 10)) * SECOND_NS,
        confirm_hold_ns=random.choice((5, 30)) * SECOND_NS,
        quality_rules=quality_rules(random, len(DEVICES)),
    )


# -- messages ----------------------------------------------------------------------------------


def value(random: Random, speaker: Speaker) -> float:
    """A value that stays a while, mostly on or near a limit."""
    chance = random.random()
    if chance < 0.10:
        return random.choice(ODD_VALUES)
    if chance < 0.16:
        return random.uniform(-3.0, 9.0)
    if chance < 0.45:
        speaker.level = random.choice(
            (0.0, 0.0, 1.0, 2.0, 3.5, 4.0, 5.0, 8.0, 9.0, -2.0, -4.0, -8.0)
        )
    return speaker.level


def times(random: Random, now_ns: int) -> list[int]:
    """Event times of one channel's samples in one message, before the clock's error."""
    count = random.choices((1, 2, 4, 70), weights=(80, 12, 7.5, 0.5))[0]
    step = random.choice((1, 1, 2, 5)) * SECOND_NS
    last = now_ns - random.choice((0, 0, 0, 0, 0, 0, 0, 1, 20, 100)) * SECOND_NS
    stamps = [last - step * k for k in reversed(range(count))]
    if random.random() < 0.03:
        stamps = [stamp - stamp % (10 * SECOND_NS) for stamp in stamps]  # equal times
    return stamps


def message(random: Random, speaker: Speaker, now_ns: int) -> list[dict[str, Any]]:
    """A new message of a device: rows of some of its channels, sorted by time."""
    chosen = [c for c in speaker.channels if random.random() < 0.8] or speaker.channels[:1]
    stamped = [(t + speaker.clock_error_ns, c) for c in chosen for t in times(random, now_ns)]
    stamped.sort()
    if random.random() < 0.03:
        random.shuffle(stamped)
    rough = not speaker.orderly and random.random() < 0.04
    speaker.sequence += random.choice((2, 63, 64, 65, 200)) if rough else 1
    boot = {"sequence": speaker.boot, "none": 0}.get(speaker.mode, random.getrandbits(62) + 1)
    sequence = speaker.sequence if speaker.mode == "sequence" else NO_SEQUENCE
    rows = [
        {
            "channel": channel,
            "device": speaker.device,
            "event_ns": t + 7,
            "judged_ns": t,
            "receive_ns": now_ns,
            "value": value(random, speaker),
            "qc_flag": random.choices((1, 2, 3, 4, 9), weights=(85, 5, 4, 3, 3))[0],
            "usable": random.random() < 0.96,
            "boot": boot,
            "sequence": sequence,
            "index": index,
        }
        for index, (t, channel) in enumerate(stamped)
    ]
    speaker.sent = [*speaker.sent, rows][-100:]
    return rows


def again(random: Random, speaker: Speaker, now_ns: int) -> list[list[dict[str, Any]]]:
    """Messages sent before, received once more: the last one, a run of them, or an old one."""
    count = random.choice((1, 1, 3, 6))
    start = max(0, len(speaker.sent) - count) if random.random() < 0.7 else 0
    held = speaker.sent[start : start + count]
    return [[row | {"receive_ns": now_ns} for row in rows] for rows in held]


def contradicting(random: Random, speaker: Speaker, now_ns: int) -> list[dict[str, Any]]:
    """A new message at the times of the last one: the same value or another."""
    last_times = [row["judged_ns"] for row in speaker.sent[-1]] if speaker.sent else []
    last_values = [row["value"] for row in speaker.sent[-1]] if speaker.sent else []
    rows = message(random, speaker, now_ns)
    for row, t, x in zip(rows, last_times, last_values, strict=False):
        row["judged_ns"] = t
        row["value"] = x if random.random() < 0.5 else row["value"]
    return rows


def spoken(random: Random, speaker: Speaker, now_ns: int) -> list[list[dict[str, Any]]]:
    """What a device sends now: usually a new message, sometimes trouble."""
    chance = random.random()
    if chance < 0.10 and not speaker.orderly:
        return again(random, speaker, now_ns)
    if chance < 0.15:
        return [contradicting(random, speaker, now_ns)]
    if chance < 0.18:
        return [heard(speaker, now_ns)]
    if chance < 0.20:
        other = (speaker.boot + 1, 0), (speaker.boot % 3 + 1, 0), (1, 5), (2, 5)
        speaker.boot, speaker.sequence = other[0] if speaker.orderly else random.choice(other)
    elif chance < 0.24:
        speaker.clock_error_ns = random.choice((0, 0, 300, -40)) * SECOND_NS
    return [message(random, speaker, now_ns)]


def heard(speaker: Speaker, now_ns: int) -> list[dict[str, Any]]:
    return [
        {
            "channel": HEARD_ONLY,
            "device": speaker.device,
            "event_ns": now_ns,
            "judged_ns": now_ns,
            "receive_ns": now_ns,
            "value": math.nan,
            "qc_flag": 9,
            "usable": False,
            "boot": speaker.boot,
            "sequence": speaker.sequence,
            "index": 0,
        }
    ]


def command(random: Random, chosen: Plan) -> Control:
    """A reset, mostly of a rule and channel that can answer; sometimes of what does not exist."""
    latching = [rule for rule in chosen.channel_rules if rule.over_range]
    rule = random.choice(latching or chosen.channel_rules or [rule_of()])
    channel = registry_of(EVERYONE).channels.id[random.choice(rule.channel)]
    data = {"rule": rule.rule_id, "channel": channel, "by": "li", "reason": "re-tested"}
    if random.random() < 0.1:
        data[random.choice(("rule", "channel"))] = "unknown"
    return Control(random.choice(("reset", "reset", "reset", "ack")), data | {"command": "c"})


# -- journals ----------------------------------------------------------------------------------


def bodies(
    random: Random, chosen: Plan, *, steps: int, orderly: bool, waves_at: float
) -> list[Body]:
    """Ticks, messages and resets in an order that never goes back in receive time."""
    modes = ("sequence", "sequence", "payload", "payload" if orderly else "none")
    speakers = [
        Speaker(d, random.choice(modes), orderly, own)
        for d in sorted(set(DEVICES))
        if (own := [c for c, device in enumerate(DEVICES) if device == d])
    ]
    waves = wave_speakers(random, orderly=orderly)
    now_ns = T0_NS
    out: list[Body] = [Tick(now_ns)]
    open_rows: list[dict[str, Any]] = []

    def flush() -> None:
        if open_rows:
            out.append(readings_of(open_rows))
            open_rows.clear()

    for _ in range(steps):
        now_ns += (
            random.choices((0, 1, 5, 14, 50, 250), weights=(10, 50, 28, 8, 3, 1))[0] * SECOND_NS
        )
        if random.random() < 0.55:
            flush()
            out.append(Tick(now_ns))
        for speaker in speakers:
            if random.random() < 0.6:
                for rows in spoken(random, speaker, now_ns):
                    open_rows += rows
                    if random.random() < 0.6:
                        flush()
        for wave in waves:
            if random.random() < waves_at:
                flush()
                out += wave.blocks(random, now_ns)
        if random.random() < 0.06:
            flush()
            out.append(command(random, chosen))
    flush()
    return out


ALL_KINDS = ("threshold", *KINDS)  # thresholds twice as often


def case(
    random: Random, *, steps: int = 45, kinds: Sequence[str] = ALL_KINDS, orderly: bool = False
) -> Case:
    """One registry, plan and journal; an ``orderly`` city sends no message twice."""
    registry = registry_of(EVERYONE, range_lo=RANGE_LO, range_hi=RANGE_HI, derived=derived)
    chosen = plan(random, kinds)
    start = random.choice((0, 0, 3, 1 << 20))
    waves = 0.8 if all(kind in WAVE_KINDS for kind in kinds) else 0.25
    told = bodies(random, chosen, steps=steps, orderly=orderly, waves_at=waves)
    return Case(registry, chosen, [Record(start + i, body) for i, body in enumerate(told)])
