"""Runs the demo: a folder, the processes, the story, and in the end the report."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import webbrowser
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ingest.journal import Cursor, durable_end
from ingest.store.manifest import Manifest
from lifeline.broker import wait_until_up
from lifeline.data_folder import DataFolder
from lifeline.demo.folder import write_city_folder
from lifeline.demo.report import Evidence
from lifeline.demo.story import Story
from lifeline.demo.watch import Watcher
from lifeline.errors import Failure
from lifeline.ledger import Ledger
from lifeline.preflight import ports_taken, read_site
from lifeline.processes import Context
from lifeline.processes.context import ClockOrigin
from lifeline.reachable import broker_port
from lifeline.site import Site
from lifeline.supervisor import Supervisor
from simulators.scenario import load_scenario

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from rich.console import Console

    from lifeline.clock import Clock
    from lifeline.settings.config import CityConfig

NAMES = ("broker", "ingest", "engine", "archive", "serve", "probe", "city")
BEGIN_AFTER_S = 3.0  # wall time the processes have to come up before the scenario begins
DRAIN_WITHIN_S = 30.0
CITY_STOPS_WITHIN_S = 8.0  # what is under way is still delivered and acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the command line says."""

    duration_s: float | None = None  # None: until Ctrl-C
    factor: float | None = None  # None: the scenario's own
    scenario: str = ""  # "": an hour of incidents; without a duration the endless one
    data: Path | None = None  # None: a temporary folder, removed at the end
    page_port: int = 8480
    browser: bool = True
    report: Path | None = None


def run_demo(options: DemoOptions, *, stop: threading.Event, console: Console) -> int:
    """Run until the duration is over or ``stop``; return the exit code.

    Raises
    ------
    Failure
        The demo cannot start, or a process of it does not stay up.
    """
    with _folder(options.data) as data, DataFolder(data):
        if options.duration_s is not None and any((data / "journal").iterdir()):
            said = f"{data}: holds an earlier run, and the report counts from nothing"
            raise Failure(f"{said}; choose an empty folder, or leave --data out")
        demo = _Demo.prepare(options, data, console)
        names = NAMES
        with Supervisor(demo.context, names, log_folder=data / "log") as supervisor:
            supervisor.on_restart = lambda name, code, pause_s: console.print(
                f"  process {name} ended ({code}); starting it again in {pause_s:.1f} s"
            )
            demo.start(supervisor)
            demo.live(supervisor, stop)
            if options.duration_s is None or stop.is_set():
                console.print("stopping the city")
                return 0
            demo.drain(supervisor)
        return demo.conclude()


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="lifeline-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@dataclass(slots=True)
class _Demo:
    options: DemoOptions
    context: Context
    config: CityConfig
    site: Site
    clock: Clock
    console: Console
    watcher: Watcher
    end_ns: int = 0

    @classmethod
    def prepare(cls, options: DemoOptions, data: Path, console: Console) -> _Demo:
        """Write the city's folder and settle the time everybody shares."""
        name = options.scenario or ("demo" if options.duration_s else "demo-endless")
        scenario = load_scenario(name)
        factor = options.factor or scenario.factor
        context = Context(site=data / "site", data=data, scenario=name)
        # A second run in one folder goes on after the first, which ran ahead of the wall.
        city_ns = max(scenario.start_ns or time.time_ns(), Watcher(data).city().get("city_ns", 0))
        origin = ClockOrigin(time.time_ns(), city_ns, factor)
        begin_ns = city_ns + int(BEGIN_AFTER_S * 1e9 * factor)
        context = replace(context, origin=origin, begin_ns=begin_ns)
        write_city_folder(context.site, scenario, page_port=options.page_port)
        config = context.config()
        if taken := ports_taken(config):
            raise Failure(*taken, "another port for the page: lifeline demo --port N")
        texts = read_site(config, data)
        site = Site(texts.registry, texts.plan)
        watcher = Watcher.after_the_last_run(data)
        return cls(options, context, config, site, origin.clock(), console, watcher)

    def start(self, supervisor: Supervisor) -> None:
        """Start everything and say where to look."""
        mqtt, page = self.config.entry.mqtt, self.config.entry.page
        supervisor.start("broker")
        if mqtt is not None:
            wait_until_up(broker_port(mqtt), timeout_s=20, alive=lambda: supervisor.alive("broker"))
        supervisor.start_all()
        registry = self.site.registry
        devices = registry.devices
        gateways = sum(kind == "gateway" for kind in devices.kind)
        address = f"http://{page.bind}:{page.port}/"
        say = self.console.print
        say("[bold]City Lifeline demo[/]: everything here is simulated (演练 / 仿真).")
        say(
            f"{len(registry.channels.id)} channels, {gateways} MQTT gateways, "
            f"{len(devices.id) - gateways} NB-IoT modules; {self.clock.factor:g} × faster than "
            "the wall"
        )
        say(f"page: [bold]{address}[/]   Ctrl-C stops")
        say("to acknowledge: press a on the page; or see `lifeline alarms list`, `ack`, with")
        say(f"the data folder: {self.context.data} (logs are in log/)")
        if self.options.browser and (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            webbrowser.open(address)

    def live(self, supervisor: Supervisor, stop: threading.Event) -> None:
        """Tell the story until it is over."""
        story = Story(self.site, self.console.print)
        limit_s = self.options.duration_s
        begin_s = time.monotonic() + BEGIN_AFTER_S
        while not stop.is_set():
            if limit_s is not None and time.monotonic() - begin_s >= limit_s:
                return
            supervisor.watch()
            new = self.watcher.poll(wait_s=0.2)
            city = self.watcher.city()
            story.tell_city(city, self.clock.now_ns())
            story.tell_events(new, city)

    def drain(self, supervisor: Supervisor) -> None:
        """Stop the city, then take in, judge and archive all that it sent.

        Raises
        ------
        Failure
            A reader did not get to the journal's end.
        """
        self.end_ns = self.clock.now_ns()
        self.console.print("the time is over; reading what is under way")
        supervisor.stop("city", "probe", within_s=CITY_STOPS_WITHIN_S)
        supervisor.stop("ingest", within_s=5.0)
        end = durable_end(self.context.data / "journal")
        deadline_s = time.monotonic() + DRAIN_WITHIN_S
        while behind := self._behind(end):
            if time.monotonic() > deadline_s:
                said = f"not at the journal's end {end} after {DRAIN_WITHIN_S:g} s: {behind}"
                raise Failure(said)
            supervisor.watch()
            self.watcher.poll(wait_s=0.1)

    def _behind(self, end: int) -> str:
        """Return which readers are not at the journal's end, "" when all are."""
        data = self.context.data
        at = {
            "engine": Cursor.load(data / "cursors" / "engine").offset,
            "archive": Manifest.load(data / "archive").next_offset,
        }
        late = [f"{name} at {offset}" for name, offset in at.items() if offset < end]
        last = max((seen.event.offset for seen in self.watcher.seen), default=-1)
        ledger = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
        through = ledger.cursor().through
        ledger.close()
        return ", ".join(late + [f"ledger at {through}"] * (through <= last))

    def conclude(self) -> int:
        """Make the report, show it and write it; return the exit code."""
        self.watcher.poll(wait_s=0.0)
        self.watcher.close()
        evidence = Evidence(
            data=self.context.data,
            city=self.watcher.city(),
            seen=self.watcher.seen,
            registry=self.site.registry,
            clock=self.clock,
            end_ns=self.end_ns,
            heartbeats=self.watcher.heartbeats(),
        )
        report = evidence.report()
        if self.options.report is not None:
            self.options.report.write_bytes(
                orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n"
            )
        _show(report, self.console)
        return 1 if report["failures"] else 0


def _show(report: dict[str, Any], console: Console) -> None:
    say = console.print
    for row in report["incidents"]:
        if row["delay_s"] is None:
            said = "not alarmed" if row["due"] else "not alarmed yet, not due yet"
        else:
            said = f"level {row['severity']} after {row['delay_s']:.0f} s"
        say(f"  {row['id']}: {said} (due within {row['deadline_s']:.0f} s of city time)")
    for name in ("sent", "journaled", "archived"):
        say(f"  readings {name}: {report[f'readings_{name}']}")
    say(f"  duplicates {report['duplicates']}, late {report['late']}, ", end="")
    say(f"malformed frames in quarantine {report['frames_quarantined']}")
    say(f"  sensor to alarm, ms: p50 {report['latency_ms_p50']}, p99 {report['latency_ms_p99']}")
    for line in report["failures"]:
        say(f"  [red]does not hold:[/] {line}")
    if not report["failures"]:
        say("  [green]everything holds[/]")
