"""Beside a trend: the range its rules call usual, and when they foretell a limit is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.console.times import ms
from lifeline.console.view import finite

if TYPE_CHECKING:
    from lifeline.console.desk import Desk
    from lifeline.outlook import Foretold, Usual
    from lifeline.site import Site
    from rules.plan import ChannelRule

MOST_POINTS: Final = 400
S: Final = 1_000_000_000
SIDES: Final = (1, -1)


def expected(desk: Desk, row: int, from_ns: int, to_ns: int) -> dict[str, Any]:
    """Return ``usual`` and ``forecasts`` of a channel, of rules that are in force and not on trial.

    ``usual``: columns t, middle, low, high: what is usual, and from where on the rule's lowest
    level is reached; None on a side it does not watch. ``forecasts``: from ``at_ms`` and ``value``
    a limit is reached at ``p10_ms``, ``p50_ms``, ``p90_ms``; None = never.
    """
    site = desk.keeper.site
    if site is None:
        return {"usual": [], "forecasts": []}
    channel = site.registry.channels.id[row]
    bands = [_band(each, site, channel) for each in desk.outlook.usual(channel, from_ns, to_ns)]
    now_ns = min(to_ns, desk.clock.now_ns())
    foretold = [_told(each, site, channel, now_ns) for each in desk.outlook.forecasts(channel)]
    return {
        "usual": [each for each in bands if each is not None],
        "forecasts": [each for each in foretold if each is not None],
    }


def _of(site: Site, rule_id: str, channel: str, kind: str) -> list[tuple[ChannelRule, int]]:
    """Return the sides of a rule that watches a channel, each with its place in it."""
    row = site.registry.channel_row[channel]
    found = []
    for side in SIDES:
        rule = site.rule(rule_id, side, channel)
        if rule is not None and rule.kind == kind and not rule.shadow and row in rule.channel:
            found.append((rule, int(np.flatnonzero(rule.channel == row)[0])))
    return found


def _band(usual: Usual, site: Site, channel: str) -> dict[str, Any] | None:
    sides = _of(site, usual.rule, channel, usual.kind)
    if not sides:
        return None
    n = len(usual.judged_ns)
    at = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(np.int64))
    middle, spread = usual.middle[at], usual.spread[at]
    bounds: dict[int, list[Any]] = {}
    for rule, place in sides:
        scores = rule.raise_at[place]
        nearest = np.nanmin(scores * rule.side) * rule.side  # of its levels the lowest
        bounds[rule.side] = [finite(v) for v in (middle + nearest * spread).tolist()]
    return {
        "rule": usual.rule,
        "kind": usual.kind,
        "t": (usual.judged_ns[at] // 1_000_000).tolist(),
        "middle": [finite(v) for v in middle.tolist()],
        "low": bounds.get(-1),
        "high": bounds.get(1),
    }


def _told(told: Foretold, site: Site, channel: str, now_ns: int) -> dict[str, Any] | None:
    """Return a forecast, None where it is too old to say anything, or the limit is reached."""
    sides = _of(site, told.rule, channel, "forecast")
    if not sides or told.p50_s <= 0:
        return None
    rule, place = sides[0]
    window_ns = int(rule.own["window_ns"][place])
    if not 0 <= now_ns - told.judged_ns <= window_ns:
        return None
    limit = float(rule.own["limit"][place])
    reached = [
        level.severity
        for level, at in zip(site.plan.levels, rule.raise_at[place].tolist(), strict=True)
        if told.early_s <= at
    ]

    def when(eta_s: float) -> int | None:
        return ms(told.judged_ns + int(eta_s * S)) if np.isfinite(eta_s) else None

    return {
        "rule": told.rule,
        "at_ms": ms(told.judged_ns),
        "value": finite(told.value),
        "limit": finite(limit),
        "limit_severity": _severity(site, channel, limit, told.judged_ns),
        "severity": max(reached, default=0),
        "window_s": window_ns / S,
        "p10_ms": when(told.p10_s),
        "p50_ms": when(told.p50_s),
        "p90_ms": when(told.p90_s),
        "source": rule.source,
        "approved": bool(rule.approved_by),
    }


def _severity(site: Site, channel: str, limit: float, at_ns: int) -> int:
    """Return the level that is raised at a limit on the channel, 0 where none is."""
    row = site.registry.channel_row[channel]
    held = [x for x in site.limits(row, at_ns) if x.kind == "threshold" and x.raise_at == limit]
    return max((x.severity for x in held), default=0)
