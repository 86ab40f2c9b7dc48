"""``lifeline influx …``: buckets, tasks and tokens made, examined and brought up to date."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from lifeline.influx.check import Report

app = typer.Typer(help="What InfluxDB must hold for this city.", no_args_is_help=True)

Site = Annotated[Path, typer.Option("--site", help="The folder with city.toml.")]
AdminFile = Annotated[
    Path,
    typer.Option("--admin-token-file", help="A file with an all-access token; it is only read."),
]
Shorten = Annotated[
    bool, typer.Option("--shorten", help="Shorten retention too: what is older is removed.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would change, change nothing.")]


@app.command("setup")
def setup(
    admin_token_file: AdminFile,
    site: Site = Path(),
    *,
    shorten: Shorten = False,
    dry_run: DryRun = False,
) -> None:
    """Make buckets, mappings, tasks and tokens. A second run changes nothing."""
    _arrange(site, admin_token_file, migrating=False, shorten=shorten, dry_run=dry_run)


@app.command("migrate")
def migrate(
    admin_token_file: AdminFile,
    site: Site = Path(),
    *,
    shorten: Shorten = False,
    dry_run: DryRun = False,
) -> None:
    """Bring an older layout to this one. Nothing is deleted."""
    _arrange(site, admin_token_file, migrating=True, shorten=shorten, dry_run=dry_run)


@app.command("check")
def check(
    site: Site = Path(),
    *,
    admin_token_file: Annotated[
        Path | None,
        typer.Option(help="For a store's token that may only write; otherwise not needed."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the findings here too.")
    ] = None,
) -> None:
    """Examine the server with the store's token. Exit code 1: findings, 2: cannot be told."""
    from lifeline.errors import Missing
    from lifeline.influx.check import check as examine
    from lifeline.influx.tokens import read_token
    from lifeline.settings.config import load_config

    config = load_config(site)
    entry = config.entry.influx
    if entry is None:
        raise Missing(f"{site}: no [influx] table: there is no server to examine")
    report = examine(
        config,
        token=config.secret(entry.token_file, entry.token_env),
        admin_token=read_token(admin_token_file) if admin_token_file else "",
    )
    _tell(report)
    if json_file is not None:
        text = json.dumps([asdict(f) for f in report.findings], ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    raise typer.Exit(report.exit_code)


@app.command("downsample")
def downsample(
    admin_token_file: AdminFile,
    begin: Annotated[str, typer.Option("--from", help="Measured from: 2026-09-01T00:00+08:00.")],
    end: Annotated[str, typer.Option("--to", help="Measured before; default now.")] = "",
    site: Site = Path(),
) -> None:
    """Make minutes and hours once more, for readings that came too late for the tasks."""
    from lifeline.backtest.truth import time_ns
    from lifeline.errors import Missing
    from lifeline.influx.downsample import downsample as make
    from lifeline.settings.config import load_config

    config = load_config(site)
    if config.entry.influx is None:
        raise Missing(f"{site}: no [influx] table: there is no server to ask")
    now = datetime.now(UTC)
    try:
        times = [datetime.fromtimestamp(time_ns(begin, "--from") / 1e9, UTC)]
        times += [datetime.fromtimestamp(time_ns(end, "--to") / 1e9, UTC) if end else now]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for made in make(
        config, config.entry.influx, admin_token_file, begin=times[0], end=times[1], now=now
    ):
        print(made)


def _tell(report: Report) -> None:
    said = Console(highlight=False, soft_wrap=True)
    colours = {"ok": "green", "note": "default", "trouble": "red"}
    for f in report.findings:
        said.print(f"{f.state:8}", style=colours[f.state], end="")
        remedy = f"; {f.remedy}" if f.remedy else ""
        said.print(f"{f.what}: {f.found}{remedy}", markup=False)


def _arrange(
    site: Path, admin_token_file: Path, *, migrating: bool, shorten: bool, dry_run: bool
) -> None:
    from lifeline.errors import Missing
    from lifeline.influx.run import arrange
    from lifeline.settings.config import load_config

    config = load_config(site, to_be_made=frozenset({("influx", "token_file")}))
    if config.entry.influx is None:
        raise Missing(f"{site}: no [influx] table: write url, org, bucket and token_file there")
    troubled = changed = 0
    said = Console(highlight=False, soft_wrap=True)
    for step in arrange(
        config,
        config.entry.influx,
        admin_token_file,
        migrating=migrating,
        shorten=shorten,
        dry_run=dry_run,
    ):
        said.print(str(step), markup=False)
        troubled += bool(step.remedy) and not step.changed
        changed += step.changed
    if not changed and not troubled:
        said.print("nothing to change")
    raise typer.Exit(1 if troubled else 0)
