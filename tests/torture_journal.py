"""What the journal of a tortured city holds, and what its senders said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from paho.mqtt import publish

from ingest.codecs.compact import encode as encode_frame
from ingest.journal import JournalReader, durable_end
from lifeline.engine_process import SiteTexts
from rules.readings import Control, Readings, Record, position, texts_named
from tests.torture import GATEWAYS, Message, Signal

if TYPE_CHECKING:
    from pathlib import Path

    from rules.registry import Registry


def read_journal(data: Path) -> list[Record]:
    folder = data / "journal"
    with JournalReader(folder) as reader:
        records: list[Record] = []
        end = durable_end(folder)
        while some := reader.read(until=end):
            records += some
        assert not reader.damage
    assert [r.offset for r in records] == list(range(end))
    return records


def event_lines(data: Path) -> list[bytes]:
    folder = data / "events"
    with JournalReader(folder) as reader:
        lines: list[bytes] = []
        while some := reader.events(until=durable_end(folder)):
            lines += [line for _, record in some for line in record.lines]
        assert not reader.damage
    return lines


def registry_of(data: Path, records: list[Record]) -> Registry:
    texts = SiteTexts(data)
    for record in records:
        if isinstance(record.body, Control):
            texts.hashes |= texts_named(record.body)
    loaded = texts.load()
    assert loaded is not None
    return loaded[1]


def rows_of(records: list[Record]) -> tuple[Readings, np.ndarray]:
    """Return all rows of the journal and their positions."""
    bodies = [(r.offset, r.body) for r in records if isinstance(r.body, Readings)]
    g = [position(offset) + np.arange(len(body)) for offset, body in bodies]
    return Readings.concatenate([b for _, b in bodies]), np.concatenate(g)


def journaled(data: Path) -> set[tuple[str, int, int, int, float]]:
    """Return (device, sequence, port, event ms, value) of every reading in the journal."""
    records = read_journal(data)
    registry = registry_of(data, records)
    rows, _ = rows_of(records)
    known = rows.channel >= 0
    assert set(rows.boot[known].tolist()) <= {Signal.boot}
    return {
        (registry.devices.id[d], s, int(registry.channels.port[c]), t // 1_000_000, v)
        for d, s, c, t, v in zip(
            rows.device[known].tolist(),
            rows.sequence[known].tolist(),
            rows.channel[known].tolist(),
            rows.event_ns[known].tolist(),
            rows.value[known].tolist(),
            strict=True,
        )
    }


def said(messages: list[Message]) -> set[tuple[str, int, int, int, float]]:
    return {(m.device, m.sequence, port, ms, v) for m in messages for port, ms, v in m.samples}


def is_subscribed(data: Path, port: int) -> bool:
    """Say once that a gateway lives; return whether the journal heard it.

    The broker keeps messages only for a session it knows: what comes before is nobody's.
    """
    alive = encode_frame(device=GATEWAYS[0], boot=1, sequence=0, time_base_ms=0, simulation=True)
    publish.single(f"lifeline/v1/{GATEWAYS[0]}/up", alive, qos=1, hostname="127.0.0.1", port=port)
    with JournalReader(data / "journal") as reader:
        records = reader.read(until=durable_end(data / "journal"))
    return any(isinstance(record.body, Readings) for record in records)
