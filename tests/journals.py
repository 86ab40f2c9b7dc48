"""Random journals: small, adversarial, and made so that every branch of the engine is taken.

``case(random)`` draws a registry, a plan and records from a ``random.Random``, so a seed or
hypothesis can drive it. Values stand on limits, next to them, at zero, at ±inf, NaN, denormal
and huge; clocks jump; frames come twice, out of order and too late; devices reboot and fall silent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.bulletins import Bulletin
from rules.engine import KINDS
from rules.readings import HEARD_ONLY, NO_SEQUENCE, Control, Record, Tick
from tests.journal_rules import DEVICES, EVERYONE, plan
from tests.oracle_waveforms import WAVE_KINDS
from tests.small_city import (
    SECOND_NS,
    T0_NS,
    readings_of,
    registry_of,
    rule_of,
)
from tests.wave_journals import derived, wave_speakers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from rules.plan import Plan
    from rules.readings import Body
    from rules.registry import Registry

RANGE_LO, RANGE_HI = -4.0, 12.0
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
    speaker.sequence += random.choice((2, 63, 449, 512, 200)) if rough else 1
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


@dataclass
class Issuer:
    """Who warns of weather: messages in any order, some twice, some about another place."""

    said: list[Bulletin] = field(default_factory=list)

    def says(self, random: Random, now_ns: int) -> Control:
        if self.said and random.random() < 0.1:
            return Control("warning", random.choice(self.said).data() | {"via": "again"})
        number = len(self.said) + random.choice((0, 0, 0, 1))  # names are used twice at times
        sent_ns = now_ns + random.choice((0, 0, -60, -5, 20)) * SECOND_NS
        onset_ns = sent_ns + random.choice((0, 0, 0, -30, 15, 60)) * SECOND_NS
        other = f"w{random.randrange(number + 2)}"
        kind = random.choice(("alert", "alert", "update", "cancel"))
        told = Bulletin(
            identifier=f"w{number}",
            sender=random.choice(("met", "met", "met", "other")),
            sent_ns=sent_ns,
            kind=kind,
            exercise=random.random() < 0.1,
            references=() if kind == "alert" else (f"met,{other}",),
            hazard=random.choice(("rainstorm", "rainstorm", "gale", "flood", "other")),
            severity=random.choice((0, 1, 2, 3, 4, 4)),
            issuer=random.choice((("Met", "气象台"), ("", "气象台"), ("Met", ""))),
            onset_ns=onset_ns,
            expires_ns=onset_ns + random.choice((10, 60, 200, 2000)) * SECOND_NS,
            areas=random.choice(((), (), ("d",), ("elsewhere",), ("d", "elsewhere"))),
            polygons=random.choice(((), (), (HERE,), (THERE,))),
            codes=random.choice(((), (), ("410105",))),
        )
        self.said.append(told)
        return Control("warning", told.data() | {"via": "mqtt", "command": f"c{number}"})


HERE = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
THERE = ((2.0, 2.0), (3.0, 2.0), (3.0, 3.0), (2.0, 2.0))

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
    warned = any(s.warned for rule in chosen.slot_rules for s in rule.schedules)
    issuer = Issuer()
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
        if warned and random.random() < 0.12:
            flush()
            out.append(issuer.says(random, now_ns))
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
