"""``lifeline grafana …``: the operators' dashboards, from registry and rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Grafana's dashboards.", no_args_is_help=True)

Site = Annotated[
    Path | None, typer.Option(help="A city's folder; the demo city under the shipped rules.")
]
Out = Annotated[Path | None, typer.Option(help="Where the dashboards are (grafana/dashboards).")]


@app.command("build")
def build(*, site: Site = None, out: Out = None) -> None:
    """Write the dashboards anew, as registry and rules say now."""
    from lifeline.grafana.build import FOLDER, files, site_city

    folder = out or FOLDER
    city = site_city(site)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(city):
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}")


@app.command("check")
def check(*, site: Site = None, out: Out = None) -> None:
    """Tell which dashboards are missing, stale, edited or foreign. Exit code 1 if any is."""
    from lifeline.grafana.build import FOLDER, site_city
    from lifeline.grafana.check import findings

    folder = out or FOLDER
    found = findings(site_city(site), folder)
    for line in found:
        print(line)
    if found:
        raise typer.Exit(1)
    print(f"{folder}: every dashboard is as registry and rules say")
