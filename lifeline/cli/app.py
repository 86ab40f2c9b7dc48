"""All commands, in the order of --help."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from lifeline.cli import (
    alarms,
    bench,
    demo,
    doctor,
    duty,
    feeds,
    grafana,
    incidents,
    influx,
    keeping,
    mending,
    outages,
    people,
    registry,
    reload,
    rules,
    scenario,
    score,
    shifts,
    site,
    soak,
    support,
    torture,
)

app = typer.Typer(
    name="lifeline",
    help="Monitoring and alarming for a city's lifelines: gas, bridges, tunnels, water, drainage, "
    "heating, utility tunnels. Not SIL-rated: it supplements and never replaces local gas alarms, "
    "interlocks and barriers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"City Lifeline {version('city-lifeline')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Hold what stands before the command's name."""


app.command("demo")(demo.demo)
app.command("init")(site.init)
app.command("run")(site.run)
app.add_typer(site.app, name="site")
app.command("reload")(reload.reload)
app.command("simulate")(feeds.simulate)
app.command("replay")(feeds.replay)
app.add_typer(feeds.recording, name="recording")
app.add_typer(rules.app, name="rules")
app.add_typer(scenario.app, name="scenario")
app.add_typer(score.app, name="score")
app.add_typer(registry.app, name="registry")
app.add_typer(alarms.app, name="alarms")
app.command("kpis")(duty.kpis)
app.add_typer(shifts.hand_over, name="hand-over")
app.add_typer(shifts.proof_tests, name="proof-tests")
app.command("shift-report")(duty.shift_report)
app.add_typer(people.app, name="people")
app.add_typer(incidents.app, name="incidents")
app.add_typer(influx.app, name="influx")
app.add_typer(grafana.app, name="grafana")
app.command("doctor")(doctor.doctor)
app.command("backup")(keeping.backup)
app.command("restore")(keeping.restore)
app.command("migrate")(keeping.migrate)
app.command("redecode")(mending.redecode)
app.command("mark")(mending.mark)
app.command("rejudge")(mending.rejudge)
app.add_typer(mending.quarantine, name="quarantine")
app.command("support-bundle")(support.support_bundle)
app.add_typer(bench.app, name="bench")
app.command("torture")(torture.torture)
app.command("outages")(outages.outages)
app.command("soak")(soak.soak)
