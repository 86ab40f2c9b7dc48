"""docs/datasets.md: what is raised on public data sets and why, written by its own command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from lifeline.bench.heat_station import AFTER_NS, WANTED, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.bench.datasets import Row
    from lifeline.bench.heat_station import Score
    from lifeline.bench.settlement import Told

HEAD: Final = """# Real measurements through the pipeline

Written by `lifeline bench replay-datasets FOLDER --json KEPT.json --markdown docs/datasets.md`
(`--only SET`: one after the other, KEPT.json keeps the others). FOLDER holds public data sets as
their publishers pack them, a folder each:
{names}.
None is part of this project. oddwater needs `pip install pyreadr`. Each table becomes a CSV with
a mapping ([simulation.md](simulation.md)), each line a compact frame; it is decoded, admitted,
written to a journal, and folded by the engine.

## What is raised, and why

Rules are the shipped ones and `simulators/dataset_rules/usual.yaml`: six robust sigma off the
median (`usual`), and a value that stands still (`still`), for measurements nobody has written
limits for. What was raised is looked into; a rule without a reason here is printed as a surprise.
*Channels* are those with an alarm; *first* is the first of the worst.

{raised}

What rules without any knowledge of a set find of what its publisher calls wrong ([its
spans](../simulators/dataset_labels.py)):

{spans}

No tuning went into this, and a low figure is no defect of the engine: which limit means
something, is the site's to say. The two parts below show what rules made for a place reach.
"""
SETTLEMENT: Final = """
## A bridge whose support was lowered

munich_bridge: strain of one girder, medians of each second, judged by
`simulators/dataset_rules/settlement.yaml`, which learns in the reference state. In both records a
test load stands on the girder for two minutes. The settled record's date is written with day and
month exchanged by its publisher, and played as written. *After* counts from its first line; three
minutes of it are the rule's hold.

{told}

A quarter of the shift stays below the first limit of 12 um/m and is not told; half of it is. The
strain had shifted before the settled record begins, so how fast a support sinks is not tried. The
air warmed from 1.6 to 4.1 °C between begin and end; within each record it warmed by half a
kelvin and the strain moved by less than 1 um/m, so weather is a small part of 34. No shipped rule
judges this channel: `bridge-strain` is about peaks of live load. A site that measures its dead
load's strain takes this one.
"""
HEAT: Final = """
## A heating substation with faults put into it

xai4heat, {station}: hourly lines. {tuned} older heating seasons tune the rules
(`lifeline/bench/heat_rules.py`: what belongs together is fitted, limits lie above what stood for
hours), {judged} newer ones judge them. Into each goes one fault of every kind, its time, length
and size drawn by a seed, {seeds} seeds ({faults} faults): 3 to 10 K of under- and over-supply, 3
to 8 K of return cooled by make-up, sensors that drift by 4 to 8 K, a sensor that stands still, a
meter that counts nothing (`simulators/heat_station.py`). Lines are real, faults are assumed: how
they move other channels is told there.

| | F0.5 of events | precision | recall | faults found | missed | false |
|---|--:|--:|--:|--:|--:|--:|
{scores}

Wanted: F0.5 ≥ {wanted}. Found is a fault with an alarm of class safety or maintenance between its
begin and {after:.0f} h after its end. False alarms less than a day apart count as one. Half of
all that were found were told {median:.0f} h after they began, the slowest {slowest:.0f} h; drifts
take three days to grow. The judged seasons as they are raise {unspoilt} in {judged} seasons;
nobody has labelled them, so all count as false, once for each seed. False alarms came from:
{false}.

{kinds}

Not found by these rules, and not put in: a drift of the outdoor or the primary supply's sensor
(nothing measures them twice), and any fault while the station does not heat. How long a state
must hold (five hours) was chosen on the tuning seasons. The judged ones were looked at once
before, with three hours: F0.5 0.70. What that look changed is that a sensor which stands still
counts only while the station heats.
"""


def page(rows: Sequence[Row], told: Sequence[Told], scores: Sequence[tuple[str, Score]]) -> str:
    """Return the page; parts without their data set are left out."""
    parts = [
        HEAD.format(
            names=", ".join(row.name for row in rows),
            raised=_raised(rows),
            spans=_spans(rows),
        )
    ]
    if told:
        parts.append(SETTLEMENT.format(told=_told(told)))
    if scores:
        parts.append(_heat(scores))
    return "".join(parts)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a table of Markdown, figures on the right where the last row has any."""
    plain = [[str(cell).replace("|", "/") for cell in row] for row in rows]
    right = ["--:" if cell[:1].isdigit() else "---" for cell in (plain[-1] if plain else titles)]
    lines = [titles, right, *plain]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _raised(rows: Sequence[Row]) -> str:
    held: list[list[object]] = []
    for row in rows:
        if row.left_out:
            held.append([row.name, "", "", "", "left out", "", "", row.left_out])
            continue
        counts = [row.name, row.tables, f"{row.lines:,}", f"{row.days:,.1f}"]
        if not row.raised:
            held.append([*counts, "nothing", "", "", ""])
        for number, raised in enumerate(row.raised):
            head = ["", "", "", ""] if number else counts
            rule = f"`{raised.rule}` ({raised.klass}, {raised.level})"
            why = raised.why or "not looked into"
            held.append([*head, rule, f"{raised.times}", f"{raised.channels}",
                         f"{why}; first: {raised.first}"])  # fmt: skip
    titles = ("set", "tables", "readings", "days", "raised", "times", "channels", "why")
    return table(titles, held)


def _spans(rows: Sequence[Row]) -> str:
    held = [[r.name, r.spans, r.spans_told, r.alarms, r.alarms_in_spans] for r in rows if r.spans]
    return table(("set", "spans", "with an alarm", "alarms", "in a span"), held)


def _told(told: Sequence[Told]) -> str:
    levels = ("nothing", "blue", "yellow", "orange", "red")
    words = {True: "yes", False: "**no**", None: ""}
    held = [
        [t.record, f"{t.shift_um_m:.1f}", f"{t.minutes:.0f}", levels[t.level],
         "" if np.isnan(t.after_s) else f"{t.after_s:.0f}", words[t.right]]
        for t in told
    ]  # fmt: skip
    return table(("record", "shift, um/m", "minutes", "raised", "after, s", "as wanted"), held)


def _heat(scores: Sequence[tuple[str, Score]]) -> str:
    whole = scores[0][1]
    lines = [
        f"| {name}, {s.seeds} seeds | {s.f05:.2f} | {s.precision:.2f} | {s.recall:.2f} | "
        f"{s.found.total()} | {s.missed.total()} | {s.false} |"
        for name, s in scores
    ]
    kinds = [
        [
            kind.replace("_", " "),
            *(f"{s.found[kind]} of {s.found[kind] + s.missed[kind]}" for _, s in scores),
        ]
        for kind, _, _ in table_of(whole)
    ]
    delays = sorted(whole.delay_h) or [np.nan]
    return HEAT.format(
        station=whole.station, tuned=whole.tuned_on, judged=whole.judged_on, seeds=whole.seeds,
        faults=whole.found.total() + whole.missed.total(), scores="\n".join(lines), wanted=WANTED,
        after=AFTER_NS / 3.6e12, median=delays[len(delays) // 2], slowest=delays[-1],
        unspoilt=whole.unspoilt,
        false=", ".join(f"`{rule}` {n}" for rule, n in whole.by_rule.most_common()) or "none",
        kinds=table(("found", *(name for name, _ in scores)), kinds),
    )  # fmt: skip
