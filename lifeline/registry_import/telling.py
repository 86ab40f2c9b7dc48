"""What an import says: problems and changes, bounded for people, whole for --json."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import Console

    from lifeline.registry_import.importing import Outcome

SHOWN: Final = 50
SHOWN_CHANGES: Final = 20


def tell_problems(outcome: Outcome, said: Console) -> None:
    """Print the first problems, and how many there are of each kind."""
    findings = outcome.findings
    for problem in findings.problems[:SHOWN]:
        said.print(str(problem), markup=False)
    if outcome.wrong > SHOWN:
        said.print(f"… and {outcome.wrong - SHOWN} more; --json FILE has them")
    counts = ", ".join(f"{n} × {kind}" for kind, n in findings.counts.most_common())
    said.print(f"{findings.table.file}: {outcome.wrong} problems ({counts}); nothing was written")
    said.print(f"{findings.table.file}：{outcome.wrong} 处错误，未写入任何内容")


def tell_changes(outcome: Outcome, said: Console, *, crs: str) -> None:
    """Print what would be added, changed field by field, retired, and what stays."""
    changes = outcome.changes
    added = Counter(noun for noun, _ in changes.added)
    for noun, name in changes.added[:SHOWN_CHANGES]:
        said.print(f"+ {noun} {name}", markup=False)
    _more(said, len(changes.added))
    for change in changes.changed[:SHOWN_CHANGES]:
        told = f"~ {change.noun} {change.id}: {change.field}: {change.before} → {change.after}"
        said.print(told, markup=False)
    _more(said, len(changes.changed))
    for noun, name in changes.retired[:SHOWN_CHANGES]:
        said.print(f"- {noun} {name}: retired, its history stays", markup=False)
    _more(said, len(changes.retired))
    new = ", ".join(f"{n} {noun}s" for noun, n in added.items()) or "nothing"
    counts = f"{len({(c.noun, c.id) for c in changes.changed})} changed, "
    counts += f"{len(changes.retired)} retired, {changes.unchanged} unchanged"
    said.print(f"added {new}; {counts}")
    if crs == "cgcs2000":
        said.print("CGCS2000 is taken as WGS 84: they agree within decimetres")
    elif crs == "gcj02":
        said.print("coordinates were converted from GCJ-02 to WGS 84")


def _more(said: Console, count: int) -> None:
    if count > SHOWN_CHANGES:
        said.print(f"  … and {count - SHOWN_CHANGES} more")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return problems and changes as plain values."""
    changes = outcome.changes
    return {
        "file": outcome.findings.table.file,
        "read": outcome.findings.table.said,
        "problems": [problem.to_json() for problem in outcome.findings.problems],
        "counts": dict(outcome.findings.counts),
        "added": [{"noun": noun, "id": name} for noun, name in changes.added],
        "changed": [
            {"noun": c.noun, "id": c.id, "field": c.field, "before": c.before, "after": c.after}
            for c in changes.changed
        ],
        "retired": [{"noun": noun, "id": name} for noun, name in changes.retired],
        "replaced": [{"sensor": s, "before": b, "after": a} for s, b, a in changes.replaced],
        "unchanged": changes.unchanged,
    }
