"""``lifeline demo``: see it all, with nothing else to start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lifeline.cli.ending import ending_by_signal


def demo(
    *,
    duration: Annotated[
        float | None,
        typer.Option(min=5, help="Wall seconds; then the report, exit 0 only if all of it holds."),
    ] = None,
    factor: Annotated[
        float | None, typer.Option(min=1, max=600, help="How many times as fast as the wall (60).")
    ] = None,
    scenario: Annotated[str, typer.Option(help="A shipped scenario's name, or a file.")] = "",
    report: Annotated[Path | None, typer.Option(help="Write the report here, as JSON.")] = None,
    data: Annotated[Path | None, typer.Option(help="Keep the data here (a temporary one).")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page.")] = 8480,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
) -> None:
    """Run a whole simulated city on this machine and tell what happens."""
    from lifeline.demo import DemoOptions, run_demo
    from lifeline.logs import configure_logs

    configure_logs(json_lines=False, process="demo")
    options = DemoOptions(
        duration_s=duration,
        factor=factor,
        scenario=scenario,
        data=data,
        page_port=port,
        browser=browser,
        report=report,
    )
    with ending_by_signal() as stop:
        code = run_demo(options, stop=stop, console=Console(highlight=False, soft_wrap=True))
    raise typer.Exit(code)
