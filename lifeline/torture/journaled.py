"""What a data folder's logs hold, read as whole records, damage not allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.journal import JournalReader, durable_end
from lifeline.engine_process import SiteTexts
from lifeline.errors import Crashed
from lifeline.torture.senders import BOOT
from rules.readings import Control, Readings, position, texts_named

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from lifeline.torture.senders import Message
    from rules.readings import Record
    from rules.registry import Registry

Sample = tuple[str, int, int, int, float]
"""(device, sequence, port, event time in Unix ms, value)."""

MS: Final = 1_000_000


def said(messages: Iterable[Message]) -> set[Sample]:
    """Return every sample of messages."""
    return {(m.device, m.sequence, port, ms, v) for m in messages for port, ms, v in m.samples}


def read_journal(data: Path) -> list[Record]:
    """Return all records of the journal.

    Raises
    ------
    Crashed
        Something is damaged or missing: a kill must do neither.
    """
    folder = data / "journal"
    with JournalReader(folder) as reader:
        records: list[Record] = []
        end = durable_end(folder)
        while some := reader.read(until=end):
            records += some
        if reader.damage or [r.offset for r in records] != list(range(end)):
            raise Crashed(f"{folder}: not whole: {reader.damage[:3]}")
    return records


def event_lines(data: Path) -> list[bytes]:
    """Return all lines of the event log; errors as `read_journal`."""
    folder = data / "events"
    with JournalReader(folder) as reader:
        lines: list[bytes] = []
        while some := reader.events(until=durable_end(folder)):
            lines += [line for _, record in some for line in record.lines]
        if reader.damage:
            raise Crashed(f"{folder}: not whole: {reader.damage[:3]}")
    return lines


def registry_of(data: Path, records: list[Record]) -> Registry:
    """Return the registry the journal names last."""
    texts = SiteTexts(data)
    for record in records:
        if isinstance(record.body, Control):
            texts.hashes |= texts_named(record.body)
    loaded = texts.load()
    if loaded is None:
        raise Crashed(f"{data / 'journal'}: names no registry and rules")
    return loaded[1]


def rows_of(records: list[Record]) -> tuple[Readings, NDArray[np.int64]]:
    """Return all rows of records and their positions."""
    bodies = [(r.offset, r.body) for r in records if isinstance(r.body, Readings)]
    g = [position(offset) + np.arange(len(body)) for offset, body in bodies]
    return Readings.concatenate([b for _, b in bodies]), np.concatenate(g)


def samples_of(rows: Readings, registry: Registry) -> list[Sample]:
    """Return the samples of our senders among rows, in order, repeats included."""
    known = (rows.channel >= 0) & (rows.boot == BOOT)
    return [
        (registry.devices.id[d], s, int(registry.channels.port[c]), t // MS, v)
        for d, s, c, t, v in zip(
            rows.device[known].tolist(),
            rows.sequence[known].tolist(),
            rows.channel[known].tolist(),
            rows.event_ns[known].tolist(),
            rows.value[known].tolist(),
            strict=True,
        )
    ]


def seen(data: Path) -> set[Sample]:
    """Return every sample in the journal."""
    records = read_journal(data)
    return set(samples_of(rows_of(records)[0], registry_of(data, records)))
