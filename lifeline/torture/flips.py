"""The campaign of flipped bits: one bit in every byte of what a city keeps, one after another.

Each is to be found and told with its place, and everything else is to be used. What the logs hold
is compared record by record, a snapshot is to give way to the older one, and a cursor is to be
refused with what to do.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingest.frame import Frame
from ingest.journal import (
    Cursor,
    CursorDamaged,
    EventLines,
    Frames,
    JournalReader,
    JournalWriter,
    SeriesRows,
    durable_end,
)
from ingest.journal.segments import segments
from ingest.quarantine import Quarantined, quarantine_record
from lifeline.engine_process import SiteTexts, empty_site
from lifeline.series_log import SeriesLog
from lifeline.snapshots import SnapshotFolder
from lifeline.torture.journaled import read_journal
from lifeline.torture.power import Broken, Rig, content_of
from rules.engine import Engine

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

LIVES: Final = 3
LEAST: Final = 20  # flips a kind of file, however small
LOGS: Final = ("journal", "events", "series", "quarantine")
REFUSED: Final = 12
PAYLOAD_BYTES: Final = 150


@dataclass
class Tally:
    """What became of the flips in one kind of file."""

    bytes: int = 0
    flips: int = 0
    found: int = 0
    records_lost: int = 0  # in sum; a flip costs one
    most_lost: int = 0  # by one flip
    missed: list[str] = field(default_factory=list)


def run_flips(
    *,
    flips: int,
    seed: int,
    stop: threading.Event,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Flip about ``flips`` bits, spread evenly over all bytes, and return the row of figures."""
    draw = random.Random(f"{seed}/flips")
    tallies: dict[str, Tally] = {}
    with tempfile.TemporaryDirectory(prefix="lifeline-flips-") as name:
        data = _grown(Path(name), f"{seed}/flips")
        checks = _checks(data)
        sizes: Counter[str] = Counter()
        for path in checks:
            sizes[path.parent.name] += path.stat().st_size
        done = 0
        for path, check in checks.items():
            kind = path.parent.name
            tally = tallies.setdefault(kind, Tally())
            whole = path.read_bytes()
            tally.bytes += len(whole)
            stride = max(1, min(sizes.total() // flips, sizes[kind] // LEAST))
            for at in range(draw.randrange(stride), len(whole), stride):
                if stop.is_set():
                    break
                hurt = bytearray(whole)
                hurt[at] ^= 1 << draw.randrange(8)
                path.write_bytes(hurt)
                _note(tally, f"{path.name}:{at}", check)
                done += 1
                told(done)
            path.write_bytes(whole)
    return {
        "flips": done,
        "seed": seed,
        "missed": sum(len(tally.missed) for tally in tallies.values()),
        "files": {
            kind: {
                "bytes": tally.bytes,
                "flips": tally.flips,
                "found": tally.found,
                "records_lost": tally.records_lost,
                "most_lost": tally.most_lost,
                "first_missed": tally.missed[0] if tally.missed else "",
            }
            for kind, tally in tallies.items()
        },
    }


def _note(tally: Tally, place: str, check: Callable[[], tuple[int, str]]) -> None:
    lost, wrong = check()
    tally.flips += 1
    tally.records_lost += lost
    tally.most_lost = max(tally.most_lost, lost)
    if wrong:
        tally.missed.append(f"{place}: {wrong}")
    else:
        tally.found += 1


# ---------------------------------------------------------------- what is flipped


def _grown(folder: Path, seed: str) -> Path:
    """Return a data folder with all kinds of files, made by those who make them."""
    rig = Rig(folder, seed, Broken())
    for _ in range(LIVES):
        rig.live_well()
    data = rig.data
    texts = SiteTexts(data)
    engine = Engine(*empty_site(), resolve=texts.resolve, reads_out=True)
    records = read_journal(data)
    snapshots = SnapshotFolder(data / "snapshots")
    series = SeriesLog(data)
    for at in range(0, len(records), 20):
        some = records[at : at + 20]
        engine.fold(some)
        series.append(engine.series(), some[-1].offset + 1)
        series.commit()
        snapshots.write(engine, texts.hashes)
    series.close()
    draw = random.Random(seed)
    with JournalWriter(data / "quarantine") as writer:
        for n in range(REFUSED):
            frame = Frame(draw.randbytes(PAYLOAD_BYTES), "mqtt", "lifeline/v1/x/up", n)
            writer.append(quarantine_record([Quarantined("crc", frame, "井")]))
            writer.commit()
    return data


def _checks(data: Path) -> dict[Path, Callable[[], tuple[int, str]]]:
    """Return by file what looks whether a flip in it is found: (records lost, what is wrong)."""
    found: dict[Path, Callable[[], tuple[int, str]]] = {}
    for name in LOGS:
        whole, _ = _read(data / name)
        for segment in segments(data / name):
            found[segment.path] = _log_check(segment.path, whole)
    newest, older = sorted((data / "snapshots").glob("*.snap"), reverse=True)[:2]
    found[newest] = _snapshot_check(newest, older)
    cursor = data / "cursors" / "engine"
    found[cursor] = lambda: _cursor_check(cursor)
    return found


# ---------------------------------------------------------------- who looks


def _read(folder: Path) -> tuple[dict[int, bytes], list[Any]]:
    """Return the content of every record a log gives, by offset, and the damage it tells."""
    name, end = folder.name, durable_end(folder)
    held: dict[int, bytes] = {}
    with JournalReader(folder) as reader:
        while True:
            some: list[tuple[int, Any]]
            if name == "events":
                some = [*reader.events(until=end)]
            elif name == "series":
                some = [*reader.series(until=end)]
            elif name == "quarantine":
                some = [*reader.frames(until=end)]
            else:
                some = [(record.offset, record.body) for record in reader.read(until=end)]
            if not some:
                return held, reader.damage
            held |= {offset: _content(body) for offset, body in some}


def _content(body: Any) -> bytes:
    if isinstance(body, EventLines):
        return b"%d\n" % body.through + b"\n".join(body.lines)
    if isinstance(body, SeriesRows):
        columns = (body.series.g, body.series.judged_ns, body.series.value, body.series.score)
        return b"%d" % body.through + b"".join(column.tobytes() for column in columns)
    if isinstance(body, Frames):
        return repr([body.receive_ns.tolist(), body.payload, body.reason, body.detail]).encode()
    return content_of(body)


def _log_check(path: Path, whole: dict[int, bytes]) -> Callable[[], tuple[int, str]]:
    def check() -> tuple[int, str]:
        held, damage = _read(path.parent)
        lost = Counter(offset for each in damage for offset in range(each.first, each.last + 1))
        missing = whole.keys() - held.keys()
        if any(held[offset] != whole.get(offset) for offset in held):
            return len(missing), "a record came with another content"
        if set(lost) != missing or set(lost.values()) - {1}:
            return len(missing), f"{sorted(missing)} are missing, {sorted(lost)} are told"
        if not damage or any(each.path != path for each in damage):
            return len(missing), f"not told with its place: {damage}"
        return len(missing), ""

    return check


def _snapshot_check(newest: Path, older: Path) -> Callable[[], tuple[int, str]]:
    folder = SnapshotFolder(newest.parent)

    def check() -> tuple[int, str]:
        told = folder.load(until=int(newest.stem))
        used = -1 if told is None else int(told[0]["next_offset"])
        if used != int(older.stem):
            return 0, f"the snapshot at {used} was used, not the older one at {int(older.stem)}"
        return 0, ""

    return check


def _cursor_check(path: Path) -> tuple[int, str]:
    try:
        at = Cursor.load(path).offset
    except CursorDamaged as error:
        return 0, "" if str(path) in str(error) else f"without its place: {error}"
    return 0, f"taken for a cursor at {at}"
