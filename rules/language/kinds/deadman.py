"""``kind: deadman``: silence of devices, no frame for so long."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from rules.language.amounts import Spans
from rules.language.kinds.kind import Kind, spans_of
from rules.language.messages import messages_of
from rules.language.models import Body, DeviceOverride, DeviceSelect, RuleClass
from rules.plan import NEVER_NS
from rules.plan import DeadmanRule as DeadmanArrays
from rules.strict_models import DurationNs

if TYPE_CHECKING:
    from rules.language.kinds.kind import Groups, Work
    from rules.language.ruleset import Rule


class DeadmanRule(Body):
    """Silence of devices: no frame for so long."""

    kind: Literal["deadman"]
    select: DeviceSelect
    klass: RuleClass = Field("maintenance", alias="class")
    expect: Literal["registry"] = "registry"
    missing: Spans
    at_least: DurationNs = 0  # whatever the interval: shorter silences do not count
    overrides: list[DeviceOverride] = Field(default_factory=list)


def _compile(work: Work, rule: Rule, body: Any, groups: Groups) -> None:
    rows = np.concatenate([rows for _, rows in groups] or [np.zeros(0, np.intp)])
    if not len(rows):
        return
    levels = work.levels
    missing = np.full((len(rows), len(levels)), NEVER_NS, np.int64)
    first = 0
    for variant, chosen in groups:
        interval = work.registry.devices.interval_ns[chosen]
        for column, level in enumerate(levels):
            span = variant.missing.get(level.name)
            if span is not None:
                spans = spans_of(span, interval)
                missing[first : first + len(chosen), column] = np.maximum(spans, variant.at_least)
        first += len(chosen)
    order = np.argsort(rows, kind="stable")
    missing, rows = missing[order], rows[order]
    declared = [i for i, level in enumerate(levels) if level.name in body.missing]
    for low, high in pairwise(declared):
        if (missing[:, low] > missing[:, high]).any():
            said = f"missing: {levels[high].name} comes before {levels[low].name}"
            work.problems.append(rule.problem(("missing",), said, key=True))
    if declared and (missing[:, declared[0]] <= work.registry.devices.interval_ns[rows]).any():
        said = f"missing: {levels[declared[0]].name} comes within one interval of some devices"
        work.problems.append(rule.problem(("missing",), said, "warning", key=True))
    work.deadman_rules.append(
        DeadmanArrays(
            rule_id=rule.id,
            device=rows.astype(np.int32),
            missing_ns=missing,
            klass=body.klass,
            file=rule.file,
            **messages_of(body, DEADMAN.message),
        )
    )


DEADMAN = Kind(
    name="deadman",
    model=DeadmanRule,
    message=(
        "{{ asset.name }}: {{ device }} silent for {{ silence }}",
        "{{ asset.name_zh }}：设备 {{ device }} 失联 {{ silence }}",
    ),
    levels_of=lambda body: {"missing": dict(body.missing)},
    settable=("missing", "at_least"),
    devices=True,
    compile=_compile,
)
