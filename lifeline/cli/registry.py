"""``lifeline registry …``: a city's devices in, out, and how well they are covered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from lifeline.registry_import.importing import Outcome
    from lifeline.registry_import.table import Table

app = typer.Typer(help="The registry: spreadsheets and GIS files.", no_args_is_help=True)

Site = Annotated[Path, typer.Option(help="The folder with city.toml.")]
Data = Annotated[Path | None, typer.Option(help="The data folder (SITE/data).")]
Crs = Annotated[str, typer.Option(help="wgs84, cgcs2000 or gcj02: what coordinates are in.")]
Yes = Annotated[bool, typer.Option("--yes", help="Apply without asking.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Check and compare; write nothing.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write what was found here too.")]


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A .xlsx, .csv or .geojson file.")],
    *,
    site: Site = Path(),
    data: Data = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook; the first.")] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--map", help="HEADER=FIELD, or HEADER=ignore.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="YAML of HEADER: FIELD.")] = None,
    crs: Crs = "wgs84",
    box: Annotated[
        str | None, typer.Option(help="WEST,SOUTH,EAST,NORTH all places must lie in.")
    ] = None,
    dry_run: Dry = False,
    yes: Yes = False,
    json_file: Json = None,
) -> None:
    """Check a table of devices, show what it changes, and apply it. Exit code 2 on errors."""
    from lifeline.registry_import.headers import read_mapping
    from lifeline.registry_import.importing import Asked, read_table
    from lifeline.registry_import.places import box_of

    _known_crs(crs)
    try:
        wanted = box_of(box) if box is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    asked = Asked(mapping=read_mapping(pairs or [], mapping), crs=crs, box=wanted)
    table = read_table(file, sheet)
    _run(table, asked, (site, data), json_file, dry_run=dry_run, yes=yes)


@app.command("replace")
def replace(
    sensor: Annotated[str, typer.Argument(help="ASSET/SENSOR, whose channels go on.")],
    *,
    device: Annotated[str, typer.Option(help="The id of the device that speaks now.")],
    site: Site = Path(),
    data: Data = None,
    dry_run: Dry = False,
    yes: Yes = False,
    json_file: Json = None,
) -> None:
    """Let another device speak for a sensor; its channels keep their history and their alarms."""
    from lifeline.registry_import.importing import Asked
    from lifeline.registry_import.replacing import replacement

    table = replacement(site / "registry", sensor, device)
    _run(table, Asked(), (site, data), json_file, dry_run=dry_run, yes=yes)


def _known_crs(crs: str) -> None:
    from lifeline.registry_import.coordinates import CRS

    if crs not in CRS:
        raise typer.BadParameter(f"--crs {crs}: write {', '.join(CRS)}")


def _run(
    table: Table,
    asked: Any,
    where: tuple[Path, Path | None],
    json_file: Path | None,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    from lifeline.preflight import in_force
    from lifeline.registry_import.importing import apply_outcome, check_table
    from lifeline.registry_import.in_force import put_in_force
    from lifeline.registry_import.telling import as_json, tell_changes, tell_problems
    from lifeline.settings.config import load_config
    from rules.language import compile_plan, load_rules

    site, data = where[0], where[1] or where[0] / "data"
    said = Console(stderr=True, highlight=False, soft_wrap=True)
    config = load_config(site)
    outcome: Outcome = check_table(table, config.registry, asked, previous=in_force(data))
    if json_file is not None:
        text = json.dumps(as_json(outcome), ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    for line in table.said:
        said.print(line, markup=False)
    if outcome.wrong:
        tell_problems(outcome, said)
        raise typer.Exit(2)
    tell_changes(outcome, said, crs=asked.crs)
    if outcome.registry is not None:
        compile_plan(load_rules(config.rules), outcome.registry)
    if dry_run or (outcome.changes.any and not (yes or typer.confirm("Apply?", err=True))):
        said.print("nothing was written")
        raise typer.Exit(0 if dry_run or not outcome.changes.any else 1)
    if outcome.changes.any:
        files = apply_outcome(outcome, config.registry)
        told = ", ".join(f"{'-' if text is None else '+'}{name}" for name, text in files.items())
        said.print(f"{config.registry}: written ({told})", markup=False)
    said.print(put_in_force(config, data), markup=False)


@app.command("export")
def export_file(
    file: Annotated[Path, typer.Argument(help="A .xlsx, .csv or .geojson file to write.")],
    *,
    site: Site = Path(),
    crs: Crs = "wgs84",
    json_file: Json = None,
) -> None:
    """Write the registry as a table; importing it again changes nothing."""
    from lifeline.registry_import.exporting import export
    from lifeline.registry_import.present import read_present

    _known_crs(crs)
    rows = export(read_present(site / "registry"), file, crs=crs)
    if json_file is not None:
        told = {"file": str(file), "rows": rows, "crs": crs}
        json_file.write_text(json.dumps(told) + "\n", encoding="utf-8")
    print(f"{file}: {rows} rows, coordinates in {crs}")


@app.command("coverage")
def coverage(
    *,
    site: Site = Path(),
    data: Data = None,
    json_file: Json = None,
) -> None:
    """Tell what no rule protects: sensors, assets, rules that match nothing, overdue channels."""
    from rich.table import Table as Shown

    from lifeline.clock import Clock
    from lifeline.coverage import coverage_of, today_of
    from lifeline.preflight import read_site
    from lifeline.settings.config import load_config
    from rules.language import load_rules

    config = load_config(site)
    held = read_site(config, data or config.data)
    today = today_of(Clock(), config.entry.site.timezone)
    ids = [rule.id for rule in load_rules(config.rules).rules]
    found = coverage_of(held.registry, held.plan, rule_ids=ids, today=today)
    names = (
        "domain", "quantity", "channels", "ruled", "quality_only", "unruled", "overdue", "planned",
        "retired",
    )  # fmt: skip
    table = Shown(*names, "protected", box=None, pad_edge=False)
    for line in found.lines:
        table.add_row(*(str(getattr(line, n)) for n in names), f"{line.protected:.1%}")
    screen = Console(highlight=False, soft_wrap=True)
    screen.print(table)
    for title, those in (
        ("sensors without a rule (无规则的传感器)", found.unruled_sensors),
        ("channels with quality checks only (仅有质量检查)", found.quality_only),
        ("assets without a safety rule (无安全规则的设施)", found.assets_without_safety),
        ("rules that match nothing (未匹配任何通道的规则)", found.idle_rules),
        ("calibration overdue, counted as unprotected (校准逾期)", found.overdue),
        ("planned, not yet there (规划中)", found.planned),
    ):
        shown = "".join(f"\n  {name}" for name in those[:20])
        more = f"\n  … and {len(those) - 20} more" if len(those) > 20 else ""
        screen.print(f"{title}: {len(those)}{shown}{more}", markup=False)
    if json_file is not None:
        text = json.dumps(found.to_json(), ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")


@app.command("broker-acl")
def broker_acl(
    *,
    site: Site = Path(),
    out: Annotated[
        Path | None, typer.Option(help="Where to: acl, mqtt-users, gateways/ (SITE/secrets).")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where it would.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Write mosquitto's ACL and accounts: a device may publish its own topics, nothing else."""
    from ingest.codecs import PULLED
    from ingest.codecs.mapping_file import load_mappings
    from lifeline import broker_acl as made
    from lifeline.errors import Missing
    from lifeline.settings.config import load_config
    from rules.registry_file import load_registry

    config, folder = load_config(site), out or site / "secrets"
    mqtt = config.entry.mqtt
    if mqtt is None or not mqtt.user:
        said = f"{site / 'city.toml'}: [mqtt] names no user and password_file: City Lifeline needs "
        raise Missing(said + "an account of its own where devices have theirs")
    every = load_mappings(site / "mappings")
    mappings = [each for each in every if not each.topic.startswith(PULLED)]
    who = made.speakers(load_registry(config.registry), mappings)
    filters = [*mqtt.topics, *(one.subscription for one in mappings)]
    if config.entry.warnings is not None and config.entry.warnings.topic is not None:
        filters.append(config.entry.warnings.topic)
    acl = made.acl_text(who, user=mqtt.user, filters=filters)
    screen = Console(highlight=False, soft_wrap=True)
    for topic in who.shared:
        screen.print(f"{topic}: names no device: those who use it can speak for each other")
    if check:
        told = made.stale(folder, who, acl)
        screen.print("\n".join(told) or f"{folder}: as the registry says", markup=False)
        raise typer.Exit(1 if told else 0)
    secret = config.secret(mqtt.password_file, mqtt.password_env)
    done = made.write_accounts(folder, who, acl, {mqtt.user: secret})
    said = f"{folder}: {len(who.topics)} devices, {len(done.new)} new, {len(done.gone)} gone"
    screen.print(said + "; mosquitto reads it on SIGHUP (kill -HUP)", markup=False)
    if json_file is not None:
        report = {
            "devices": sorted(who.topics),
            "new": done.new,
            "gone": done.gone,
            "acl_changed": done.acl_changed,
            "shared": who.shared,
        }
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
