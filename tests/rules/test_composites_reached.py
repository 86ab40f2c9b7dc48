"""The random journals get to where kinds across channels are interesting."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.journals import case
from tests.oracle import Oracle

LEVEL_EVENTS = ("RAISED", "ESCALATED", "LOWERED", "CLEARED")


@pytest.mark.parametrize("kind", ["neighbour", "expr", "vote", "all", "any", "sequence"])
def test_the_journals_reach_every_level_event_of_the_kind(kind: str) -> None:
    told: Counter[str] = Counter()
    for seed in range(48):
        drawn = case(Random(seed), kinds=(kind,))
        ticks = {r.offset for r in drawn.records if type(r.body).__name__ == "Tick"}
        of_kind = {r.rule_id for r in drawn.plan.slot_rules if r.kind == kind}
        for event in Oracle(drawn.plan, drawn.registry).fold(drawn.records):
            told[event.type] += event.rule in of_kind
            told["by a tick"] += (event.rule in of_kind) and event.offset in ticks
            told["with evidence"] += (event.rule in of_kind) and bool(event.evidence)
    for wanted in (*LEVEL_EVENTS, "by a tick", "with evidence"):
        assert told[wanted] > 3, (wanted, told)
