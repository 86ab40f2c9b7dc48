"""``lifeline reload``: other rules and another registry while the city runs."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

if TYPE_CHECKING:
    from lifeline.reload import Applied

WORDS: Final = {
    "added": "added / 新增",
    "removed": "removed / 删除",
    "changed": "changed in meaning / 含义已变",
    "kept": "unchanged in meaning, states and acknowledgements kept / 含义不变，状态与确认保留",
}
MOST_NAMED: Final = 20


def reload(
    *,
    site: Annotated[Path, typer.Option(help="The folder with city.toml.")] = Path(),
    data: Annotated[Path | None, typer.Option(help="The data folder (SITE/data).")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what would change; nothing need run.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what changed, or the problems, here.")
    ] = None,
) -> None:
    """Put rules and registry of a folder into force in the running city, whole or not at all.

    Exit code 2 where they are refused or nothing took them; the old ones go on.
    """
    from lifeline.errors import Failure
    from lifeline.reload import reload_folder
    from rules.problems import Invalid

    try:
        done = reload_folder(site, data, how="cli", by=getpass.getuser(), check=check)
    except Invalid as error:
        held = [problem.to_json() for problem in error.problems]
        _write(json_file, {"result": "refused", "problems": held})
        raise
    except Failure as error:
        _write(json_file, {"result": "failed", "lines": list(error.lines)})
        raise
    _write(json_file, done.to_json())
    screen = Console(highlight=False, soft_wrap=True)
    for problem in done.warnings:
        screen.print(str(problem), markup=False)
    for line in told(done):
        screen.print(line, markup=False)


def told(done: Applied) -> list[str]:
    """Return what a reload did in lines, both languages."""
    if done.result == "unchanged":
        return ["nothing changed: these rules and this registry hold already / 无变化，已在生效"]
    difference = done.difference
    by_what = {what: [r.rule for r in difference.rules if r.what == what] for what in WORDS}
    named = [(by_what[what], word) for what, word in WORDS.items()]
    named += [
        (list(difference.live), "live from now on / 转为正式"),
        (list(difference.shadow), "on trial from now on, told to nobody / 转为试用，不报警"),
        (list(done.channels), "channels added / 新增测点"),
        (list(done.channels_gone), "channels removed / 删除测点"),
    ]
    lines = [f"{len(names)} {word}: {_named(names)}" for names, word in named if names]
    if done.alarms is None:
        lines.append("the ledger cannot be read: which alarms end is not known / 台账不可读")
    elif done.alarms:
        lines.append(f"{len(done.alarms)} open alarms end / 结束报警: {_named(list(done.alarms))}")
    if done.result == "checked":
        lines.append("only checked, nothing was changed / 仅检查，未作更改")
    else:
        lines.append(f"in force from journal record {done.offset} on / 已生效")
    return lines


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _write(path: Path | None, told: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
