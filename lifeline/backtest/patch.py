"""A proposal as YAML to paste into a rule file, and the same rules with it put in.

What is run is what is printed: the text is read back, and the rules with it are compiled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import yaml

from lifeline.backtest.propose import MIRRORED
from lifeline.errors import Failure
from rules.durations import format_duration
from rules.plan import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.backtest.propose import LevelChange, Proposal
    from rules.language import Rule, RuleSet
    from rules.plan import Plan
    from rules.registry import Registry

PLAIN: Final = ("", "1", "sigma")  # units that are not written


def patch_of(rule: Rule, proposal: Proposal, reason: str) -> str:
    """Return the YAML: keys of the rule where it concerns all of it, else an override.

    A rule whose limits come from a clause or that is fail_loud keeps its own keys: a change of some
    of its levels stands beside them as an override, with its reason.
    """
    changes = _changes(rule, proposal)
    body: Any = rule.body
    keys = proposal.whole and not body.overrides and body.source != "clause" and not body.fail_loud
    if keys:
        head = f"# {rule.file}, rule {rule.id}: these keys in place of its own\n# {reason}\n"
        said: dict[str, Any] = {"source": "estimate", **_whole(rule, changes)}
        if body.approved_by:
            said |= {"approved_by": ""}  # nobody has approved the new numbers
        return head + _yaml(said)
    head = f"# {rule.file}, rule {rule.id}: below its overrides:, as the last one\n"
    override = {
        "match": {"channel": list(proposal.channels)},
        "set": changes,
        "reason": f"source: estimate; {reason}",
    }
    return head + _yaml([override])


def with_patch(rule: Rule, text: str) -> Rule:
    """Return the rule with the text put in, as the loader would read it."""
    said = yaml.safe_load(text)
    if isinstance(said, list):
        raw = {**rule.raw, "overrides": [*rule.raw.get("overrides", []), *said]}
    else:
        raw = {**rule.raw, **said}
    try:
        body = type(rule.body).model_validate(raw)
    except ValueError as error:
        raise Failure(f"{rule.file}: the proposed change does not fit the rule: {error}") from error
    return replace(rule, raw=raw, body=body)


def meant(plan: Plan, registry: Registry, proposal: Proposal) -> bool:
    """Tell whether a plan holds what was proposed, number by number."""
    rows = [registry.channel_row[name] for name in proposal.channels]
    column = {level.name: i for i, level in enumerate(plan.levels)}
    for change in proposal.levels:
        rule = next(
            r for r in plan.channel_rules if (r.rule_id, r.side) == (proposal.rule, change.side)
        )
        at = np.flatnonzero(np.isin(rule.channel, rows))
        i = column[change.level]
        clear = change.limit - change.side * change.band
        same = (
            (rule.raise_at[at, i] == change.limit).all()
            and np.allclose(rule.clear_at[at, i], clear, rtol=1e-12, atol=1e-12)
            and (rule.hold_ns[at, i] == change.hold_ns).all()
        )
        if len(at) != len(rows) or not same:
            return False
    return True


def _changes(rule: Rule, proposal: Proposal) -> dict[str, Any]:
    """Return ``set`` of an override: changed limits one by one, bands and holds as whole maps."""
    unit = "" if proposal.unit in PLAIN else f" {proposal.unit}"
    changes: dict[str, Any] = {}
    for change in proposal.levels:
        if change.limit != change.limit_now:
            key, number = _key(proposal, change), change.limit
            if proposal.kind in MIRRORED:
                number = abs(number)
            changes[f"{key}.{change.level}"] = _amount(number, unit)
    body: Any = rule.body
    if any(c.band != c.band_now or c.limit != c.limit_now for c in proposal.levels):
        if getattr(body, "clear", None) is not None:
            clears = {c.level: c.limit - c.side * c.band for c in proposal.levels}
            changes["clear"] = {level: _amount(x, unit) for level, x in clears.items()}
        else:
            changes["hysteresis"] = {
                c.level: _amount(c.band, unit, exact=c.band == c.band_now) for c in proposal.levels
            }
    if any(c.hold_ns != c.hold_now_ns for c in proposal.levels):
        changes["for"] = {c.level: _hold(c) for c in proposal.levels}
    return changes


def _key(proposal: Proposal, change: LevelChange) -> str:
    return MIRRORED.get(proposal.kind) or ("above" if change.side > 0 else "below")


def _whole(rule: Rule, changes: dict[str, Any]) -> dict[str, Any]:
    """Return whole keys of the rule for changes that name single levels."""
    keys: dict[str, Any] = {}
    for name, value in changes.items():
        head, dot, level = name.partition(".")
        if not dot:
            keys[head] = value
            continue
        keys.setdefault(head, dict(rule.raw[head]))[level] = value
    return keys


def _amount(number: float, unit: str, *, exact: bool = False) -> str | float:
    text = repr(number) if exact else f"{number:.10g}"
    return f"{text}{unit}" if unit else float(text)


def _hold(change: LevelChange) -> Any:
    if not change.hold_samples:
        return format_duration(change.hold_ns)
    said: dict[str, Any] = {"samples": change.hold_samples}
    if change.hold_ns < NEVER_NS:
        said["or"] = format_duration(change.hold_ns)
    return said


def _yaml(said: Any) -> str:
    """Write in the manner of our rule files: maps of levels on one line."""
    text = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=10_000)
    return str(text)


def patched(rules: RuleSet, changed: Sequence[Rule]) -> RuleSet:
    """Return only the changed rules, and the quality checks before them."""
    return replace(rules, rules=tuple(changed))
