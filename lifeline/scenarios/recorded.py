"""A recording scored: the back-test's figures against the incidents it tells of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lifeline.backtest.report import table
from lifeline.backtest.sources import opened
from lifeline.backtest.versions import rules_of
from lifeline.backtest.whole import Ask, back_test
from lifeline.errors import Missing

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table


def score_recording(
    path: Path, rules: Path | None, truth: Path | None, *, operators: int
) -> tuple[dict[str, Any], Table]:
    """Return the figures as plain data and as a table.

    Raises
    ------
    Missing
        Nobody told what happened in it.
    rules.problems.Invalid
        It is no recording, or the rules or the truth are wrong.
    """
    with opened(data=None, recording=path, csv=(), registry=None) as source:
        if truth is None and not source.truth:
            raise Missing(f"{path}: tells of no incidents; name some by --truth FILE.csv")
        chosen = rules_of(rules or source.rules, today=datetime.now(UTC).date().isoformat())
        report = back_test(source, Ask(rules=chosen, truth=truth, operators=operators))
    channel_days = len(report.version.registry.channels.id) * report.days
    total = report.total
    false = total.episodes - (total.right or 0)
    found = {
        "source": report.source,
        "days": report.days,
        "incidents": total.incidents,
        "found": total.found,
        "recall": total.to_json()["recall"],
        "precision": total.to_json()["precision"],
        "lead_p50_s": total.lead_s,
        "false": false,
        "false_per_1000_channel_days": 1000 * false / channel_days if channel_days else 0.0,
        "announced_per_operator_day": total.per_op_day,
        "rules": [line.to_json() for line in report.figures],
    }
    return found, table(report)
