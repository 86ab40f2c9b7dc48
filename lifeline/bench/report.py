"""docs/performance.md: every workload measured, on one page, with the machine it ran on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lifeline.bench.engine import by_kind, run_bench
from lifeline.bench.reference import compiler
from lifeline.bench.results import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from lifeline.bench.results import Result

HEAD = """# Performance

Measured, not estimated; written by `lifeline bench engine --all --markdown docs/performance.md`.
The programs take turns on the same readings in one process on one core; a figure is readings by
second of CPU time, the median over chunks of about 100 000 readings, Python's garbage collector
at rest. Other work on the machine lowers all figures, and moves the ratios less.

{machine}
"""


REACH = """## What numpy reaches, and what not

- Large batches of many channels, storms and back-fills are many times the loop's speed: work
  grows with readings, not with calls. Rows that change nothing never reach the lifecycle.
- **Small batches**: a batch of 1 000 readings under T3 is some 2 700 function calls (counted by
  cProfile), whatever its size. So the loop draws level there, and the batch of 10 000 is half
  way. Ingest commits in groups, so that batches grow with the load: the cost a reading falls
  when it matters.
- **Dense and shuffled 10k**: no stage has more than 40 % of the time (tables above), so that no
  single kernel can double the speed.
- **Latency**: the worst batches are those in which thousands of windows begin a new block of 32
  rows together, as channels that all began in the same second do. The sums of 63 rows are then
  made anew for each.
- **An optional compiled kernel** was measured as a trial outside the project: numba 0.68 put in
  place of the scorers of T3, all events equal byte for byte, the engines side by side in one
  process over the same batches. Ratio to the engine without it:

  | batch | slope compiled | slope, rate and z-score compiled |
  |---|--:|--:|
  | shuffled 100k | 1.04 | 1.30 |
  | shuffled 10k | 1.30 | 1.56 |
  | small 1k | 1.22 | 1.45 |
  | dense | 0.98 | 1.04 |
  | storm | 1.52 | 2.28 |
  | back-fill | 1.56 | 1.96 |

  p99 of a batch of 10 000 fell from 38 ms to 17 ms and 14 ms. So it would carry shuffled 10k and
  the latency over what was wanted of them, small batches nearly, dense not at all: there the time
  goes into judging, laying out and the lifecycle. The price is 208 MB of packages, 0.5 s of import
  and 2.7 s of compiling in each process, and a third implementation of each kind to be proven
  equal beside engine and twin. One core carries more than a million readings a second of the
  whole city without it, and 20 ms are little beside the seconds between two readings of a gas
  sensor; so it is left out.
"""


@dataclass(frozen=True, slots=True)
class Chapter:
    """One workload of the page: how it is run and what the reader should know."""

    workload: str
    title: str
    text: str
    ask: Ask


def _kinds(workload: str) -> str:
    rules = {
        "T1": "Four levels (10, 14, 26, 30) with a hysteresis of 0.5.",
        "T2": "T1, an exponentially weighted z-score beyond ±6, and the rate of change beyond "
        "±8/s.",
        "T3": "T2 and the slope of the last 60 s by least squares in true time, beyond ±0.1/s.",
    }
    return rules[workload]


COMMON = (
    " Beside the engine run a tight pure-Python loop and a C program (`cc -O2 -march=native`) of"
    " the same meaning: flags, duplicates, late rows, conflicts, clock epochs, true-time slopes;"
    " both keep running sums for the slope. *equal* says whether all three told the same events."
)

CHAPTERS = (
    *(
        Chapter(name, f"{name}: {title}", _kinds(name) + text, Ask(rounds=rounds, profile=True))
        for name, title, text, rounds in (
            ("T1", "thresholds", COMMON, 200),
            ("T2", "thresholds, z-score, rate", "", 200),
            ("T3", "thresholds, z-score, rate, slope", "", 150),
        )
    ),
    Chapter(
        "city",
        "city: 100 000 channels under the shipped rules",
        "Channels in the proportions of a city of 85 000 devices, readings when they are due, a"
        " batch as it comes in 10 s and, when catching up, 50 s of it. The loop's figure is that of"
        " T3 on the same machine, for scale: it is not the same work.",
        Ask(rounds=120, profile=True),
    ),
    Chapter(
        "rules",
        "rules: 10 rules beside 10 000",
        "10 rules that share the channels beside a rule for each channel: the same readings and the"
        " same events.",
        Ask(rounds=100),
    ),
    Chapter(
        "scale",
        "scale: from 10 000 to 1 000 000 channels",
        "T2. What grows is not the work but the distance to memory.",
        Ask(),
    ),
    Chapter(
        "latency",
        "latency: from a batch in to its events out",
        "T3, batches of 10 000 readings. The wall's clock counts other work on the machine too.",
        Ask(rounds=200),
    ),
    Chapter(
        "state",
        "state: bytes remembered",
        "Of the city under the shipped rules and of T3 after a while: a ring is as wide as any"
        " track of its kind has needed so far.",
        Ask(rounds=60),
    ),
    Chapter(
        "waveform",
        "waveform: features and pressure waves",
        "1 600 accelerometers at 50 Hz with four features a minute and the peak of a spectrum each"
        " ten minutes, 100 hydrants at 250 Hz with three features and waves on both sides; samples"
        " by CPU second over the whole run, blocks as they come in a second and ten seconds at"
        " once. Beside the engine numpy and scipy are called channel by channel on the same batches"
        " for the like figures, without minutes, gaps, late blocks or alarms.",
        Ask(),
    ),
    Chapter(
        "start",
        "start: a million channels from stored columns",
        "From the stored registry to an engine that goes on where a snapshot was taken, CPU"
        " seconds.",
        Ask(),
    ),
)


def run_all(
    console: Console, asks: Mapping[str, Ask] | None = None
) -> list[tuple[Chapter, list[Result]]]:
    """Run every chapter; ``asks`` replaces what a chapter asks for, by workload."""
    asks = asks or {}
    return [
        (chapter, run_bench(chapter.workload, asks.get(chapter.workload, chapter.ask), console))
        for chapter in CHAPTERS
    ]


def markdown(measured: Sequence[tuple[Chapter, Sequence[Result]]]) -> str:
    """Return the page."""
    page = [HEAD.format(machine=machine())]
    for chapter, results in measured:
        page.append(f"## {chapter.title}\n\n{chapter.text}\n")
        page += [
            table([row.cells() for row in rows]) for _, rows in groupby(by_kind(results), key=type)
        ]
    return "\n".join([*page, REACH])


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows, all with the same keys, as a table of Markdown."""
    names = list(rows[0])
    left = {"batch", "part", "step", "stage", "of", "encoder", "writer"}
    lines = [
        "| " + " | ".join(names) + " |",
        "|" + "|".join("---" if name in left else "--:" for name in names) + "|",
    ]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return the machine in a line: processor, cores, memory, versions."""
    system = platform.uname()
    processor = _processor() or system.processor or system.machine
    said = [
        f"{processor}, {os.cpu_count()} cores",
        f"{system.system} {system.release}",
        f"Python {platform.python_version()}",
        f"numpy {np.__version__}",
    ]
    if hasattr(os, "getloadavg"):
        said.append(f"{os.getloadavg()[1]:.1f} processes running at the start of this page")
    if compiler() is None:
        said.append("no C compiler")
    return "Machine: " + "; ".join(said) + "."


def _processor() -> str:
    """Return the processor's name where Linux tells it."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return ""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
