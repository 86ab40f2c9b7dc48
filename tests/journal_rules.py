"""Random rules of every kind, for the random journals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.alarm_life import Life
from rules.engine import KINDS
from rules.engine.kinds.joint import MEMBERS
from rules.plan import NEVER_NS, ByHours, Inhibit, Maintenance
from rules.schedule import MINUTE_NS, WEEK_MINUTES, Schedule, Warned
from tests.across import arithmetic, logic
from tests.journal_quality import quality_rules
from tests.oracle_waveforms import WAVE_KINDS
from tests.own_parameters import OWN
from tests.small_city import LEVELS, METHODS, SECOND_NS, T0_NS, deadman_of, plan_of, rule_of
from tests.wave_journals import SOURCES, devices, feature_rule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from rules.plan import ChannelRule, DeadmanRule, Plan

DEVICES = (0, 0, 1, 2, 2)  # device of each channel of readings
EVERYONE = (*DEVICES, *devices())  # and of those with waveforms, and features of them
SUBJECTS = ("asset-9", "asset-1", "asset-5")
LIMITS = (1.0, 2.0, 4.0, 8.0)
TODAY = T0_NS // (86_400 * SECOND_NS)  # 08:53:20 UTC
ZONES = ("UTC0", "+05:45", "A-15:05:40", "A-15:04", "A0B-0:00:50,J282/8:54,J282/8:57", "CST-8")


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
    moved = rule.kind not in ("expr", "vote", "all", "any", "sequence") and random.random() < 0.3
    return by_hours(random, rule) if moved else rule


def by_hours(random: Random, rule: ChannelRule) -> ChannelRule:
    """The rule with other limits and holds of the same levels at some hours of its journal."""
    schedules = tuple(hours(random, f"s{i}") for i in range(random.choice((1, 1, 2))))
    several = []
    for _ in range((1 << len(schedules)) - 1):
        step = rule.side * np.array([random.choice((0.0, -0.5, 0.5, 2.0)) for _ in rule.raise_at])
        held = ByHours(
            raise_at=rule.raise_at + step[:, None],
            clear_at=rule.clear_at + step[:, None],
            hold_ns=np.roll(rule.hold_ns, random.choice((0, 1)), axis=1),
            hold_samples=np.roll(rule.hold_samples, random.choice((0, 1)), axis=1),
            keep_ns=np.roll(rule.keep_ns, random.choice((0, 1)), axis=1),
        )
        several.append(held)
    return replace(rule, schedules=schedules, by_hours=tuple(several))


def hours(random: Random, name: str) -> Schedule:
    """Minutes around the journal's begin (08:53 UTC), some of them, in some season."""
    zone = random.choice(("UTC0", "+05:45", "A0B-0:00:50,J282/8:54,J282/8:57"))
    begin = T0_NS // MINUTE_NS + (345 if zone == "+05:45" else 0) + 4320
    on = sorted(random.sample(range(-3, 40), random.choice((2, 4, 6))))
    edges = tuple((begin + minute) % WEEK_MINUTES for minute in on)
    seasons = random.choice(((), (), ((101, 1231),), ((1101, 301),), ((301, 1101),)))
    if random.random() < 0.5:  # while a warning holds, mostly at whatever hour
        wanted = Warned(
            random.choice(((), ("rainstorm",), ("gale", "flood"))), random.randint(1, 4)
        )
        if random.random() < 0.8:
            return Schedule(name, "UTC0", (0, WEEK_MINUTES), (), wanted)
        return Schedule(name, zone, edges if edges == tuple(sorted(edges)) else (), (), wanted)
    return Schedule(name, zone, edges if edges == tuple(sorted(edges)) else edges[:0], seasons)


def seasonal_rules(random: Random, name: str, kind: str) -> list[ChannelRule]:
    """Periods of seconds; days that begin, and clocks that change, while the journal runs."""
    rules = channel_rules(random, name, kind)
    options = {"zone": random.choice(ZONES), "holidays": random.choice((0, 1))}
    calendar = random.choice(((), (TODAY,), (TODAY + 1, TODAY + 5), (TODAY - 9, TODAY, TODAY + 1)))
    if options["holidays"]:  # a day of their slots would be long
        for rule in rules:
            rule.own["slot_ns"][:] = random.choice((40, 60)) * SECOND_NS
    return [replace(rule, options=options, calendar=calendar) for rule in rules]


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


def joint_rules(random: Random, name: str, kind: str) -> list[ChannelRule]:
    """Conditions on some channels, told of or not, and what joins them on one or two assets."""
    inputs, options = [], {"inputs": [], "of": [], "at_least": []}
    in_turn = kind == "sequence"  # of few steps seldom more than one is done
    count = random.choice((2, 2, 3) if in_turn else (1, 2, 2, 3, 3))
    for letter in "pqr"[:count]:
        told = random.random() < 0.3
        of = f"{name}-{letter}" if told else f"{name}/{letter}"
        inputs += channel_rules(random, of, "threshold" if told else "stat")
        for option, word in (("inputs", letter), ("of", of), ("at_least", random.choice("1123"))):
            options[option].append(word)
    subjects = sorted(random.sample(range(len(SUBJECTS)), random.randint(1, 2)))
    common: dict[str, Any] = {
        "kind": kind,
        "klass": random.choice(("safety", "info")),
        "options": {key: " ".join(words) for key, words in options.items()},
        "own": {"members": np.full((1, count * MEMBERS), -1), "within_ns": 0},
        "channels": [len(EVERYONE) + subject for subject in subjects],
    }
    rule = one_side(random, name, 1, common)
    for i in range(len(rule.channel)):
        for k in range(count):
            members = sorted(random.sample(range(len(DEVICES)), random.randint(1, 4)))
            rule.own["members"][i, k * MEMBERS : k * MEMBERS + len(members)] = members
        need = random.choice((1, 1, 1 if in_turn else count, max(1, count - 1)))
        rule.raise_at[i] = [math.nan, math.nan, need, need + 1 if need < count else math.nan]
        rule.hold_ns[i] = random.choice((0, 0, 0, 3, 10)) * SECOND_NS
        rule.keep_ns[i] = random.choice((0, 0, 5)) * SECOND_NS
    rule.clear_at[:] = rule.raise_at
    return [*inputs, rule]


def deadman_rules(random: Random, name: str, kind: str) -> list[DeadmanRule]:
    """One rule of silence on some devices, the one that never speaks among them at times."""
    missing = sorted(random.choice((8, 20, 45, 90, math.inf)) for _ in LEVELS)
    watched = sorted(random.sample(range(max(DEVICES) + 2), random.randint(1, 4)))
    return [deadman_of(name, watched, missing)]


RULES = dict.fromkeys(KINDS, channel_rules) | {
    "seasonal": seasonal_rules,
    "expr": expression_rules,
    "vote": vote_rules,
    **dict.fromkeys(("all", "any", "sequence"), joint_rules),
    "deadman": deadman_rules,
}


def holds(random: Random, ids: Sequence[str]) -> dict[str, Any]:
    """Some rules explain others, and some subjects are worked on; mostly neither."""
    if random.random() < 0.5:
        return {}
    channels = [f"a-gas-mh-1/s{(i * 7) % 10}/{i}" for i in range(len(DEVICES))]
    subjects = [*channels, "dev-00", "dev-71", "a-gas-mh-1", *SUBJECTS]
    inhibits = [
        Inhibit(
            inhibit_id=f"i{(number * 7) % 10}",
            cause=random.choice(ids),
            at_least=random.choice((1, 1, 2, 3)),
            mute=tuple(random.sample(ids, random.randint(1, min(2, len(ids))))),
            same=random.choice(((), ("device",), ("asset",), ("asset", "device"), ("zone",))),
        )
        for number in range(random.choice((0, 1, 3)))
    ]
    windows = []
    for number in range(random.choice((0, 1, 2))):
        begin = T0_NS + random.choice((-50, 0, 20, 60, 100)) * SECOND_NS
        windows.append(
            Maintenance(
                window_id=f"MW-{(number * 7) % 10}",
                from_ns=begin,
                to_ns=begin + random.choice((1, 30, 90, 400)) * SECOND_NS,
                subjects=frozenset(random.sample(subjects, random.randint(1, 5))),
                by="li",
                crew=random.choice(((), ("crew-1",))),
            )
        )
    lives = {rule: Life(ack="comment", join_ns=7) for rule in ids[::2]}
    return {"inhibits": tuple(inhibits), "maintenance": tuple(windows), "lives": lives}


def plan(random: Random, kinds: Sequence[str]) -> Plan:
    """A few rules of these kinds; ids are not in the order they are declared in."""
    rules: list[Any] = []
    for i in range(random.randint(2, 6)):
        kind = random.choice(kinds)
        rules += RULES[kind](random, f"rule-{(i * 7 + 3) % 10}", kind)
    rules.append(feature_rule(random, "features"))
    return plan_of(
        *rules,
        **holds(random, sorted({r.rule_id for r in rules if "/" not in r.rule_id})),
        subjects=SUBJECTS,
        probes=random.choice(((), (0,), (1, 3))),
        blind_after_ns=random.choice((12, 30)) * SECOND_NS,
        blind_grace_ns=random.choice((0, 10)) * SECOND_NS,
        confirm_hold_ns=random.choice((5, 30)) * SECOND_NS,
        quality_rules=quality_rules(random, len(DEVICES)),
    )
