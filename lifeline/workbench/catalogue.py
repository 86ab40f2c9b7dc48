"""``lifeline rules list``: every rule with its maturity, source, runbook and known false alarms."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.language import RuleSet

HEAD = """# {title}

Made by `lifeline rules list {folder} --markdown`: {count}. What `stable` and `trial` mean stands in
[rules.md](rules.md), the limits in the files. None is approved for your site.
"""
COLUMNS = ("rule", "kind", "class", "status", "limits", "runbook", "alarms without danger by")


def rows_of(rules: RuleSet) -> list[dict[str, Any]]:
    """Return plain values of every rule, in the order of file and line."""
    found = []
    for rule in rules.rules:
        body: Any = rule.body
        found.append(
            {
                "file": rule.document.name,
                "rule": rule.id,
                "kind": body.kind,
                "class": body.klass,
                "status": body.status,
                "source": body.source,
                "source_text": body.source_text,
                "approved_by": body.approved_by,
                "runbook": body.runbook,
                "labels": dict(body.labels),
                "known_false_positives": list(body.known_false_positives),
            }
        )
    return found


def maturity(statuses: Iterable[str]) -> str:
    """Return how many rules are stable and how many on trial, in words."""
    counts = Counter(statuses)
    whole = sum(counts.values())
    return f"{whole} rules, {counts['stable']} stable, {counts['trial']} on trial"


def markdown(rules: RuleSet, *, title: str, folder: str) -> str:
    """Return the catalogue as a page: a table a file; of two languages the first is told."""
    rows = rows_of(rules)
    parts = [HEAD.format(title=title, folder=folder, count=maturity(row["status"] for row in rows))]
    for file in dict.fromkeys(row["file"] for row in rows):
        parts.append(f"\n## {file}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n")
        parts += [_line(row) for row in rows if row["file"] == file]
    return "".join(parts)


def _line(row: dict[str, Any]) -> str:
    known = "; ".join(text.partition(" · ")[0] for text in row["known_false_positives"])
    limits = f"{row['source']}: {row['source_text']}" if row["source_text"] else row["source"]
    cells = (row["rule"], row["kind"], row["class"], row["status"], limits, row["runbook"], known)
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |\n"
