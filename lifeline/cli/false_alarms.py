"""Expected false alarms, as ``lifeline rules check`` tells them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.backtest.sources import Given
    from rules.problems import Problem
    from rules.registry import Registry


@dataclass(frozen=True, slots=True)
class Told:
    """A line a rule where there is a history, warnings, and how many rules are over the budget."""

    lines: tuple[str, ...]
    warnings: tuple[Problem, ...]
    over: int


def false_alarms(
    rules_folder: Path,
    registry: Registry | None,
    registry_at: Path | None,
    history: Path | None,
    *,
    budget: float | None,
) -> Told:
    """Return what statistical rules are expected to raise on the registry's or history's channels.

    ``budget`` is what was asked for; without one BUDGET is warned of and nothing ends the command.
    """
    from ingest.store.past import Span
    from lifeline.backtest.false_alarms import BUDGET, expected_alarms, warnings
    from lifeline.backtest.sources import opened
    from lifeline.backtest.versions import rules_of

    rules = rules_of(rules_folder, today=datetime.now(UTC).date().isoformat())
    if history is None:
        found = expected_alarms(rules, registry) if registry is not None else []
    else:
        # a data folder and a recording bring the registry their rows were written with
        own = history.is_dir() or history.suffix == ".zip"
        with opened(**_given(history), registry=None if own else registry_at) as source:
            found = expected_alarms(rules, source.latest, source, Span())
    told = tuple(warnings(rules, found, BUDGET if budget is None else budget))
    lines = tuple(f"{each.rule}: {each.text()}" for each in found) if history is not None else ()
    return Told(lines, told, 0 if budget is None else len(told))


def _given(history: Path) -> Given:
    """Return a history as a back-test names it, by what it is."""
    if history.suffix == ".zip" or (history / "meta.json").exists():
        return {"data": None, "recording": history, "csv": ()}
    if history.is_dir():
        return {"data": history, "recording": None, "csv": ()}
    return {"data": None, "recording": None, "csv": (history,)}
