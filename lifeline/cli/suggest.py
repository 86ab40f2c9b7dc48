"""``lifeline rules suggest``: limits, hysteresis and durations from good history."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lifeline.cli.backtest import (
    Begin,
    Csv,
    Data,
    End,
    Recording,
    Registry,
    Truth,
    Warmup,
    source_options,
    time_ns_of,
    warmup_ns_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.backtest.propose import Basis, LevelChange
    from lifeline.backtest.tuning import Tried, Tuning

MOST_PICTURES = 3
NOTHING = 1  # exit code: nothing could be proposed


def suggest(
    rule: Annotated[str, typer.Argument(help="A rule's id; left out, all that can be tuned.")] = "",
    *,
    rules: Annotated[
        Path | None, typer.Option(help="A folder or file of rules, or a city's; the shipped ones.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Only this channel; * is any. May be given often.")
    ] = None,
    registry: Registry = None,
    data: Data = None,
    recording: Recording = None,
    csv: Csv = None,
    begin: Begin = "",
    end: End = "",
    warmup: Warmup = "",
    truth: Truth = None,
    per_year: Annotated[
        float, typer.Option(min=0.01, help="Alarms a channel and year at the lowest level.")
    ] = 4.0,
    each: Annotated[bool, typer.Option("--each", help="A proposal a channel.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write everything here as JSON.")
    ] = None,
    patch: Annotated[Path | None, typer.Option(help="Write the YAML to paste here.")] = None,
) -> None:
    """Propose limits, hysteresis and for from good history, with the alarms each would raise."""
    from ingest.store.past import Span
    from lifeline.backtest.sources import opened
    from lifeline.backtest.tuning import Wanted, tuned
    from lifeline.backtest.versions import rules_of
    from lifeline.backtest.whole import told_truth

    for path in filter(None, (json_file, patch)):
        if not path.resolve().parent.is_dir():
            raise typer.BadParameter(f"{path}: no such folder to write into")
    given = source_options(data, recording, csv)
    from_ns, to_ns = time_ns_of(begin, "--from", 0), time_ns_of(end, "--to", 2**62)
    with opened(**given, registry=registry, from_ns=from_ns) as source:
        held = rules_of(rules or source.rules, today=datetime.now(UTC).date().isoformat())
        span = Span(from_ns=max(from_ns - warmup_ns_of(warmup), 0), to_ns=to_ns)
        known = told_truth(source, truth, held.levels, span=(from_ns, to_ns))
        wanted = Wanted(
            rules=held, rule=rule, channels=tuple(channel or ()), per_year=per_year, each=each,
            span=span, from_ns=from_ns, truth=None if known is None else tuple(known),
        )  # fmt: skip
        found = tuned(source, wanted)
    screen = Console(highlight=False, soft_wrap=True)
    if not screen.is_terminal:
        screen = Console(highlight=False, soft_wrap=True, width=240)
    _tell(found, screen)
    if json_file is not None:
        text = json.dumps(found.to_json(), ensure_ascii=False, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")
    texts = "\n".join(tried.patch for tried in found.tried if tried.patch)
    if patch is not None:
        patch.write_text(texts, encoding="utf-8")
    raise typer.Exit(0 if texts else NOTHING)


def _tell(found: Tuning, screen: Console) -> None:
    for number, tried in enumerate(found.tried):
        told = tried.proposal
        names = told.channels[0] if len(told.channels) == 1 else f"{len(told.channels)} channels"
        screen.print(f"[bold]{told.rule}[/]  {told.kind} on {names}")
        screen.print(_table(tried))
        for line in _remarks(tried):
            screen.print(f"  {line}", markup=False)
        if number < MOST_PICTURES and (drawn := _picture(found, tried, screen.width)):
            screen.print(drawn, markup=False)
        if tried.patch:
            screen.print(tried.patch, markup=False)
    for rule, why in found.passed_over.items():
        screen.print(f"passed over {rule}: {why}", markup=False)


def _table(tried: Tried) -> Table:
    from lifeline.console.sentences import duration, unit_word

    unit = unit_word(tried.proposal.unit)
    table = Table(box=None, pad_edge=False)
    for name in ("  level", f"limit {unit}", f"hysteresis {unit}", "for"):
        table.add_column(name, justify="left" if name == "  level" else "right")
    table.add_column(f"alarms in {tried.days:.3g} d", justify="right")

    def hold(ns: int, level: LevelChange) -> str:
        return f"{level.hold_samples} samples" if level.hold_samples else duration(ns / 1e9, "en")

    for level in tried.proposal.levels:
        side = "above" if level.side > 0 else "below"
        table.add_row(
            f"  {level.level} {side}",
            _pair(f"{level.limit_now:.6g}", f"{level.limit:.6g}"),
            _pair(f"{level.band_now:.4g}", f"{level.band:.4g}"),
            _pair(hold(level.hold_now_ns, level), hold(level.hold_ns, level)),
            f"{tried.now[side][level.level]} → {tried.then[side][level.level]}",
        )
    return table


def _pair(now: str, then: str) -> str:
    return now if now == then else f"{now} → {then}"


def _remarks(tried: Tried) -> Iterator[str]:
    """Yield what the numbers rest on, and what stays as it is."""
    told = tried.proposal
    for basis in told.bases:
        side = "above" if basis.side > 0 else "below"
        days = basis.years * 365.25
        if not basis.samples:
            yield f"{side}: no good sample in that time"
            continue
        if basis.missing_days:
            yield (
                f"{side}: too little good data: {basis.peaks} independent peaks in {days:.3g} "
                f"days of one channel, 50 are needed: about {basis.missing_days:.3g} days more"
            )
            continue
        yield f"{side}: {_basis(basis, days)}"
    left = ", ".join(f"{count:,} {why}" for why, count in told.left_out.items() if count)
    if left:
        yield f"left out: {left} (samples)"
    for level in told.levels:
        if level.kept:
            yield f"stays: {level.level}: {level.kept}"
    if tried.loses:
        yield "NOT TO BE TAKEN AS IT IS: an incident that today's rule finds would be missed"


def _basis(basis: Basis, days: float) -> str:
    how = "peaks counted" if basis.counted else f"tail fitted, shape {basis.shape:+.2f}"
    said = f"{basis.samples:,} good samples ({days:.3g} days of one channel), {basis.peaks} peaks, "
    said += f"{how}; noise {basis.noise:.3g}"
    if basis.beyond > 1:
        said += f"; the rarest level is {basis.beyond:.3g} times rarer than once in this history"
    return said


def _picture(found: Tuning, tried: Tried, width: int) -> str:
    """Draw the scores of the channel that went highest, with today's and the proposed limits."""
    import numpy as np

    from lifeline.explain.chart import chart

    told, best = tried.proposal, None
    for name in told.channels:
        t_ns, x = found.good.scores.get((told.rule, found.registry.channel_row[name]), (None, None))
        if t_ns is None or x is None or not len(x):
            continue
        reach = max(level.side * float((level.side * x).max()) for level in told.levels)
        if best is None or reach > best[0]:
            best = (reach, name, t_ns, x)
    if best is None:
        return ""
    _, name, t_ns, x = best
    thin = slice(None, None, max(1, len(x) // 2_000))
    minutes = (t_ns[thin] - t_ns[-1]) / 60e9
    limits = {f"{level.level} now": level.limit_now for level in told.levels if level.changed}
    limits |= {f"{level.level}": level.limit for level in told.levels}
    drawn = chart(
        minutes.tolist(), np.asarray(x[thin]).tolist(), limits=limits, marks={},
        width=min(max(width, 60), 110),
    )  # fmt: skip
    return f"{name}, good samples\n{drawn}"
