"""A variant played: the city's readings straight into an engine, without a wire between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.backtest.episodes import Episodes
from lifeline.scenarios.announced import Told
from lifeline.scenarios.draw import drawn
from lifeline.scenarios.judge import Verdict, judged
from rules.engine import Engine
from rules.language import compile_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lifeline.scenarios.draw import Variant
    from lifeline.scenarios.files import Scenario
    from rules.language import RuleSet
    from rules.plan import Plan
    from rules.registry import Registry

STEP_NS: Final = 3_600_000_000_000  # city time of a batch


class Bench:
    """Rules under test; plans are compiled once a city."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self._plans: dict[str, Plan] = {}

    def plan(self, registry: Registry) -> Plan:
        """Return the plan of the rules on a city."""
        held = self._plans.get(registry.content_hash)
        if held is None:
            held = self._plans[registry.content_hash] = compile_plan(self.rules, registry)[0]
        return held

    def play(self, variant: Variant) -> Verdict:
        """Play a variant and judge it."""
        plan = self.plan(variant.registry)
        engine = Engine(plan, variant.registry)
        episodes, told = Episodes(variant.begin_ns), Told()
        for batch in variant.records(step_ns=STEP_NS):
            events = engine.fold(batch)
            episodes.take(events)
            told.take(events)
        return judged(variant, plan, episodes.held, told)

    def play_all(self, scenarios: Sequence[Scenario], seeds: Sequence[int]) -> Iterator[Verdict]:
        """Play every scenario with every seed; all are drawn before the first is played."""
        for scenario in scenarios:
            drawn(scenario, seeds[0])  # a wrong place is told at once, not after an hour
        for scenario in scenarios:
            for seed in seeds:
                yield self.play(drawn(scenario, seed))
