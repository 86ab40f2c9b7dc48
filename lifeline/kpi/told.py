"""The figures as JSON: what the API answers, the page draws and the command line prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from lifeline.kpi.words import number, said, target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.kpi.calls import Source
    from lifeline.kpi.figures import Figure, Kpis

MOST_BINS: Final = 1_008
MOST_NAMED: Final = 100


def kpis_json(found: Kpis, *, simulation: bool) -> dict[str, Any]:
    """Return plain values; times are Unix ms, durations s, shares of 1."""
    calls, lives, span = found.calls, found.lives, found.span
    bins, merged = _bins(calls.bins)
    return {
        "from_ms": span.from_ns // 10**6,
        "to_ms": span.to_ns // 10**6,
        "operators": span.operators,
        "simulation": simulation,
        "figures": [_figure(each) for each in found.figures],
        "calls": {
            "total": calls.total,
            "bins": bins,
            "bin_s": 600 * merged,
            "by_severity": {str(s): n for s, n in calls.by_severity.items()},
            "floods": [
                {"from_ms": f.from_ns // 10**6, "to_ms": f.to_ns // 10**6, "calls": f.calls}
                for f in calls.floods
            ],
        },
        "sources": _sources(calls.top),
        "chattering": _sources(calls.chattering),
        "fleeting": _sources(calls.fleeting),
        "raised": lives.raised,
        "ended": lives.ended,
        "acknowledged": {str(s): asdict(t) for s, t in lives.acknowledged.items()},
        "closed": {str(s): asdict(t) for s, t in lives.closed.items()},
        "unseen": {str(s): n for s, n in lives.unseen.items()},
        "waiting": len(lives.waiting),
        "standing": len(lives.standing),
        "stale": list(lives.stale[:MOST_NAMED]),
        "verdicts": {rule: asdict(each) for rule, each in lives.rules.items()},
        "unprotected": list(found.protected.unprotected[:MOST_NAMED]) if found.protected else [],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "key": figure.key,
        "severity": figure.severity,
        "value": figure.value,
        "unit": figure.unit,
        "target": figure.target,
        "limit": figure.limit,
        "relation": figure.relation,
        "met": figure.met,
        "beyond": figure.beyond,
        "count": figure.count,
        "text": number(figure.value, figure.unit),
        "target_text": target(figure),
        "words": {language: said(figure, language) for language in ("en", "zh")},
    }


def _bins(bins: Sequence[int]) -> tuple[list[int], int]:
    """Return at most MOST_BINS, each the worst of as many as were put together, and how many."""
    merged = -(-len(bins) // MOST_BINS)
    return [max(bins[at : at + merged]) for at in range(0, len(bins), merged)], merged


def _sources(found: Sequence[Source]) -> list[dict[str, Any]]:
    return [asdict(each) for each in found[:MOST_NAMED]]
