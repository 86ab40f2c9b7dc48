"""Rules on trial: ``mode: shadow`` on a rule, or a whole folder of them beside the live ones.

A shadow folder's rules get ids of their own, ``shadow:ch4-level``; among themselves they mean each
other, and otherwise the live rules. No live rule follows from one on trial.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.plan import SHADOW
from rules.problems import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rules.language.models import Body
    from rules.language.ruleset import Rule
    from rules.plan import ChannelRule, DeadmanRule, Plan
    from rules.registry import Registry
    from rules.strict_models import Path


def named_apart(rules: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules of a shadow folder, on trial, under ids that no live rule can have."""
    renames = {name: SHADOW + name for name in rules}
    return {
        renames[name]: replace(
            rule,
            body=as_shadow(rule.body, renames),
            variants=tuple(as_shadow(variant, renames) for variant in rule.variants),
            renames=renames,
        )
        for name, rule in rules.items()
    }


def as_shadow(body: Body, renames: Mapping[str, str]) -> Body:
    """Return a body on trial: its own id and the rules it names under their new ids."""
    held: Any = body
    changes: dict[str, Any] = {"id": renames.get(body.id, body.id), "mode": "shadow"}
    if hasattr(held, "of") and hasattr(held.of, "rule"):
        name = renames.get(held.of.rule, held.of.rule)
        changes["of"] = held.of.model_copy(update={"rule": name})
    if isinstance(getattr(held, "inputs", None), dict):
        changes["inputs"] = {
            key: each.model_copy(update={"rule": renames.get(each.rule, each.rule)})
            if getattr(each, "rule", None)
            else each
            for key, each in held.inputs.items()
        }
    if getattr(getattr(held, "limit", None), "rule", ""):
        name = renames.get(held.limit.rule, held.limit.rule)
        changes["limit"] = replace(held.limit, rule=name)
    return body.model_copy(update=changes)


def used(body: Body) -> Iterator[tuple[Path, str]]:
    """Yield the ids of the rules a body follows from or takes limits of, and where they stand."""
    held: Any = body
    if hasattr(held, "of") and hasattr(held.of, "rule"):
        yield ("of", "rule"), held.of.rule
    if isinstance(getattr(held, "inputs", None), dict):
        for key, each in held.inputs.items():
            if getattr(each, "rule", None):
                yield ("inputs", key, "rule"), each.rule
    if getattr(getattr(held, "limit", None), "rule", ""):
        yield ("limit", "rule"), held.limit.rule


def trial_problems(rules: Sequence[Rule]) -> list[Problem]:
    """Return what is wrong between live rules and those on trial, as far as the texts show it."""
    on_trial = {rule.id for rule in rules if rule.body.mode == "shadow"}
    live = [rule.id for rule in rules if rule.id not in on_trial]
    problems = []
    for rule in rules:
        if rule.id not in on_trial:
            for where, name in used(rule.body):
                if name in on_trial:
                    said = f"{where[0]}: {name} is on trial (mode: shadow), and a live rule may not"
                    said += " follow from it: make it live first, or this one mode: shadow too"
                    problems.append(rule.problem(where, said))
        beside = rule.body.shadow_of
        if beside and rule.id not in on_trial:
            said = "shadow_of is for rules on trial: add mode: shadow, or leave it away"
            problems.append(rule.problem(("shadow_of",), said, key=True))
        elif beside and beside not in live:
            said = f"shadow_of: no live rule {beside!r}{nearest(beside, live)}"
            problems.append(rule.problem(("shadow_of",), said))
    return problems


def marked(plan: Plan, rules: Sequence[Rule]) -> Plan:
    """Return the plan with the arrays of rules on trial marked, beside whom they are compared."""
    live = {rule.id for rule in rules if rule.body.mode == "live"}
    beside = {}
    for rule in rules:
        if rule.body.mode == "shadow":
            namesake = rule.id.removeprefix(SHADOW)
            beside[rule.id] = rule.body.shadow_of or (namesake if namesake in live else "")
    if not beside:
        return plan

    def channel(each: ChannelRule) -> ChannelRule:
        name = each.rule_id
        return replace(each, shadow=True, beside=beside[name]) if name in beside else each

    def device(each: DeadmanRule) -> DeadmanRule:
        name = each.rule_id
        return replace(each, shadow=True, beside=beside[name]) if name in beside else each

    return replace(
        plan,
        channel_rules=tuple(map(channel, plan.channel_rules)),
        composite_rules=tuple(map(channel, plan.composite_rules)),
        deadman_rules=tuple(map(device, plan.deadman_rules)),
    )


def unguarded(plan: Plan, rules: Sequence[Rule], registry: Registry) -> Iterable[Problem]:
    """Yield a warning for each fail_loud rule on trial whose channels no live rule watches."""
    guarded = np.zeros(len(registry.channels.id), np.bool_)
    for each in plan.channel_rules:
        if not each.shadow:
            guarded[each.channel] = True
    by_id = {rule.id: rule for rule in rules}
    for each in plan.channel_rules:
        if not (each.shadow and each.fail_loud):
            continue
        bare = each.channel[~guarded[each.channel]]
        if len(bare):
            said = f"mode: shadow tells nobody, and no live rule watches {len(bare)} of its"
            said += f" channels ({registry.channels.id[int(bare[0])]}): keep a live rule on them"
            yield by_id[each.rule_id].problem(("fail_loud",), said, "warning", key=True)
