"""Section ``escalations``: who is called, in what order, until somebody acknowledges."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from rules.plan import CallStep
from rules.problems import Problem, nearest
from rules.strict_models import DurationNs, Strict, validated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.language.ruleset import Rule
    from rules.plan import Level
    from rules.yaml_text import Document

_TARGET: Final = re.compile(r"[a-z][a-z0-9-]{0,31}(:[A-Za-z0-9._@+-]{1,64})?")


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise ValueError(
            f"{text[:64]!r} is no target: write console, or a way and a name, sms:duty"
        )
    return text


class StepEntry(Strict):
    """One step of a chain of calls."""

    after: DurationNs
    to: Annotated[list[Annotated[str, AfterValidator(_target)]], Field(min_length=1)]
    levels: Annotated[list[str], Field(min_length=1)] | None = None
    unless: Literal["acked"] | None = None


Chain = tuple[StepEntry, ...]


def read_escalations(document: Document, sections: Mapping[str, Any]) -> dict[str, Chain]:
    """Return the chains of a file by name; what is wrong is noted."""
    found: dict[str, Chain] = {}
    for name, items in sections.items():
        path = ("escalations", name)
        if not isinstance(items, list) or not items:
            said = f"escalations: {name} must be a list of steps: [{{after: 0s, to: [console]}}]"
            document.problem(path, said)
            continue
        steps = [validated(StepEntry, item, document, (*path, i)) for i, item in enumerate(items)]
        sound = [step for step in steps if step is not None]
        if len(sound) < len(steps):
            continue
        for i, (one, two) in enumerate(pairwise(sound), start=1):
            if two.after < one.after:
                said = f"escalations: {name}: steps stand in order of time: this one comes before"
                document.problem((*path, i, "after"), said)
        found[name] = tuple(sound)
    return found


def escalation_problems(
    rules: Sequence[Rule], chains: Mapping[str, Mapping[str, Chain]], levels: Sequence[Level]
) -> list[Problem]:
    """Return what is wrong between rules and the chains of their files, and their levels."""
    problems = []
    known = [level.name for level in levels]
    for rule in rules:
        name, own = rule.body.escalation, chains.get(rule.document.name, {})
        if name and name not in own:
            said = f"escalation: no chain {name!r}{nearest(name, own)}: write it in escalations of"
            problems.append(rule.problem(("escalation",), f"{said} this file"))
        for step in own.get(name, ()) if name else ():
            for word in step.levels or ():
                if word not in known:
                    said = f"escalation: {name}: unknown level {word!r}{nearest(word, known)}"
                    problems.append(rule.problem(("escalation",), said))
    return problems


def compile_escalations(
    rules: Sequence[Rule], chains: Mapping[str, Mapping[str, Chain]], levels: Sequence[Level]
) -> dict[str, tuple[CallStep, ...]]:
    """Return the chain of each rule that has one, by rule."""
    severity = {level.name: level.severity for level in levels}
    found = {}
    for rule in rules:
        steps = chains.get(rule.document.name, {}).get(rule.body.escalation or "", ())
        if steps:
            found[rule.id] = tuple(
                CallStep(
                    after_ns=step.after,
                    to=tuple(step.to),
                    severities=tuple(severity[word] for word in step.levels or severity),
                    unless_acked=step.unless is not None,
                )
                for step in steps
            )
    return found
