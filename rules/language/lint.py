"""What a rule's text alone shows to be wrong, whatever the registry holds.

Errors here stop the rules from loading. What depends on the registry is found by the compiler and
is a warning there, so that one new sensor never stops the other alarms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rules.language.amounts import Hold, PerLevel
from rules.language.calming import calming_overrides
from rules.language.kinds import KINDS
from rules.language.labels import used_labels
from rules.language.models import ChannelBody
from rules.problems import Problem, near_or_known, nearest
from rules.readings import QC_MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.models import Body
    from rules.language.ruleset import Rule
    from rules.plan import Level
    from rules.strict_models import Path

RED_HOLD_NS: Final = 30_000_000_000
RED_SAMPLES: Final = 2
ORANGE: Final = 3
RED: Final = 4


def text_problems(rule: Rule, levels: Sequence[Level]) -> list[Problem]:
    """Return the problems of a rule and of each of its overrides."""
    problems = [rule.problem(where, said, key=True) for where, said in _of(rule.body, levels)]
    known = {said for _, said in _of(rule.body, levels)}
    places: list[tuple[Path, str, Body]] = [
        (("overrides", i, "set"), "override", variant) for i, variant in enumerate(rule.variants)
    ]
    hours = zip(rule.schedules, rule.hourly, strict=False)
    places += [(("when", s.name), f"when {s.name}", variant) for s, variant in hours]
    for path, what, variant in places:
        new = [said for _, said in _of(variant, levels) if said not in known]
        problems += [rule.problem(path, f"{what}: {said}") for said in new]
    problems += calming_overrides(rule, levels)
    written = rule.origin.get("accept", ("",))[0] == "rules"
    if written and isinstance(rule.body, ChannelBody) and rule.body.fail_loud:
        said = "accept is ignored: a fail_loud rule judges every usable sample"
        problems.append(rule.problem(("accept",), said, "warning", key=True))
    if not rule.body.runbook and not problems and _reaches(rule.body, levels, RED):
        said = "red alarms without a runbook: write runbook: NAME, and runbooks/NAME.md"
        problems.append(rule.problem((), said, "warning"))
    return problems


def _reaches(body: Body, levels: Sequence[Level], severity: int) -> bool:
    """Tell whether a rule has a level of that severity."""
    declared = {name for held in declared_levels(body).values() for name in held}
    return any(level.name in declared and level.severity >= severity for level in levels)


def declared_levels(body: Body) -> dict[str, dict[str, Any]]:
    """Return the level maps that say which levels the rule has, by key."""
    return KINDS[body.kind].levels_of(body)


Found = tuple["Path", str]


def _of(body: Body, levels: Sequence[Level]) -> list[Found]:
    found = list(_levels(body, levels))
    if found:
        return found
    for key, name in used_labels(body):
        if name not in body.labels:
            hint = nearest(name, body.labels) or f": write labels: {{{name}: …}}"
            found.append(((key,), f'{key}: the rule has no label "{name}"{hint}'))
    if isinstance(body, ChannelBody):
        if body.fail_loud:
            found += _fail_loud(body, levels)
        if body.accept is not None and QC_MISSING in body.accept:
            found.append((("accept",), "accept: missing samples have no value to judge"))
    check = KINDS[body.kind].check
    if check is not None:
        found += check(body, levels)
    return found


def _levels(body: Body, levels: Sequence[Level]) -> Iterable[Found]:
    known = [level.name for level in levels]
    declared = {name for held in declared_levels(body).values() for name in held}
    for key, held in declared_levels(body).items():
        for name in held:
            if name not in known:
                yield (key, name), f'{key}: unknown level "{name}"{near_or_known(name, known)}'
    if isinstance(body, ChannelBody):
        yield from _other_maps(body, declared)


def _other_maps(body: ChannelBody, declared: set[str]) -> Iterable[Found]:
    """Check the maps that say something about declared levels."""
    maps: list[tuple[str, Any, bool]] = [
        ("for", body.hold, True),
        ("keep_firing_for", body.keep_firing_for, True),
        ("hysteresis", body.hysteresis, False),
    ]
    clear = getattr(body, "clear", None)
    if clear is not None:
        maps.append(("clear", PerLevel(by_level=tuple(clear.items())), False))
    for key, held, complete in maps:
        if held is None or held.each is not None:
            continue
        names = [name for name, _ in held.by_level]
        for name in names:
            if name not in declared:
                said = (
                    f'{key}: the rule has no level "{name}"{near_or_known(name, sorted(declared))}'
                )
                yield (key, name), said
        for name in sorted(declared - set(names)) if complete else ():
            yield (key,), f'{key}: level "{name}" is missing (write 0s for none)'


def _fail_loud(body: Any, levels: Sequence[Level]) -> Iterable[Found]:
    """Check that nothing delays the first dangerous sample (design: fail loud 1 and 2)."""
    severity = {level.name: level.severity for level in levels}
    declared = {name for held in declared_levels(body).values() for name in held}
    for name in sorted(declared):
        hold = body.hold.of(name, Hold()) if body.hold is not None else Hold()
        if severity[name] == ORANGE and hold != Hold():
            said = f"fail_loud: {name} must have no hold (for: 0s): it is announced at once"
            yield ("for",), said
        short = hold.hold_ns <= RED_HOLD_NS and hold.samples <= RED_SAMPLES
        if severity[name] == RED and not short:
            yield ("for",), f"fail_loud: {name} may wait for {{samples: 2, or: 30s}} at most"
