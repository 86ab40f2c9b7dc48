"""``lifeline redecode``, ``mark``, ``rejudge``, ``quarantine``: what was recorded, put right."""

from __future__ import annotations

import getpass
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest.refeed import Refused
    from lifeline.mending.correct import Mended
    from lifeline.preflight import SiteTexts
    from lifeline.settings.config import CityConfig

quarantine = typer.Typer(help="Refused frames: look, feed again.", no_args_is_help=True)

Site = Annotated[Path, typer.Option("--site", help="The folder with city.toml.")]
Data = Annotated[Path | None, typer.Option(help="The data folder (SITE/data).")]
Begin = Annotated[str, typer.Option("--from", help="2026-09-01T00:00+08:00.")]
End = Annotated[str, typer.Option("--to", help="Before this time.")]
By = Annotated[str, typer.Option(help="Who says so (the account).")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the journal.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures here, as JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would change, change nothing.")]
Channels = Annotated[list[str] | None, typer.Option("--channel", help="May be given again.")]


def redecode(
    *,
    begin: Begin,
    end: End,
    reason: Reason,
    device: Annotated[str, typer.Option(help="All channels of a device.")] = "",
    channel: Channels = None,
    site: Site = Path(),
    data: Data = None,
    by: By = "",
    dry_run: DryRun = False,
    json_file: Json = None,
) -> None:
    """Decode raw frames again by today's registry, after a wrong scale or codec. 重新解码."""
    from lifeline.mending.correct import channels_of, redecoded

    config, texts, where = _opened(site, data)
    if bool(device) == bool(channel):
        raise typer.BadParameter("give --device or --channel")
    chosen = channel or channels_of(texts.registry, device)
    with _progress("frames 帧") as tell:
        mended = redecoded(
            where, texts.registry, chosen, _span(begin, end), mappings=texts.mappings, tell=tell
        )
    _screen().print(
        f"{config.entry.site.name}: {mended.frames} raw frames, {len(mended.channels)} channels: "
        f"{mended.rows} readings change, {mended.unmatched} were not recorded, "
        f"{mended.refused} frames refused now, {mended.cut} too long to be kept raw"
    )
    if mended.unmatched:
        _screen().print("what was not recorded had been refused: lifeline quarantine refeed")
    _put(where, mended, by=by, reason=reason, dry_run=dry_run, json_file=json_file)


class Mark(StrEnum):
    """What an interval is said to be."""

    BAD = "bad"
    GOOD = "good"


def mark(
    what: Annotated[Mark, typer.Argument(help="bad, or good again: the recorded flags hold.")],
    channel: Annotated[list[str], typer.Argument(help="Ids of channels.")],
    *,
    begin: Begin,
    end: End,
    reason: Reason,
    site: Site = Path(),
    data: Data = None,
    by: By = "",
    dry_run: DryRun = False,
    json_file: Json = None,
) -> None:
    """Say that what a channel measured in an interval is no measurement, or is. 标记数据."""
    from lifeline.mending.correct import marked

    _, texts, where = _opened(site, data)
    mended = marked(where, texts.registry, channel, _span(begin, end), bad=what is Mark.BAD)
    _screen().print(f"{mended.rows} readings of {len(channel)} channels change")
    _put(where, mended, by=by, reason=reason, dry_run=dry_run, json_file=json_file)


def rejudge(
    *,
    begin: Begin,
    end: End,
    warmup: Annotated[str, typer.Option(help="Let the engine begin so long before.")] = "1d",
    site: Site = Path(),
    data: Data = None,
    json_file: Json = None,
) -> None:
    """List what today's rules say of corrected data; nothing is raised or taken back. 重新判定."""
    from lifeline.mending.rejudge import rejudge as judge
    from rules.durations import parse_duration
    from rules.language import load_rules

    config, texts, where = _opened(site, data)
    rules = load_rules(config.rules, today=datetime.now(UTC).date().isoformat())
    try:
        warmup_ns = parse_duration(warmup)
    except ValueError as error:
        raise typer.BadParameter(f"--warmup: {error}") from error
    with _progress("readings 读数") as tell:
        done = 0

        def moved(now: int, _time_ns: int) -> None:
            nonlocal done
            tell(now - done)
            done = now

        review = judge(
            where, rules, texts.registry, _span(begin, end), warmup_ns=warmup_ns, tell=moved
        )
    said = _screen()
    said.print(
        f"{review.rows} readings, {review.corrections} corrections: {len(review.missed)} alarms "
        f"would have been raised and were not, {len(review.unfounded)} were and would not have "
        f"been, {review.same} are the same"
    )
    said.print(
        f"漏报 {len(review.missed)} 条，误报 {len(review.unfounded)} 条；仅供复核，不改变任何报警"
    )
    for word, held in (("missed 漏报", review.missed), ("unfounded 误报", review.unfounded)):
        for e in held:
            at = datetime.fromtimestamp(e.raised_ns / 1e9, UTC)
            said.print(f"{word}  {at:%Y-%m-%d %H:%M:%S}Z  {e.rule}  {e.subject}  {e.severity}")
    figures = {
        "rows": review.rows,
        "corrections": review.corrections,
        "same": review.same,
        "missed": [e.to_json() for e in review.missed],
        "unfounded": [e.to_json() for e in review.unfounded],
    }
    _write(json_file, figures)


# ---------------------------------------------------------------- quarantine

ReasonOf = Annotated[str, typer.Option("--reason", help="Only of this reason.")]
DeviceOf = Annotated[str, typer.Option("--device", help="Only of this device.")]


@quarantine.command("list")
def list_refused(
    *,
    reason: ReasonOf = "",
    device: DeviceOf = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    site: Site = Path(),
    data: Data = None,
    json_file: Json = None,
) -> None:
    """List refused frames with their reasons, the newest last. 隔离区列表."""
    from lifeline.mending.refeed import chosen, refed

    where = data or site / "data"
    held, fed = chosen(where, reason=reason, device=device), refed(where)
    said = _screen()
    for each in held[-limit:]:
        at = datetime.fromtimestamp(each.frame.receive_ns / 1e9, UTC)
        word = "fed 已回灌" if each.frame_id in fed else ""
        said.print(
            f"{each.frame_id:12} {at:%Y-%m-%d %H:%M:%S}Z {each.reason} {each.frame.path} "
            f"{len(each.frame.payload)} B {word} {each.detail}",
            markup=False,
        )
    said.print(f"{len(held)} refused frames; 共 {len(held)} 帧")
    _write(json_file, [_told(each, fed) for each in held])


@quarantine.command("show")
def show_refused(
    frame: Annotated[str, typer.Argument(help="As lifeline quarantine list names it.")],
    *,
    site: Site = Path(),
    data: Data = None,
    json_file: Json = None,
) -> None:
    """Show one refused frame, its reason and its bytes. 查看隔离帧."""
    from lifeline.mending.refeed import named, refed

    where = data or site / "data"
    each = named(where, frame)
    told = _told(each, refed(where)) | {"payload_hex": each.frame.payload.hex()}
    said = _screen()
    for name, value in told.items():
        said.print(f"{name}: {value}", markup=False)
    if each.frame.payload.isascii():
        said.print(each.frame.payload.decode("ascii"), markup=False)
    _write(json_file, told)


@quarantine.command("refeed")
def refeed_refused(
    frame: Annotated[list[str] | None, typer.Argument(help="Frames by name; or --all.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that are listed.")] = False,
    reason: ReasonOf = "",
    device: DeviceOf = "",
    site: Site = Path(),
    data: Data = None,
    by: By = "",
    json_file: Json = None,
) -> None:
    """Feed refused frames again, once what refused them is mended; each counts once. 回灌."""
    from lifeline.mending.refeed import chosen, named, refeed

    _, texts, where = _opened(site, data)
    if bool(frame) == everything:
        raise typer.BadParameter("name frames, or give --all (with --reason, --device)")
    asked = (
        [named(where, each) for each in frame]
        if frame
        else chosen(where, reason=reason, device=device)
    )
    with _progress("frames 帧") as tell:
        fed = refeed(where, asked, by=by or getpass.getuser(), mappings=texts.mappings, tell=tell)
    said = _screen()
    for line in fed.refused:
        said.print(line, markup=False)
    said.print(f"{len(fed.done)} fed, {len(fed.before)} had been, {len(fed.refused)} still refused")
    said.print(f"回灌 {len(fed.done)} 帧，此前已回灌 {len(fed.before)}，仍被拒 {len(fed.refused)}")
    _write(json_file, {"done": fed.done, "before": fed.before, "refused": fed.refused})
    raise typer.Exit(1 if fed.refused else 0)


# ---------------------------------------------------------------- shared


def _told(each: Refused, fed: dict[str, int]) -> dict[str, Any]:
    return {
        "frame": each.frame_id,
        "reason": each.reason,
        "detail": each.detail,
        "path": each.frame.path,
        "transport": each.frame.transport,
        "receive_ns": each.frame.receive_ns,
        "bytes": len(each.frame.payload),
        "fed": each.frame_id in fed,
    }


def _put(
    data: Path, mended: Mended, *, by: str, reason: str, dry_run: bool, json_file: Path | None
) -> None:
    from lifeline.mending.correct import journal

    figures: dict[str, Any] = {
        "kind": mended.kind,
        "rows": mended.rows,
        "channels": list(mended.channels),
        "frames": mended.frames,
        "unmatched": mended.unmatched,
        "refused": mended.refused,
    }
    if not mended.rows:
        _screen().print("nothing to change; 无需更正")
    elif dry_run:
        _screen().print("not written (--dry-run); 未写入")
    else:
        offset, name = journal(data, mended, by=by or getpass.getuser(), reason=reason)
        _screen().print(
            f"journaled at {offset}: page, store and back-tests on corrected data show it; no "
            "alarm is raised or taken back: lifeline rejudge lists what would differ"
        )
        _screen().print(f"已记入日志（{offset}）；不产生也不撤销报警，可用 lifeline rejudge 复核")
        figures |= {"offset": offset, "hash": name}
    _write(json_file, figures)


def _opened(site: Path, data: Path | None) -> tuple[CityConfig, SiteTexts, Path]:
    from lifeline.preflight import read_site
    from lifeline.settings.config import load_config

    config = load_config(site)
    where = data or config.data
    return config, read_site(config, where), where


def _span(begin: str, end: str) -> tuple[int, int]:
    from lifeline.backtest.truth import time_ns

    try:
        span = time_ns(begin, "--from"), time_ns(end, "--to")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if span[0] >= span[1]:
        raise typer.BadParameter("--from must be before --to")
    return span


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """Give what tells how many more are done, shown while it runs if this is a terminal."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    screen = Console(stderr=True)
    columns = (TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.update(task, advance=count)


def _screen() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _write(path: Path | None, figures: Any) -> None:
    if path is not None:
        text = json.dumps(figures, ensure_ascii=False, indent=2)
        path.write_text(text + "\n", encoding="utf-8")
