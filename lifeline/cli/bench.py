"""``lifeline bench …``: speed, measured on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Benchmarks, beside the obvious alternative.", no_args_is_help=True)

Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")]


@app.command("engine")
def engine(
    workload: Annotated[
        str, typer.Option(help="T1, T2, T3, city, waveform, rules, scale, latency, state or start.")
    ] = "T2",
    channels: Annotated[int | None, typer.Option(min=1)] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Samples of each channel; of a city, steps of 10 s.")
    ] = None,
    json_file: Json = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All of them; 10 minutes.")] = False,
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Write the results of --all as a page.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Where the engine's time goes, by stage and kind.")
    ] = False,
) -> None:
    """Measure the engine beside a tight Python loop and a C program that do the same."""
    from rich.console import Console

    from lifeline.bench.engine import disagree, run_bench, write_json
    from lifeline.bench.report import markdown, run_all
    from lifeline.bench.results import Ask

    if page is not None and not every:
        raise typer.BadParameter("--markdown writes the page of all workloads: add --all")
    if every:
        if (workload, channels, rounds, profile) != ("T2", None, None, False):
            raise typer.BadParameter("--all says itself what it runs: leave the other options away")
        measured = run_all(Console())
        results = [row for _, rows in measured for row in rows]
        if page is not None:
            page.write_text(markdown(measured), encoding="utf-8")
    else:
        try:
            asked = Ask(channels=channels, rounds=rounds, profile=profile)
            results = run_bench(workload, asked)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    if json_file is not None:
        write_json(results, json_file)
    if disagree(results):
        print("engine, loop and C program disagree on the events")
        raise typer.Exit(1)


@app.command("end-to-end")
def end_to_end(
    json_file: Json = None,
    *,
    turns: Annotated[int, typer.Option(min=1, help="Of each; the median counts.")] = 3,
    share: Annotated[
        float, typer.Option(min=0.001, max=1, help="How much of the full number of readings.")
    ] = 1.0,
    only: Annotated[str, typer.Option(help="Only cases whose name holds this.")] = "",
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Write the results as a page.")
    ] = None,
) -> None:
    """Measure the chain: mosquitto, decoding, journal with fsync, engine, line protocol."""
    from lifeline.bench.chain.feed import CASES
    from lifeline.bench.chain.page import markdown, tables
    from lifeline.bench.chain.run import run

    cases = [case.shorter(share) for case in CASES if only in case.name]
    if not cases:
        raise typer.BadParameter(f"no case holds {only!r}: {', '.join(c.name for c in CASES)}")
    rows = run(cases, turns=turns)
    tables(rows)
    if json_file is not None:
        rows_json = [row.as_json() for row in rows]
        json_file.write_text(
            json.dumps({"bench": "end-to-end", "rows": rows_json}, indent=1) + "\n",
            encoding="utf-8",
        )
    if page is not None:
        page.write_text(markdown(rows), encoding="utf-8")
    if any(row.lost for row in rows):
        print("readings that the broker had taken over were lost")
        raise typer.Exit(1)


@app.command("overload")
def overload(
    json_file: Json = None,
    *,
    seconds: Annotated[float, typer.Option(min=3, help="Of overload.")] = 30.0,
    times: Annotated[float, typer.Option(min=1, help="The rate that one core carries.")] = 3.0,
    memory_mb: Annotated[int, typer.Option(min=64, help="What a process may have.")] = 1024,
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Write the results as a page.")
    ] = None,
) -> None:
    """Send three times what one core carries: who waits, what is given up, does it recover."""
    from lifeline.bench.chain.overload import Ask, faults, run
    from lifeline.bench.chain.overload_page import markdown

    result = run(Ask(overload_s=seconds, times=times, memory_mb=memory_mb))
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if page is not None:
        page.write_text(markdown(result, times), encoding="utf-8")
    said = faults(result)
    for fault in said:
        print(f"not kept: {fault}")
    if said:
        raise typer.Exit(1)


@app.command("page")
def page_(
    json_file: Json = None,
    *,
    profile: Annotated[str, typer.Option(help="demo, bozhou or hefei (85 000 devices).")] = "hefei",
    pages: Annotated[int, typer.Option(min=1, max=60, help="Open streams.")] = 50,
    standing: Annotated[int, typer.Option(min=1, help="Open alarms before it begins.")] = 500,
    alarms: Annotated[int, typer.Option(min=1, help="New ones that are timed.")] = 20,
) -> None:
    """Measure the page in a real Chromium: first paint, panning, an alarm to all screens."""
    from lifeline.bench.page.load import Ask, faults, measure

    told = measure(Ask(profile=profile, pages=pages, standing=standing, alarms=alarms))
    print(json.dumps(told, indent=1))
    if json_file is not None:
        json_file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    said = faults(told)
    for fault in said:
        print(f"not kept: {fault}")
    if said:
        raise typer.Exit(1)


@app.command("latency")
def latency(
    json_file: Json = None,
    *,
    alarms: Annotated[int, typer.Option(min=1, help="Of each transport.")] = 200,
    quiet: Annotated[float, typer.Option(min=0, help="Other messages a second.")] = 200.0,
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Write the results as a page.")
    ] = None,
) -> None:
    """Measure how long an alarm takes by MQTT and CoAP: to disk, event log and webhook."""
    from lifeline.bench.latency import markdown, run

    rows = run(alarms=alarms, quiet_per_s=quiet)
    if json_file is not None:
        text = json.dumps({"bench": "latency", "rows": rows}, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")
    if page is not None:
        page.write_text(markdown(rows, alarms=alarms, quiet_per_s=quiet), encoding="utf-8")
    if any(row["missing"] for row in rows):
        print("alarms are missing")
        raise typer.Exit(1)


@app.command("store")
def store(
    rows: Annotated[int, typer.Option(min=1)] = 200_000,
    json_file: Json = None,
    *,
    turns: Annotated[int, typer.Option(min=1, help="Of each; the best counts.")] = 3,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write the results as a page.")
    ] = None,
) -> None:
    """Measure how fast points become text and reach a server, beside the client's own way."""
    from lifeline.bench.store import city, measure, rows_of
    from lifeline.bench.store_page import page
    from lifeline.bench.store_socket import PROGRAM, measure_socket, running

    channels = 2_000
    found = measure(rows=rows, channels=channels, turns=turns)
    for row in found:
        print(
            f"{row['encoder']:24} {row['lines_per_s']:>12,} lines/s {row['times_point']:>7} × Point"
        )
    sent = []
    with running() as server:
        if server is None:
            print(f"{PROGRAM} is not installed: the rows with a socket are left out")
        else:
            readings, registry = rows_of(channels, rows), city(channels)
            sent = measure_socket(readings, registry, turns=turns, server=server)
    for row in sent:
        print(
            f"{row['encoder']:24} {row['lines_per_s']:>12,} lines/s "
            f"{row['times_write_api']:>7} × WriteApi {row['wall_lines_per_s']:>12,} by the wall"
        )
    if json_file is not None:
        json_file.write_text(json.dumps({"bench": "store", "rows": found + sent}, indent=1) + "\n")
    if markdown is not None:
        markdown.write_text(page(found, sent), encoding="utf-8")


@app.command("backtest")
def backtest(
    folder: Annotated[
        Path, typer.Option(help="Where the city's archive is made, and kept.")
    ] = Path("bench-backtest"),
    channels: Annotated[int, typer.Option(min=60)] = 3_500,
    days: Annotated[float, typer.Option(min=0.01, help="30 is 151 M readings, 3 GB.")] = 1.0,
    json_file: Json = None,
) -> None:
    """Measure a back-test over an archive: reading, judging, reporting, beside the engine alone."""
    from rich.console import Console

    from lifeline.bench.backtest import as_json, measure

    said = Console(stderr=True, highlight=False)
    found = as_json(measure(folder, channels=channels, days=days, tell=said.print))
    for name, value in found.items():
        print(f"{name:26} {value:>14,}" if not isinstance(value, str) else f"{name:26} {value:>14}")
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1) + "\n")


@app.command("registry-import")
def registry_import(
    rows: Annotated[int, typer.Option(min=1)] = 85_000,
    json_file: Json = None,
) -> None:
    """Measure the import of a city's devices from CSV and workbook; exit code 1 over 30 s."""
    from lifeline.bench.registry_import import LIMIT_S, measure

    found = measure(rows)
    for took in found:
        print("  ".join(f"{name} {value}" for name, value in took.items()))
    if json_file is not None:
        json_file.write_text(
            json.dumps({"bench": "registry-import", "rows": found}, indent=1) + "\n"
        )
    if any(took["first_cpu_s"] > LIMIT_S for took in found):
        raise typer.Exit(1)


@app.command("simulation")
def simulation(
    profile: Annotated[
        str, typer.Option(help="demo, bozhou or hefei; all of them unless said.")
    ] = "",
    hours: Annotated[int, typer.Option(min=1, help="Of city time.")] = 2,
    json_file: Json = None,
) -> None:
    """Measure how fast cities are generated; exit code 1 below 200 times real time."""
    from lifeline.bench.simulation import WANTED, measure
    from simulators.city import PROFILES

    if profile and profile not in PROFILES:
        raise typer.BadParameter(f"profile {profile!r}: there is {', '.join(PROFILES)}")
    rows = measure((profile,) if profile else PROFILES, hours=hours, tell=print)
    if json_file is not None:
        text = json.dumps({"bench": "simulation", "rows": rows}, indent=1)
        json_file.write_text(text + "\n", encoding="utf-8")
    if any(row["times_real_time"] < WANTED for row in rows):
        print(f"slower than {WANTED} times real time")
        raise typer.Exit(1)


@app.command("replay-datasets")
def replay_datasets(
    folder: Annotated[Path, typer.Argument(help="Where the data sets are, a folder each.")],
    json_file: Json = None,
    *,
    only: Annotated[list[str] | None, typer.Option(help="Only this set; again for more.")] = None,
    page: Annotated[
        Path | None, typer.Option("--markdown", help="Write the results as a page.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of faults put into the heat station.")] = 10,
) -> None:
    """Replay public data sets through the whole pipeline: what is raised on them, and why.

    With --json FILE each set is kept there when it is done, and those an earlier run left stay: so
    all sets can be replayed one by one, and --markdown writes the page of all of them.
    """
    from lifeline.bench import datasets_kept, datasets_page
    from lifeline.bench.datasets import run
    from lifeline.bench.experiments import experiments

    kept = datasets_kept.load(json_file) if json_file is not None else datasets_kept.Kept()
    for row in run(folder, only or [], tell=print):
        kept.rows[row.name] = row
        told, scores = experiments(folder, [row.name], seeds=seeds, tell=print)
        kept.told = told or kept.told
        kept.scores |= scores
        if json_file is not None:
            kept.save(json_file)
    if page is not None:
        text = datasets_page.page(kept.ordered(), kept.told, list(kept.scores.items()))
        page.write_text(text, encoding="utf-8")
    if any(row.refused for row in kept.rows.values()):
        print("some tables could not be read: see above")
        raise typer.Exit(1)


@app.command("duty-shift")
def duty_shift(
    hours: Annotated[float, typer.Option(min=0.5, max=8.0, help="Of the shift of 8 h.")] = 8.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    json_file: Json = None,
) -> None:
    """Play a shift with scripted operators; ledger, figures and report must agree with the script.

    Exit code 1 where they do not.
    """
    from tempfile import TemporaryDirectory

    from lifeline.bench.duty_shift import Play

    with TemporaryDirectory() as folder:
        checks = Play(Path(folder), seed, hours=hours).run()
    for each in checks:
        short = f": {each.script}" if isinstance(each.script, int) else ""
        both = short if each.agrees else f"   script {each.script}, told {each.told}"
        print(f"{'agrees' if each.agrees else 'DIFFERS':8} {each.name}{both}")
    if json_file is not None:
        rows = [
            {"name": c.name, "script": c.script, "told": c.told, "agrees": c.agrees} for c in checks
        ]
        json_file.write_text(json.dumps(rows, ensure_ascii=False, indent=2), encoding="utf-8")
    if not all(each.agrees for each in checks):
        raise typer.Exit(1)
