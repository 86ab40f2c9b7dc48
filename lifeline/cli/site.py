"""``lifeline init`` and ``lifeline run``: a user's own city."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifeline.cli.ending import ending_by_signal


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
        page = config.entry.page
        address = page.origin or f"http://{page.bind}:{page.port}"
        said.print(f"{config.entry.site.name}: page at {address}/")
        supervisor.run(stop)
        said.print("stopping")
