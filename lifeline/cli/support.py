"""``lifeline support-bundle``: one file for a maintainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def support_bundle(
    file: Annotated[Path, typer.Argument(metavar="FILE.tar.gz", help="Where to.")],
    *,
    site: Annotated[Path, typer.Option("--site", help="The folder with city.toml.")] = Path(),
    data: Annotated[Path | None, typer.Option(help="The data folder (SITE/data).")] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(help="A log beside those of the data folder; may be given again."),
    ] = None,
    readings: Annotated[
        bool, typer.Option("--readings", help="With the newest readings; without, none.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the names of its parts here.")
    ] = None,
) -> None:
    """Collect what a maintainer needs, without secrets and readings. 支持信息打包."""
    from lifeline.errors import Missing
    from lifeline.support_bundle import write_bundle

    where = data or site / "data"
    if not (where / "journal").is_dir():
        raise Missing(f"{where}: no data folder of ours (no journal/); name another with --data")
    for path in log or ():
        if not path.is_file():
            raise Missing(f"{path}: no such file; journalctl -u lifeline --since -1h > {path}")
    screen = Console(stderr=True)
    said = Console(highlight=False, soft_wrap=True)
    with screen.status("support bundle 打包") as status:
        names = write_bundle(
            file,
            folder=site if (site / "city.toml").exists() else None,
            data=where,
            readings=readings,
            logs=tuple(log or ()),
            tell=lambda part: status.update(f"support bundle 打包: {part}"),
        )
    said.print(f"{file}: {len(names)} parts, no secrets" + ("" if readings else ", no readings"))
    said.print(f"已打包 {len(names)} 项，不含密钥" + ("" if readings else "，不含读数"))
    if json_file is not None:
        json_file.write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
