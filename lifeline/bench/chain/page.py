"""The chain's figures for people: tables on the terminal, and docs/rate.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from lifeline.bench.chain.bare import BATCH
from lifeline.bench.report import machine, table
from lifeline.bench.results import millions, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.bench.chain.run import Row

HEAD = """# What the whole chain carries

Measured, not estimated; written by `lifeline bench end-to-end --markdown docs/rate.md`. A real
mosquitto; ingest, engine and store as they run, each a process: MQTT at QoS 1, decoding, admission,
the journal with fsync, the raw side log, rules T3 (four levels, z-score, rate, slope; see
[performance.md](performance.md)) on every channel, the event log, line protocol as it would be
posted. A figure is readings **by CPU second of all our processes together**, user and system; the
broker's and the publisher's are not ours. By the wall all of them, and whatever else ran, share the
machine's cores. The median of the turns counts. *lost* is what the broker had taken over and
journal or text do not have, in all turns.

{machine}

## From the broker to line protocol

Beside it one process put together of good Python parts: paho, msgspec, numpy and text. It has no
journal and no acknowledgement after a sync, no duplicates, late rows, flags, units, quarantine,
hold or restart; rows by {batch} readings at once.

{chain}

Where our CPU seconds go, of one turn:

{parts}

For scale, measured elsewhere on a quiet machine of the same kind with the same readings, each
without a journal: Telegraf 1.40 with rules in Starlark 0.16 M readings/s at 500 readings a message
and 0.09 M messages/s at QoS 0; a bare assembly over gmqtt, 2.2 M and 0.19 M at QoS 0.

## Decoding alone

Payloads to columns of numbers; beside JSON msgspec's typed objects, made three columns; beside the
compact frame our codec of one frame at a time.

{decoding}

## What this says

- At 500 readings a message the engine takes the largest part: its rules T3 are the heaviest of the
  bench, and of a thousand readings 36 change a level, each of which becomes a line of the event
  log: a quarter of the engine's time. Then comes ingest, two fifths of it decoding, though no
  object a reading is made; a quarter and more of it is the system's, for 100 bytes a reading that
  go to disk, 60 to the journal and 40 to the raw log.
- The store's text has a floor: shortest decimals, cutting them and joining 156 bytes a line are
  some 200 ns a reading, with nothing of ours between.
- One process with none of the promises is about as fast at 500 readings a message (ours reached
  0.8 to 1.0 of it in four runs), and a third as fast at one.
- Runs differ by a quarter and more: five processes share two cores, and a CPU second is worth less
  the more of them run at once.
- At one reading a message the cost is that of messages: cutting them from the stream, a frame and a
  receipt each, its head. They are read, journaled and acknowledged in groups that grow with the
  load.
- The journal's price is small: columns are written as they lie in memory, and one sync serves a
  group.
"""


def tables(rows: Sequence[Row]) -> None:
    """Print the figures."""
    shown = Table(title="end to end, by CPU second of our processes together")
    for name in _cells(rows[0]):
        shown.add_column(name, justify="left" if name == "case" else "right")
    for row in rows:
        shown.add_row(*_cells(row).values())
    Console().print(shown)


def markdown(rows: Sequence[Row]) -> str:
    """Return the page."""
    chain = [row for row in rows if row.cpu_s]
    alone = [row for row in rows if not row.cpu_s]
    return HEAD.format(
        machine=machine(),
        batch=f"{BATCH:,}",
        chain=_left(table([_cells(row) for row in chain])),
        parts=_left(table([_parts(row) for row in chain])),
        decoding=table(
            [
                {
                    "case": row.case.partition(": ")[2],
                    "readings/s": millions(row.readings_per_s),
                    "beside": millions(row.baseline_per_s),
                    "ours ÷ beside": ratio(row.readings_per_s, row.baseline_per_s),
                }
                for row in alone
            ]
        ),
    )


def _left(text: str) -> str:
    """Let the names of cases begin at the left of their column."""
    return text.replace("|--:|", "|---|", 1)


def _cells(row: Row) -> dict[str, str]:
    return {
        "case": row.case,
        "readings/s": f"{row.readings_per_s:,}",
        "messages/s": f"{row.messages_per_s:,}",
        "beside, readings/s": "–" if row.baseline_per_s is None else f"{row.baseline_per_s:,}",
        "ours ÷ beside": ratio(row.readings_per_s, row.baseline_per_s),
        "by the wall": "–" if row.wall_readings_per_s is None else f"{row.wall_readings_per_s:,}",
        "lost": f"{row.lost:,}",
    }


def _parts(row: Row) -> dict[str, str]:
    shares = row.cpu_s or {}
    return {"case": row.case} | {
        f"{name}, ns a reading": f"{seconds / row.readings * 1e9:,.0f}"
        for name, seconds in shares.items()
    }
