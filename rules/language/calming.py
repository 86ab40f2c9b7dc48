"""Context that calms a dangerous alarm: refused from orange upwards (design: fail loud).

Biogas, a season, works or a permit may make blue and yellow of a ``fail_loud`` rule wait or stand
higher. A value that is dangerous stays dangerous whatever explains it, so an override may only make
orange and red louder: nearer, sooner, never gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rules.language.kinds import KINDS
from rules.language.limits import unit_of
from rules.quantities import QUANTITIES, UnknownUnit, canonical, per_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.language.amounts import Amount
    from rules.language.models import Body
    from rules.language.ruleset import Rule
    from rules.plan import Level
    from rules.problems import Problem

ORANGE: Final = 3
_SIGNS: Final = {"above": 1, "below": -1}


def calming_overrides(rule: Rule, levels: Sequence[Level]) -> list[Problem]:
    """Return an error for each override that makes orange or above of a fail_loud rule calmer."""
    if not getattr(rule.body, "fail_loud", False):
        return []
    severe = [level.name for level in levels if level.severity >= ORANGE]
    remedy = "context may calm blue and yellow only"
    return [
        rule.problem(("overrides", i, "set"), f"override: fail_loud: {said}: {remedy}")
        for i, variant in enumerate(rule.variants)
        for said in _calmer(rule.body, variant, severe)
    ]


def _calmer(body: Body, variant: Body, severe: Sequence[str]) -> Iterable[str]:
    usual, other = KINDS[body.kind].levels_of(body), KINDS[body.kind].levels_of(variant)
    for key, limits in usual.items():
        for level in severe:
            if level not in limits:
                continue
            if level not in other.get(key, {}):
                yield f"{key}.{level} is left out"
            elif key in _SIGNS:
                before = _number(body, limits[level])
                after = _number(variant, other[key][level])
                if None not in (before, after) and _SIGNS[key] * (after - before) > 0:
                    yield f"{key}.{level} is farther away"


def _number(body: Any, amount: Amount) -> Any:
    """Return a limit in a unit both have, None where its unit is wrong, as is told elsewhere."""
    names = body.select.quantity or ()
    if not names:
        return amount.number if not amount.unit else None
    quantity = names[0]
    try:
        unit = unit_of(amount, body.unit, QUANTITIES[quantity].unit)
        if body.kind == "rate":
            scale, per_ns = per_time(quantity, unit)
            return amount.number * float(scale) / per_ns
        return canonical(quantity, unit, amount.number)
    except UnknownUnit:
        return None
