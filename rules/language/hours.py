"""``when``: other limits, holds and bands while a schedule holds; from text to parameters.

Precedence: template < rule < schedule < override. Of several schedules that hold at once the one
named last in ``when`` wins, key by key. A schedule moves limits; it neither adds nor takes levels.
One of official warnings makes a rule stricter and in nothing calmer: where it is not known whether
a warning covers a place, it does (``rules/standing.py``), and that must be the louder side.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.durations import format_duration
from rules.language.kinds import KINDS
from rules.language.ruleset import applied
from rules.language.shadow import as_shadow
from rules.plan import NEVER_NS, ByHours
from rules.problems import nearest
from rules.strict_models import validated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.language.models import Body
    from rules.language.ruleset import Rule
    from rules.plan import ChannelRule, Level
    from rules.problems import Problem
    from rules.schedule import Schedule
    from rules.strict_models import Path

ORANGE: Final = 3
_TIMES: Final = ("for", "keep_firing_for", "hysteresis", "clear")
_MOVED: Final = ("raise_at", "clear_at", "hold_ns", "hold_samples", "keep_ns")


def read_hours(rule: Rule, schedules: Mapping[str, Schedule]) -> Rule:
    """Return a rule with the schedules of its ``when``, or as it was, noting what is wrong."""
    when: Mapping[str, dict[str, Any]] = getattr(rule.body, "when", None) or {}
    if not when:
        return rule
    kind = KINDS[rule.body.kind]
    if kind.compile is not None:
        _note(rule, ("when",), f"kind {kind.name} has no limits of its own: when cannot move them")
        return rule
    allowed = [*kind.levels_of(rule.body), *(k for k in _TIMES if k in _keys(rule))]
    found, bodies = [], []
    for name, settings in when.items():
        if name not in schedules:
            said = f"when: no schedule {name!r}{nearest(name, schedules)}: declare it in schedules"
            _note(rule, ("when", name), said)
            continue
        wrong = [key for key in settings if key.partition(".")[0] not in allowed]
        for key in wrong:
            said = f'when {name}: "{key}" cannot be set{nearest(key, allowed)}: only'
            _note(rule, ("when", name, key), f"{said} {', '.join(allowed)}")
        try:
            raw = applied(rule.raw, settings)
        except ValueError as error:
            _note(rule, ("when", name), f"when {name}: {error}")
            continue
        body = _body(rule, raw, rule.place(("when", name)))
        if body is not None and not wrong:
            found.append(schedules[name])
            bodies.append(body)
    whole = len(found) == len(when)
    return replace(rule, schedules=tuple(found), hourly=tuple(bodies)) if whole else rule


def _body(rule: Rule, raw: dict[str, Any], path: Path) -> Body | None:
    def place(_: Path) -> Path:
        return path

    return validated(type(rule.body), raw, rule.document, path, who=rule.id, place=place)


def _keys(rule: Rule) -> set[str]:
    fields = type(rule.body).model_fields
    return {field.alias or name for name, field in fields.items()}


def _note(rule: Rule, within: tuple[str, ...], said: str) -> None:
    rule.document.problem(rule.place(within), said, who=rule.id, key=True)


def at_hours(rule: Rule) -> Iterator[Rule]:
    """Yield the rule as it is under each combination of its schedules, in the order of their bits.

    Combination m holds schedule i where bit i of m is set; m = 0 is the rule itself, not yielded.

    Raises
    ------
    ValueError
        Each schedule alone is fine, together they are not.
    """
    when = getattr(rule.body, "when", None) or {}
    for mask in range(1, 1 << len(rule.schedules)):
        raw, origin = rule.raw, dict(rule.origin)
        for i, schedule in enumerate(rule.schedules):
            if mask >> i & 1:
                raw = applied({**raw, "overrides": []}, when[schedule.name])
                for key in when[schedule.name]:
                    place = rule.place(("when", schedule.name, key))
                    origin[key.partition(".")[0]] = place
        raw["overrides"] = rule.raw.get("overrides", [])
        body = type(rule.body).model_validate(raw)
        if rule.renames:
            body = as_shadow(body, rule.renames)
        yield replace(rule, raw=raw, body=body, origin=origin)


def with_hours(
    rule: Rule, built: ChannelRule, others: Sequence[ChannelRule], levels: Sequence[Level]
) -> tuple[ChannelRule, list[Problem]]:
    """Return one side with what holds by the hour; ``others`` in the order of at_hours."""
    problems: list[Problem] = []
    severe = np.array([level.severity >= ORANGE for level in levels])
    for mask, other in enumerate(others, start=1):
        names = [s.name for i, s in enumerate(rule.schedules) if mask >> i & 1]
        where = ("when", names[-1])
        said = f"when {' and '.join(names)}: "
        if (np.isnan(built.raise_at) != np.isnan(other.raise_at)).any():
            lacks = f"{said}a schedule moves limits, it neither adds nor takes levels"
            problems.append(rule.problem(where, lacks, key=True))
        elif built.fail_loud:
            calm = built.side * other.raise_at > built.side * built.raise_at
            if (calm & severe).any():
                loud = f"{said}fail_loud: no schedule may calm a level of orange or above"
                problems.append(rule.problem(where, loud, key=True))
        for i, schedule in enumerate(rule.schedules):
            if schedule.warned is not None and mask >> i & 1:
                without = others[(mask ^ 1 << i) - 1] if mask ^ 1 << i else built
                problems += [
                    rule.problem(("when", schedule.name), f"{said}{calmer}", key=True)
                    for calmer in _calmer(without, other, levels)
                ]
        if _differ(built, other):
            fixed = f"{said}moves more than limits, bands and holds: split the rule"
            problems.append(rule.problem(where, fixed, key=True))
    hours = tuple(ByHours(**{name: getattr(o, name) for name in _MOVED}) for o in others)
    return replace(built, schedules=rule.schedules, by_hours=hours), problems


def _calmer(without: ChannelRule, under: ChannelRule, levels: Sequence[Level]) -> Iterator[str]:
    """Yield what a warning makes calmer, of each level the first thing."""
    side = without.side
    fewer = (without.hold_samples > 0) & (
        (under.hold_samples > without.hold_samples) | (under.hold_samples == 0)
    )
    found = {
        "limit": side * under.raise_at > side * without.raise_at,
        "clear limit": side * under.clear_at > side * without.clear_at,
        "for": (under.hold_ns > without.hold_ns) | fewer,
        "keep_firing_for": under.keep_ns < without.keep_ns,
    }
    for column, level in enumerate(levels):
        for what, calmer in found.items():
            at = np.flatnonzero(calmer[:, column] & ~np.isnan(without.raise_at[:, column]))
            if len(at):
                place = (int(at[0]), column)
                new, old = (_said(each, what, place) for each in (under, without))
                said = f"{level.name}: {what} {new} is calmer than {old} without it"
                yield f"{said}: a warning makes a rule stricter only"
                break


def _said(rule: ChannelRule, what: str, place: tuple[int, int]) -> str:
    """Return a limit, or for how long, in words."""
    if what in ("limit", "clear limit"):
        column = rule.raise_at if what == "limit" else rule.clear_at
        return f"{column[place]:.6g} {rule.unit}".strip()
    if what == "keep_firing_for":
        return format_duration(int(rule.keep_ns[place]))
    hold_ns, samples = int(rule.hold_ns[place]), int(rule.hold_samples[place])
    words = [f"{samples} samples"] if samples else []
    words += [format_duration(hold_ns)] if hold_ns < NEVER_NS else []
    return " or ".join(words)


def _differ(built: ChannelRule, other: ChannelRule) -> bool:
    same = np.array_equal(built.channel, other.channel)
    same &= np.array_equal(built.max_gap_ns, other.max_gap_ns)
    same &= dict(built.options) == dict(other.options) and set(built.own) == set(other.own)
    return not same or any(
        not np.array_equal(built.own[name], other.own[name], equal_nan=True) for name in built.own
    )
