"""``lifeline init``, ``lifeline run`` and ``lifeline site …``: a user's own city."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifeline.cli.ending import ending_by_signal

app = typer.Typer(help="What belongs to one site.", no_args_is_help=True)


@app.callback()
def _site() -> None:
    """Hold the commands of a site."""


def init(
    folder: Annotated[Path, typer.Argument(help="Where to; it may exist if it is empty.")],
) -> None:
    """Make a folder for your own city: city.toml, registry/ and rules/, explained by comments."""
    from lifeline.new_site import write_new_site

    for path in write_new_site(folder):
        print(f"wrote {path}")
    print(f"now edit {folder / 'city.toml'}, then: lifeline run {folder}")


def run(
    folder: Annotated[Path, typer.Argument(help="The folder with city.toml.")] = Path(),
    *,
    data: Annotated[Path | None, typer.Option(help="The data folder (FOLDER/data).")] = None,
    json_logs: Annotated[bool, typer.Option(help="Log one JSON object a line.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check everything, start nothing.")
    ] = False,
    ask: Annotated[
        bool,
        typer.Option(
            "--ask-servers/--no-ask-servers",
            help="End where broker or InfluxDB do not answer; a service that starts with its "
            "machine rather waits for them.",
        ),
    ] = True,
) -> None:
    """Run a city against its broker and InfluxDB until Ctrl-C."""
    from lifeline.data_folder import DataFolder, refuse_second
    from lifeline.logs import configure_logs
    from lifeline.preflight import preflight
    from lifeline.processes import Context
    from lifeline.processes.ingest import mqtt_settings
    from lifeline.production_mark import MarkLater, put_mark
    from lifeline.reload.asked import reloading
    from lifeline.supervisor import Supervisor

    said = Console(stderr=True, highlight=False)
    refuse_second(data or folder / "data")
    config = preflight(folder, data, servers=ask)
    if check:
        said.print(f"{folder}: configuration, registry, rules and servers are in order")
        return
    configure_logs(json_lines=json_logs, process="supervisor")
    real = not config.entry.site.simulation
    broker = mqtt_settings(config)
    if ask and real:
        put_mark(broker, config.entry.site.name)
    names = ["ingest", "engine", "archive", "serve", "probe"] + (
        ["store"] if config.entry.influx else []
    )
    where = data or config.data
    with (
        DataFolder(where),
        ending_by_signal() as stop,
        reloading(folder, where, watched=config.watched),
        Supervisor(Context(site=folder, data=where), names, json_logs=json_logs) as supervisor,
    ):
        supervisor.start_all()
        if real and not ask:
            MarkLater(broker, config.entry.site.name, stop=stop).start()
        said.print(f"{config.entry.site.name}: page at {config.page_url}/")
        supervisor.run(stop)
        said.print("stopping")


@app.command("certificates")
def certificates(
    folder: Annotated[Path, typer.Argument(help="The folder with city.toml.")] = Path(),
    *,
    host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name or address gateways and browsers use; may be given again. localhost and "
            "the hosts of city.toml are always among them."
        ),
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Make certificates anew; the authority stays.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what was made here too.")
    ] = None,
) -> None:
    """Make an authority of your own and a certificate for each server; keys for you alone."""
    from lifeline.certificates import make_certificates
    from lifeline.settings.config import TlsEntry, load_config

    config = load_config(folder, to_be_made=frozenset({("tls", "folder")}))
    where = config.path((config.entry.tls or TlsEntry()).folder)
    held = make_certificates(where, [*config.hosts, *(host or ())], renew=renew)
    said = Console(highlight=False, soft_wrap=True)
    for made in held:
        note = f"; {made.note}" if made.note else ""
        said.print(f"{made.done}  {made.path}  (until {made.ends:%Y-%m-%d}){note}", markup=False)
    if config.entry.tls is None:
        said.print(f"now write the table [tls] into {folder / 'city.toml'}", markup=False)
    if json_file is not None:
        told = [
            {"file": str(m.path), "done": m.done, "ends": m.ends.isoformat(), "note": m.note}
            for m in held
        ]
        json_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
