"""``lifeline backup``, ``restore`` and ``migrate``: a city's data kept over its machines."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here, as JSON.")]
Shelf = Annotated[Path, typer.Argument(help="The backups' folder, on another disk.")]


def backup(
    to: Shelf,
    site: Annotated[Path, typer.Option("--site", help="The folder with city.toml.")] = Path(),
    *,
    data: Annotated[Path | None, typer.Option(help="The data folder (SITE/data).")] = None,
    ledger: Annotated[
        str, typer.Option(help="The ledger's URL, where it is not in the data folder.")
    ] = "",
    archive: Annotated[bool, typer.Option(help="With the archive; only its new files go.")] = True,
    raw: Annotated[bool, typer.Option(help="With the raw frames of the last days.")] = True,
    keep: Annotated[int, typer.Option(min=1, help="Generations kept.")] = 7,
    json_file: Json = None,
) -> None:
    """Copy a city, running or not: data, registry, rules; never secrets. 备份."""
    from lifeline.backup.take import back_up

    has_site = (site / "city.toml").is_file()
    with _progress("backup 备份") as tell:
        made = back_up(
            data or site / "data",
            to,
            site=site if has_site else None,
            ledger_url=ledger,
            archive=archive,
            raw=raw,
            keep=keep,
            tell=tell,
        )
    said = Console(highlight=False, soft_wrap=True)
    said.print(
        f"{to}: generation {made.made}, {len(made.items)} files, {_size(made.size_bytes)}, "
        f"of which {_size(made.copied_bytes)} new; journal up to record {made.journal_end}"
    )
    said.print(f"备份完成：{made.made}；日志到第 {made.journal_end} 条记录")
    if not has_site:
        said.print(f"{site}: no city.toml here: registry and rules files are not in it")
    figures = {
        "generation": made.made,
        "files": len(made.items),
        "bytes": made.size_bytes,
        "copied_bytes": made.copied_bytes,
        "journal_end": made.journal_end,
        "events_end": made.events_end,
        "data_version": made.data_version,
    }
    _write(json_file, figures)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="The backups' folder.")],
    *,
    to: Annotated[
        Path | None, typer.Option(help="A folder that is not there yet; its data in TO/data.")
    ] = None,
    at: Annotated[str, typer.Option(help="A generation by its name (the newest).")] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Compare every byte, restore nothing.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Make a city's folder of a backup, on this or another machine. 从备份恢复."""
    from lifeline.backup.restore import restore as make
    from lifeline.backup.restore import verify

    said = Console(highlight=False, soft_wrap=True)
    if (to is None) != check:
        raise typer.BadParameter("give --to FOLDER, or --check to look at the backup only")
    if to is None:
        with _progress("check 校验") as tell:
            held = verify(source, at=at, tell=tell)
        said.print(f"{source}: generation {held.made} is whole, {len(held.items)} files")
        said.print(f"备份 {held.made} 完好")
        _write(json_file, {"generation": held.made, "files": len(held.items), "whole": True})
        return
    with _progress("restore 恢复") as tell:
        done = make(source, to, at=at, tell=tell)
    count = len(done.open_alarms)
    said.print(f"{to}: restored {done.generation.made}: {count} open alarms")
    said.print(f"已恢复 {done.generation.made}：未结束报警 {count} 条")
    if done.has_site:
        said.print("next: put the secrets that city.toml names in place (none are in a backup),")
    said.print(f"stop the old machine, then: lifeline run {to}")
    said.print("请先放好 city.toml 所列密钥文件，确认旧机器已停止，再启动")
    figures = {
        "generation": done.generation.made,
        "files": len(done.generation.items),
        "bytes": done.generation.size_bytes,
        "journal_end": done.journal_end,
        "open_alarms": [
            {"id": a.alarm_id, "rule": a.rule, "subject": a.subject, "severity": a.severity}
            for a in done.open_alarms
        ],
    }
    _write(json_file, figures)


def migrate(
    data: Annotated[Path, typer.Argument(help="The data folder; its program must be stopped.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change, change nothing.")
    ] = False,
    json_file: Json = None,
) -> None:
    """Bring an older data folder up to this program. Make a backup before. 升级数据目录."""
    from lifeline.data_folder import DataFolder
    from lifeline.errors import Missing
    from lifeline.migrations import VERSION, steps_of, version_of

    if not (data / "VERSION").exists():
        raise Missing(f"{data}: no data folder of ours (no VERSION file)")
    before, steps = version_of(data), steps_of(data)
    said = Console(highlight=False, soft_wrap=True)
    for step in steps:
        said.print(f"version {step.to}: {step.says}", markup=False)
    if steps and not dry_run:
        with DataFolder(data, migrating=True):
            pass
    now = version_of(data)
    said.print(f"{data}: of version {now}" + (f", was {before}" if now != before else ""))
    said.print(f"数据目录版本 {now}（程序版本 {VERSION}）")
    _write(json_file, {"before": before, "after": now, "steps": [s.to for s in steps]})


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str, int], None]]:
    """Give what tells bytes done, shown while it runs if this is a terminal."""
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    screen = Console(stderr=True)
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def tell(path: str, size: int) -> None:
            bar.update(task, advance=size, description=f"{what} {path[-40:]}")

        yield tell


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


def _write(path: Path | None, figures: dict[str, Any]) -> None:
    if path is not None:
        text = json.dumps(figures, ensure_ascii=False, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
