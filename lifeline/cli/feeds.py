"""``lifeline simulate``, ``replay`` and ``recording``: the test bench's way in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lifeline.cli.ending import ending_by_signal

if TYPE_CHECKING:
    from rules.events import Event

recording = typer.Typer(help="Recordings: others' files in and out.", no_args_is_help=True)


def simulate(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario's name, or a file.")],
    *,
    to: Annotated[
        str, typer.Option(help="A broker: mqtt://HOST:PORT, with TLS mqtts://HOST:PORT.")
    ] = "",
    coap: Annotated[str, typer.Option(help="Where modules post, with --to: coap://HOST:PORT")] = "",
    out: Annotated[Path | None, typer.Option(help="A recording's folder, or a .zip.")] = None,
    factor: Annotated[float, typer.Option(min=0.01, help="Speed with --to; 1 is real time.")] = 1.0,
    lasts: Annotated[str, typer.Option(help="City time, as 30m; the scenario's own.")] = "",
    registry: Annotated[
        Path | None, typer.Option(help="A folder of registry files; the scenario's own city.")
    ] = None,
    stats: Annotated[Path | None, typer.Option(help="Write what was sent here, as JSON.")] = None,
    user: Annotated[str, typer.Option(help="Of the broker.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="Its password's file.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Its authority, with mqtts; the machine's own.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Only this one speaks; may be given again.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(help="This one is left to real hardware, at factor 1; may be given again."),
    ] = None,
    clients: Annotated[
        int | None, typer.Option(min=1, help="At most so many MQTT and so many CoAP devices speak.")
    ] = None,
) -> None:
    """Let a simulated city speak to a broker, or write a recording of it at full speed."""
    from lifeline.simulate import record_scenario, send_scenario

    said = Console(highlight=False, soft_wrap=True)
    if without and (out is not None or factor != 1):
        raise typer.BadParameter("--without: real hardware lives in real time; use --to, factor 1")
    if (out is None) == (not to):
        raise typer.BadParameter("give either --to mqtt://HOST:PORT or --out RECORDING")
    if out is not None:
        meta = record_scenario(scenario, out=out, lasts=lasts, registry=registry)
        said.print(f"{out}: {meta['readings_sent']} readings, {len(meta['incidents'])} incidents")
        return
    with ending_by_signal() as stop:
        told = send_scenario(
            scenario,
            to=to,
            coap=coap,
            factor=factor,
            lasts=lasts,
            registry=registry,
            stats=stats,
            user=user,
            password_file=password_file,
            ca_file=ca_file,
            only=device or [],
            without=without or [],
            most=clients,
            stop=stop,
        )
    said.print(_sent(told))


def _sent(told: dict[str, Any]) -> str:
    clients = f"{told['clients'].get('mqtt', 0)} MQTT and {told['clients'].get('coap', 0)} CoAP"
    counts = f"{told['readings_sent']} readings, {told['readings_acked']} acknowledged"
    return f"{clients} clients sent {counts}"


def replay(
    source: Annotated[
        Path, typer.Argument(help="A recording, a data folder, or a mapping file of a CSV.")
    ],
    *,
    speed: Annotated[str, typer.Option(help="Times as fast as it was, or max.")] = "max",
    rules: Annotated[
        Path | None, typer.Option(help="Rules to try: a folder or file; the shipped ones.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The CSV, where the mapping's is not.")] = None,
    begin: Annotated[
        str, typer.Option("--from", help="Seek: tell what happened from here, ISO 8601 with zone.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Up to here, ISO 8601 with zone.")] = "",
    warm: Annotated[str, typer.Option(help="Played before --from, so that rules learn.")] = "1h",
    loops: Annotated[int, typer.Option(min=1, max=1000, help="Again and again, later.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Keep the data folder of the run here.")] = None,
    events: Annotated[Path | None, typer.Option(help="Write all events here, as JSONL.")] = None,
    quiet: Annotated[bool, typer.Option(help="Only the sums.")] = False,
) -> None:
    """Play a recording through the real pipeline; the events are those of the live run."""
    from lifeline.recording_times import play_of
    from rules.events import encode
    from simulators.recording import replay as play

    asked = play_of(begin=begin, end=end, warm=warm, loops=loops)
    factor = _speed(speed)
    said = Console(highlight=False, soft_wrap=True)

    def tell(new: list[Event]) -> None:
        for event in [] if quiet else new:
            if line := _told(event):
                said.print(line)

    with ending_by_signal() as stop:
        done = play(
            source,
            speed=factor,
            rules=rules,
            data=data,
            file=file,
            play=asked,
            stop=stop,
            on_events=tell,
        )
    for warning in done.warnings:
        Console(stderr=True, highlight=False, soft_wrap=True).print(str(warning), markup=False)
    if events is not None:
        events.write_bytes(b"".join(encode(event) + b"\n" for event in done.events))
    rate = done.readings / max(done.wall_s, 1e-9)
    said.print(
        f"{done.readings} readings in {done.wall_s:.1f} s ({rate:,.0f}/s), "
        f"{done.quarantined} in quarantine, {len(done.events)} events, {len(done.alarms)} alarms"
    )


@recording.command("export")
def export_recording(
    source: Annotated[Path, typer.Argument(help="A recording or a data folder.")],
    out: Annotated[Path, typer.Argument(help="A file: .csv, .parquet or .jsonl.")],
) -> None:
    """Write a recording as a file others read."""
    from simulators.recording import export

    counts = export(source, out)
    print(f"{out}: " + ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items()))


@recording.command("import")
def import_recording(
    source: Annotated[Path, typer.Argument(help="A .csv, .parquet or .jsonl as exported.")],
    out: Annotated[Path, typer.Argument(help="The recording's folder, or a .zip.")],
    *,
    registry: Annotated[
        Path | None, typer.Option(help="A folder of registry files, where the file has none.")
    ] = None,
) -> None:
    """Make a recording of a file."""
    from rules.registry_file import load_registry
    from simulators.recording import import_

    meta = import_(source, out, registry=load_registry(registry) if registry else None)
    print(f"{out}: {meta.get('readings', 0)} readings")


@recording.command("cut")
def cut_recording(
    source: Annotated[Path, typer.Argument(help="A recording or a data folder.")],
    out: Annotated[Path, typer.Argument(help="The new recording's folder, or a .zip.")],
    *,
    begin: Annotated[str, typer.Option("--from", help="Received at or after, ISO 8601.")] = "",
    end: Annotated[str, typer.Option("--to", help="Received before, ISO 8601.")] = "",
    channel: Annotated[
        list[str] | None, typer.Option(help="Pattern of channel ids, as '*-gas-*'; again for more.")
    ] = None,
) -> None:
    """Take a part of a recording: some time, some channels."""
    from lifeline.recording_times import cut_of
    from simulators.recording import cut

    meta = cut(source, out, cut_of(begin=begin, end=end, channels=channel or []))
    print(f"{out}: {meta['readings']} readings")


@recording.command("spice")
def spice_recording(
    source: Annotated[Path, typer.Argument(help="A recording or a data folder.")],
    out: Annotated[Path, typer.Argument(help="The new recording's folder, or a .zip.")],
    *,
    scenario: Annotated[
        str, typer.Option(help="Its incidents, `at` from the recording's begin; a name or a file.")
    ],
) -> None:
    """Lay incidents over a recording: what if this had happened then."""
    from simulators.recording import spice
    from simulators.scenario import load_scenario

    meta = spice(source, out, load_scenario(scenario))
    print(
        f"{out}: {meta['readings']} readings, {meta['readings_changed']} changed, "
        f"{meta['readings_silenced']} silenced, {len(meta['incidents'])} incidents"
    )


@recording.command("anonymise")
def anonymise_recording(
    source: Annotated[Path, typer.Argument(help="A recording or a data folder.")],
    out: Annotated[Path, typer.Argument(help="The new recording's folder, or a .zip.")],
    *,
    key: Annotated[Path, typer.Option(help="The secret key; made where there is none.")],
    names: Annotated[Path, typer.Option("--map", help="Write which name became which, apart.")],
    blur_m: Annotated[float, typer.Option(min=0, max=20000, help="Positions move so far.")] = 200.0,
) -> None:
    """Take every code, name and exact place out of a recording."""
    from simulators.recording import anonymise

    meta = anonymise(source, out, key_file=key, map_file=names, blur_m=blur_m)
    print(
        f"{out}: {meta['readings']} readings, {meta['commands_left_out']} commands left out; "
        f"keep {key} and {names} to yourself"
    )


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise typer.BadParameter(f"--speed {text}: a number above 0, or max")
    return value


def _told(event: Event) -> str:
    from datetime import UTC, datetime

    colours = {1: "blue", 2: "yellow", 3: "dark_orange", 4: "red"}
    if not event.severity and not event.previous:
        return ""
    at = datetime.fromtimestamp(event.event_ns / 1e9, UTC)
    value = "" if event.value is None else f" value {event.value:.6g}"
    limit = "" if event.limit is None else f" limit {event.limit:.6g}"
    colour = colours.get(event.severity, "default")
    name = f"[{colour}]{event.type.value:12}[/]"
    return f"{at:%Y-%m-%d %H:%M:%S}  {name} {event.rule} {event.subject}{value}{limit}"
