"""Whether alarms of one cause become one incident: played, grouped, held against the ground truth.

Of the alarms that ground truth explains, those of one cause should be in one incident, and no
incident should hold those of two. Alarms that only a city's usual small faults explain have no one
cause, and alarms nothing explains are nobody's: neither counts.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from lifeline.backtest.episodes import Episodes
from lifeline.scenarios.draw import drawn
from lifeline.scenarios.files import Scenario, scenarios_of
from lifeline.scenarios.judge import explained
from lifeline.scenarios.run import STEP_NS, Bench
from rules.alarm_fold import AlarmFold
from rules.engine import Engine
from rules.incidents.fold import changes
from rules.incidents.grouping import Grouping
from rules.incidents.places import Places

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifeline.scenarios.judge import Alarm

STRAY: Final = frozenset({"sprinkled", "ageing"})
"""Kinds of faults that are many small ones, here and there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """One run: how many causes had alarms, which fell apart, which were merged."""

    scenario: str
    seed: int
    causes: int
    incidents: int
    alarms: int
    apart: tuple[str, ...]  # causes whose alarms are in more than one incident
    merged: tuple[tuple[str, ...], ...]  # causes that one incident holds

    @property
    def first_right(self) -> bool:
        """Tell whether each cause is one incident and none is two."""
        return not self.apart and not self.merged


def together() -> list[Scenario]:
    """Return the scenarios of two causes at once."""
    folder = resources.files("lifeline") / "scenarios" / "together"
    file = folder / "together.yaml"
    return scenarios_of(file.name, file.read_text(encoding="utf-8"))


def grouped(bench: Bench, scenario: Scenario, seed: int) -> Grouped:
    """Play one variant and group its alarms, as the ledger does."""
    variant = drawn(scenario, seed)
    plan = bench.plan(variant.registry)
    engine, episodes = Engine(plan, variant.registry), Episodes(variant.begin_ns)
    fold, grouping = AlarmFold(), Grouping(Places(registry=variant.registry))
    of_alarm: dict[tuple[str, int], str] = {}  # (key, raised) → incident
    seq = 0
    for batch in variant.records(step_ns=STEP_NS):
        events = engine.fold(batch)
        episodes.take(events)
        for event in events:
            seq += 1
            for each in changes(grouping, event, fold.apply(event, seq).changed):
                if each.opened or each.joined:
                    of_alarm[event.alarm_key, event.receive_ns] = each.group.incident_id
    return _judged(scenario.name, seed, explained(variant, plan, episodes.held), of_alarm, {
        fault.id for fault in variant.faults if fault.kind in STRAY
    })  # fmt: skip


def _judged(
    name: str, seed: int, alarms: Sequence[Alarm], of_alarm: dict[tuple[str, int], str],
    stray: set[str],
) -> Grouped:  # fmt: skip
    of_cause: dict[str, set[str]] = defaultdict(set)
    of_incident: dict[str, set[str]] = defaultdict(set)
    counted = 0
    for alarm in alarms:
        cause = alarm.by_incident or alarm.by_fault
        if not cause or cause in stray:
            continue
        incident = of_alarm[alarm.episode.alarm_key, alarm.episode.raised_ns]
        of_cause[cause].add(incident)
        of_incident[incident].add(cause)
        counted += 1
    return Grouped(
        scenario=name,
        seed=seed,
        causes=len(of_cause),
        incidents=len(of_incident),
        alarms=counted,
        apart=tuple(sorted(cause for cause, held in of_cause.items() if len(held) > 1)),
        merged=tuple(sorted(tuple(sorted(c)) for c in of_incident.values() if len(c) > 1)),
    )


def section(runs: Iterable[Grouped], command: str) -> str:
    """Return the figures as Markdown."""
    held = list(runs)
    causes = sum(run.causes for run in held)
    apart = sum(len(run.apart) for run in held)
    figures = [
        ("runs", f"{len(held)}"),
        ("alarms with a cause", f"{sum(run.alarms for run in held)}"),
        ("causes that raised alarms", f"{causes}"),
        ("of these with two causes or more in the run",
         f"{sum(run.causes for run in held if run.causes > 1)}"),
        ("causes that are one incident", f"{1 - apart / causes:.1%}" if causes else "–"),
        ("incidents that hold two causes", f"{sum(len(run.merged) for run in held)}"),
    ]  # fmt: skip
    lines = [f"`{command}`", "", "| figure | value |", "|---|--:|"]
    lines += [f"| {name} | {value} |" for name, value in figures]
    wrong = [run for run in held if not run.first_right]
    if wrong:
        lines += ["", "Not as wanted:", ""]
        lines += [
            f"- {run.scenario}, seed {run.seed}:"
            + "".join(f" {cause} fell apart;" for cause in run.apart)
            + "".join(f" {' and '.join(causes)} are one incident;" for causes in run.merged)
            for run in wrong
        ]
    return "\n".join(lines)
