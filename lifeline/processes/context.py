"""What every process is told on its command line, and the command line itself."""

from __future__ import annotations

import argparse
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lifeline.clock import Clock
from lifeline.preflight import held_site, read_site
from lifeline.settings.config import CityConfig, load_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.preflight import SiteTexts

NAMES: Final = ("broker", "ingest", "engine", "store", "archive", "serve", "probe", "city")


@dataclass(frozen=True, slots=True)
class ClockOrigin:
    """What makes the same Clock in every process; the default is the machine's time."""

    wall_ns: int = 0
    city_ns: int = 0
    factor: float = 1.0

    @classmethod
    def parse(cls, text: str) -> ClockOrigin:
        """Return the origin of ``wall_ns,city_ns,factor``."""
        wall, city, factor = text.split(",")
        return cls(int(wall), int(city), float(factor))

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        return f"{self.wall_ns},{self.city_ns},{self.factor!r}"

    def clock(self) -> Clock:
        """Return a clock that starts here."""
        return Clock(self.wall_ns, self.city_ns, self.factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One process: its site, its data, its time, and the event that ends it."""

    site: Path
    data: Path
    origin: ClockOrigin = field(default_factory=ClockOrigin)
    scenario: str = ""
    begin_ns: int = 0  # city time at which the scenario begins; 0 = when its process starts
    again: bool = False  # it fell and is started again: what held then holds, not the folder
    checkpoint_s: float | None = None  # between snapshots, between archive files; None: their own
    stop: threading.Event = field(default_factory=threading.Event)

    def config(self) -> CityConfig:
        """Read ``city.toml`` (again: a restarted process sees what was changed)."""
        return load_config(self.site)

    def texts(self, config: CityConfig) -> SiteTexts:
        """Return registry, rules and mappings of the folder, at a start of the whole city.

        A process that fell goes on with the registry and rules that held: an edit that nobody
        asked to reload must neither slip in by a crash nor keep the process down.
        """
        held = held_site(config, self.data) if self.again else None
        return held or read_site(config, self.data)


def command(name: str, context: Context, *, parent: int, json_logs: bool) -> list[str]:
    """Return the command line that starts a process as a child of ``parent``."""
    words = [sys.executable, "-m", "lifeline.processes", name]
    words += ["--site", str(context.site), "--data", str(context.data)]
    words += ["--clock", str(context.origin), "--parent", str(parent)]
    if context.again:
        words.append("--again")
    if context.scenario:
        words += ["--scenario", context.scenario, "--begin-ns", str(context.begin_ns)]
    if context.checkpoint_s is not None:
        words += ["--checkpoint-s", str(context.checkpoint_s)]
    return [*words, "--json-logs"] if json_logs else words


def parse(arguments: Sequence[str]) -> tuple[str, Context, int, bool]:
    """Return (name, context, parent or 0, JSON logs wanted) of a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lifeline.processes", description="One process of the city."
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--site", type=Path, required=True, help="the folder of city.toml")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--clock", type=ClockOrigin.parse, default=ClockOrigin())
    parser.add_argument("--scenario", default="", help="what happens in the simulated city")
    parser.add_argument("--begin-ns", type=int, default=0, help="city time it begins at")
    parser.add_argument("--again", action="store_true", help="started again after it fell")
    parser.add_argument("--parent", type=int, default=0, help="end when this process has ended")
    parser.add_argument("--checkpoint-s", type=float, help="between snapshots and archive files")
    parser.add_argument("--json-logs", action="store_true", help="one JSON object a line")
    said = parser.parse_args(arguments)
    context = Context(
        site=said.site,
        data=said.data,
        origin=said.clock,
        scenario=said.scenario,
        begin_ns=said.begin_ns,
        again=said.again,
        checkpoint_s=said.checkpoint_s,
    )
    return said.name, context, said.parent, said.json_logs
