"""``lifeline kpis``: how the alarm system does, from the ledger."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lifeline.cli.backtest import time_ns_of
from lifeline.cli.city_api import CaFile, CityApi, Server, TokenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.kpi.gather import City

DAY_NS = 86_400 * 10**9
Where = Annotated[Path, typer.Argument(help="A city's folder or its data folder.")]
Begin = Annotated[str, typer.Option("--from", help="From: 2026-09-01T00:00+08:00; a day before.")]
End = Annotated[str, typer.Option("--to", help="Before; now.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Chinese = Annotated[bool, typer.Option("--zh", help="In Chinese 中文.")]


@contextmanager
def opened_city(folder: Path) -> Iterator[City]:
    """Open a city's ledger with what its folder says; a data folder alone has usual settings."""
    from lifeline.clock import Clock
    from lifeline.coverage import today_of
    from lifeline.duty.settings import DutySettings
    from lifeline.errors import Missing
    from lifeline.explain.alarm import site_at
    from lifeline.kpi.gather import City
    from lifeline.ledger.open import open_ledger
    from lifeline.settings.config import FILE_NAME, load_config
    from lifeline.settings.duty_entries import duty_of
    from rules.flood import FloodLimits

    config = load_config(folder) if (folder / FILE_NAME).exists() else None
    data = folder / "data" if (folder / "data").is_dir() else folder
    zone = config.entry.site.timezone if config else "Asia/Shanghai"
    flood = FloodLimits()
    if config is not None:
        alarms = config.entry.alarms
        flood = FloodLimits(begins=alarms.flood_begins, ends=alarms.flood_ends)
    ledger = open_ledger(folder)
    try:
        try:
            site = site_at(data, time.time_ns())
        except Missing as error:
            site = None
            print(f"no registry and rules to look at: {error}", file=sys.stderr)
        yield City(
            ledger=ledger,
            site=site,
            today=today_of(Clock(), zone),
            zone=zone,
            simulation=bool(site and site.registry.simulation)
            or bool(config and config.entry.site.simulation),
            duty=duty_of(config.entry) if config else DutySettings(),
            flood=flood,
        )
    finally:
        ledger.close()


def kpis(
    folder: Where = Path(),
    *,
    begin: Begin = "",
    end: End = "",
    as_json: AsJson = False,
    chinese: Chinese = False,
    server: Server = "",
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Tell how the alarm system does beside its targets: load, floods, noise, answers, verdicts."""
    from lifeline.kpi.told import kpis_json

    to_ns = time_ns_of(end, "--to", time.time_ns())
    from_ns = time_ns_of(begin, "--from", max(0, to_ns - DAY_NS))
    if from_ns >= to_ns:
        raise typer.BadParameter("lies not before --to", param_hint="--from")
    if server:
        api = CityApi(server=server, token_file=token_file, ca_file=ca_file)
        told = api.get("/api/kpis", **{"from": from_ns // 10**6, "to": to_ns // 10**6})
    else:
        with opened_city(folder) as city:
            told = kpis_json(city.figures(city.span(from_ns, to_ns)), simulation=city.simulation)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("指标", "数值", "目标", "") if chinese else ("figure", "value", "target", ""):
        table.add_column(name)
    for row in told["figures"]:
        words = row["words"]["zh" if chinese else "en"]
        table.add_row(words, row["text"], row["target_text"], _met(row, chinese=chinese))
    screen = Console()
    (screen if screen.is_terminal else Console(width=160)).print(table)


def _met(row: dict[str, Any], *, chinese: bool) -> str:
    if row["met"] is None:
        return ""
    if row["met"]:
        return "达标" if chinese else "met"
    return "未达标" if chinese else "not met"


def shift_report(
    folder: Where = Path(),
    *,
    shift: Annotated[
        str, typer.Option(help="The time it begins, 2026-11-29T08:00; the one that ended last.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it here.")] = None,
    chinese: Chinese = False,
) -> None:
    """Write the report of a shift as one page of HTML: what came, what was done, what is left."""
    from lifeline.duty.report import shift_report as made
    from lifeline.duty.report_html import report_page

    now_ns = time.time_ns()
    with opened_city(folder) as city:
        shifts = city.duty.shifts
        try:
            wanted = shifts.named(shift) if shift else shifts.before(shifts.at(now_ns))
            report = made(city, wanted, now_ns=now_ns)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--shift") from error
        text = report_page(report, city, "zh" if chinese else "en")
    if out is None:
        print(text)
    else:
        out.write_text(text, encoding="utf-8")
        print(f"{out}: shift {wanted.name}, {len(report.came)} came, {len(report.open)} left open")
