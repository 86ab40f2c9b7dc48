"""``lifeline redecode`` and ``lifeline mark``: corrections made, stored, journaled."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.admission import Admission
from ingest.journal import JournalReader, OffsetGone, durable_end
from ingest.journal.segments import segments
from ingest.quarantine import MAX_PAYLOAD_BYTES
from ingest.refeed import frames_of
from ingest.store.corrections import BAD, GOOD, KINDS, REDECODE, TYPE, Corrected, load
from lifeline.errors import Missing, Rejected
from lifeline.ledger.mirror import ControlRefused, ask
from lifeline.mending.past import Past, corrections_of, read_past
from rules.readings import QC_FAIL, Readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ingest.codecs.json_mapping import Mapping
    from ingest.frame import Frame
    from rules.registry import Registry

FRAMES = 2_000  # decoded at a time
MATCHED = ("channel", "receive_ns", "boot", "sequence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What a correction says. ``rows`` are those that change; ``corrected`` what is written anew.

    ``unmatched`` rows came out of the raw frames and stand in no record: they were refused then,
    and are fed again by ``lifeline quarantine refeed``.
    """

    kind: str
    rows: int
    channels: tuple[str, ...]
    corrected: Corrected
    frames: int = 0
    unmatched: int = 0
    refused: int = 0
    cut: int = 0  # payloads too long for the raw log


def marked(
    data: Path, registry: Registry, channels: Sequence[str], span_ns: tuple[int, int], *, bad: bool
) -> Mended:
    """Return the correction that makes a channel's interval (measured time) bad, or good again.

    Good again means the flags that were recorded; a redecoded value stays redecoded.
    """
    rows = rows_of(registry, channels)
    known = corrections_of(data)
    was = read_past(data, rows, span_ns, by="judged_ns")
    now = was.copy()
    was.lay_over(data, known, kinds=KINDS)
    now.lay_over(data, known, kinds=(REDECODE,))
    if bad:
        now.columns["qc_flag"] = np.full(len(now), QC_FAIL, np.uint8)
        now.columns["usable"] = np.zeros(len(now), np.bool_)
    changed = _differing(was, now)
    return Mended(
        kind=BAD if bad else GOOD,
        rows=int(changed.sum()),
        channels=tuple(channels),
        corrected=_whole(now, was, changed),
    )


def redecoded(
    data: Path,
    registry: Registry,
    channels: Sequence[str],
    span_ns: tuple[int, int],
    *,
    mappings: Sequence[Mapping] = (),
    tell: Callable[[int], None] = lambda _frames: None,
) -> Mended:
    """Return the correction that the raw frames of a span (receive time) give with this registry.

    Raises
    ------
    Missing
        The raw log does not reach back so far, or the archive does not hold the span yet.
    """
    rows = rows_of(registry, channels)
    known = corrections_of(data)
    received = read_past(data, rows, span_ns, by="receive_ns")
    admission = Admission(registry, mappings=mappings)
    fresh, counts = _decoded(data, admission, rows, span_ns, tell)
    value, qc_flag, usable, found = _matched(received, fresh)
    judged = received["judged_ns"][found]
    span = (int(judged.min()), int(judged.max()) + 1) if len(judged) else (0, 0)
    was = read_past(data, rows, span, by="judged_ns")
    now = was.copy()
    was.lay_over(data, known, kinds=KINDS)
    now.lay_over(data, known, kinds=(REDECODE,))
    at = np.searchsorted(now["g"], received["g"][found])
    for name, column in (("value", value), ("qc_flag", qc_flag), ("usable", usable)):
        now.columns[name][at] = column
    bad = [pair for pair in known.names if pair[1] != REDECODE]
    _keep_marks(data, now, bad)
    changed = _differing(was, now)
    return Mended(
        kind=REDECODE,
        rows=int(changed.sum()),
        channels=tuple(channels),
        corrected=_whole(now, was, changed),
        frames=counts["frames"],
        unmatched=len(fresh) - len(value),
        refused=counts["refused"],
        cut=counts["cut"],
    )


def journal(data: Path, mended: Mended, *, by: str, reason: str) -> tuple[int, str]:
    """Store a correction and let ingest journal its record; return (offset, hash).

    Raises
    ------
    Missing
        Ingest does not run: nobody else writes the journal.
    Rejected
        It refuses, with the reason.
    """
    name = mended.corrected.save(data)
    said = {
        "hash": name,
        "kind": mended.kind,
        "by": by,
        "reason": reason,
        "command": f"correction-{uuid.uuid4()}",
        "rows": mended.rows,
        "channels": list(mended.channels[:100]),
    }
    return command(data, TYPE, said), name


def command(data: Path, kind: str, said: dict[str, Any]) -> int:
    """Ask ingest for a Control record; return its offset.

    Raises
    ------
    Missing
        Ingest does not run.
    Rejected
        It refuses, with the reason.
    """
    path = data / "run" / "control.sock"
    try:
        return ask(path, json.dumps({"type": kind, "data": said}, ensure_ascii=False))
    except ControlRefused as error:
        raise Rejected(str(error)) from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        remedy = "start the city (lifeline run), then give the command again"
        raise Missing(
            f"{path}: ingest does not run, and it alone writes the journal; {remedy}"
        ) from (error)


def rows_of(registry: Registry, channels: Sequence[str]) -> NDArray[np.int32]:
    """Return the rows of channels by id.

    Raises
    ------
    Missing
        One is not in the registry.
    """
    unknown = [each for each in channels if each not in registry.channel_row]
    if unknown or not channels:
        said = ", ".join(unknown) or "none was named"
        raise Missing(f"no such channel: {said}; ids look like {registry.channels.id[0]}")
    return np.array([registry.channel_row[each] for each in channels], np.int32)


def channels_of(registry: Registry, device: str) -> list[str]:
    """Return the ids of a device's channels.

    Raises
    ------
    Missing
        It is not in the registry.
    """
    row = registry.device_row.get(device)
    if row is None:
        raise Missing(f"no such device: {device}; ids look like {registry.devices.id[0]}")
    at = np.flatnonzero(np.asarray(registry.channels.device) == row)
    return [registry.channels.id[n] for n in at.tolist() if not registry.channels.derived[n]]


# ---------------------------------------------------------------- what was and what should be


def _differing(was: Past, now: Past) -> NDArray[np.bool_]:
    same = (was["value"] == now["value"]) | (np.isnan(was["value"]) & np.isnan(now["value"]))
    same &= (was["qc_flag"] == now["qc_flag"]) & (was["usable"] == now["usable"])
    differing: NDArray[np.bool_] = ~same
    return differing


def _whole(now: Past, was: Past, changed: NDArray[np.bool_]) -> Corrected:
    """Return what changes, and more where the store deletes first.

    Of a channel with a row that became a measurement, or none any more, all between its first and
    last change is written anew.
    """
    crossed = now.crossed(was)
    taken = changed.copy()
    channel, judged_ns = now["channel"], now["judged_ns"]
    for row in np.unique(channel[crossed & changed]).tolist():
        times = judged_ns[(channel == row) & changed]
        taken |= (channel == row) & (judged_ns >= times.min()) & (judged_ns <= times.max())
    return now.corrected(taken, was)


def _keep_marks(data: Path, now: Past, names: list[tuple[str, str]]) -> None:
    """Leave bad what a person marked bad, whatever it decodes to."""
    g = now["g"]
    bad = np.zeros(len(g), np.bool_)
    for name, kind in names:
        held = load(data, name)
        if len(g):
            at = np.minimum(np.searchsorted(g, held.g), len(g) - 1)
            bad[at[g[at] == held.g]] = kind == BAD
    now.columns["qc_flag"][bad] = QC_FAIL
    now.columns["usable"][bad] = False


# ---------------------------------------------------------------- the raw log


def _decoded(
    data: Path,
    admission: Admission,
    rows: NDArray[np.int32],
    span_ns: tuple[int, int],
    tell: Callable[[int], None],
) -> tuple[Readings, dict[str, int]]:
    counts = {"frames": 0, "refused": 0, "cut": 0}
    parts: list[Readings] = []
    for group in _frames(data / "raw", span_ns):
        whole = [f for f in group if len(f.payload) < MAX_PAYLOAD_BYTES]
        admitted = admission.admit(whole)
        counts["frames"] += len(whole)
        counts["cut"] += len(group) - len(whole)
        counts["refused"] += sum(each.whole for each in admitted.quarantined)
        readings = admitted.readings
        parts.append(readings.take(np.isin(readings.channel, rows)))
        tell(len(group))
    return Readings.concatenate(parts), counts


def _frames(folder: Path, span_ns: tuple[int, int]) -> Iterator[list[Frame]]:
    """Yield the raw log's frames with from ≤ received < to, some at a time."""
    held = segments(folder)
    if not held:
        raise Missing(f"{folder}: the raw log is empty; nothing can be decoded again")
    first = held[0].first > 0  # something was removed before it
    end = durable_end(folder)
    with JournalReader(folder, start=held[0].first) as reader:
        while reader.next_offset < end:
            try:
                records = reader.frames(until=end, max_rows=FRAMES)
            except OffsetGone as gone:
                reader.close()
                reader.next_offset = gone.oldest
                continue
            if not records:
                return
            frames = [frame for _, record in records for frame in frames_of(record)]
            if first and frames and frames[0].receive_ns > span_ns[0]:
                begin = np.datetime64(frames[0].receive_ns, "ns")
                raise Missing(
                    f"{folder}: begins at {begin}Z, after --from; what is older was removed "
                    "([journal] raw_keep): give a later --from"
                )
            first = False
            inside = [f for f in frames if span_ns[0] <= f.receive_ns < span_ns[1]]
            if inside:
                yield inside
            elif frames and frames[0].receive_ns >= span_ns[1]:
                return


def _matched(past: Past, fresh: Readings) -> tuple[Any, Any, Any, NDArray[np.intp]]:
    """Return value, flag and usability of the fresh rows that are recorded, and of which rows.

    A row is known by its channel, its message's receive time, boot and sequence, and its place
    among the message's rows of that channel.
    """
    old = _keys({name: past[name] for name in (*MATCHED, "index")})
    new = _keys({name: getattr(fresh, name) for name in (*MATCHED, "index")})
    place = {key: n for n, key in enumerate(old)}
    pairs = [(n, place[key]) for n, key in enumerate(new) if key in place]
    taken = np.array([n for n, _ in pairs], np.intp)
    found = np.array([at for _, at in pairs], np.intp)
    return fresh.value[taken], fresh.qc_flag[taken], fresh.usable[taken], found


def _keys(columns: dict[str, NDArray[Any]]) -> list[tuple[int, ...]]:
    order = np.lexsort([columns["index"], *(columns[name] for name in reversed(MATCHED))])
    stacked = np.stack([columns[name][order].astype(np.int64) for name in MATCHED])
    begins = np.ones(len(order), np.bool_)
    if len(order):
        begins[1:] = (stacked[:, 1:] != stacked[:, :-1]).any(axis=0)
    starts = np.flatnonzero(begins)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    keys = np.empty((len(order), len(MATCHED) + 1), np.int64)
    keys[order] = np.column_stack([*stacked, rank]) if len(order) else keys
    return [tuple(key) for key in keys.tolist()]
