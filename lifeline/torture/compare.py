"""What is promised, compared with what is left: journal, store, event log, ledger, receiver."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from lifeline.engine_process import SiteTexts, empty_site
from lifeline.ledger import Ledger
from lifeline.ledger.book import append
from lifeline.ledger.tables import EVENT
from lifeline.notify import WebhookSettings
from lifeline.time_source import STEP_RULE, UNSYNCHRONISED_RULE
from lifeline.torture.journaled import (
    MS,
    event_lines,
    read_journal,
    registry_of,
    rows_of,
    said,
    samples_of,
)
from lifeline.torture.processes import NAMES, log_of
from lifeline.torture.site import GATEWAYS, LEAST_SEVERITY, MODULES, NO_FLOOD
from rules.engine import Engine
from rules.events import EventType, decode, encode
from rules.incidents.places import Places
from rules.judge import JUDGED, LATE, Judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from lifeline.torture.journaled import Sample
    from lifeline.torture.kills import Tortured
    from lifeline.torture.servers import Point, Receiver
    from rules.events import Event
    from rules.readings import Readings, Record
    from rules.registry import Registry

ALL: Final = 1 << 30
LATE_AGAIN: Final = "delivered again, taken for late"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of acknowledged readings of one transport."""

    acknowledged: int
    journaled: int
    stored: int

    @property
    def lost(self) -> int:
        """Return how many are not in the journal or not in the store."""
        return 2 * self.acknowledged - self.journaled - self.stored


def compare(left: Tortured, points: list[Point], receiver: Receiver) -> dict[str, Any]:
    """Return the row of figures; see docs/reliability.md for what each means."""
    records = read_journal(left.data)
    registry = registry_of(left.data, records)
    rows, g = rows_of(records)
    stored_twice, missing_in_store, stored = _store(rows, g, registry, points)
    fates = {
        name: _fate(left, devices, set(samples_of(rows, registry)), stored)
        for name, devices in (("mqtt", GATEWAYS), ("coap", MODULES))
    }
    lines = event_lines(left.data)
    events = [decode(line) for line in lines]
    ledger_lost, ledger_twice, wanted = _ledger(left.data, events, registry)
    messages_missing, messages_wrong = _notifications(wanted, receiver)
    twice = {
        "event in the log": _repeats(events),
        "point": stored_twice,
        "event in the ledger": ledger_twice,
        "notification": messages_wrong,
        LATE_AGAIN: late_again(rows, g, len(registry.channels.id)),
    }
    named = Counter({k: n for k, n in left.kills.items() if not k.endswith("/random")})
    return {
        "kills": left.kills.total(),
        "seed": left.seed,
        "acknowledged": sum(f.acknowledged for f in fates.values()),
        "journaled": sum(f.journaled for f in fates.values()),
        "stored": sum(f.stored for f in fates.values()),
        "lost": sum(f.lost for f in fates.values()) + missing_in_store + ledger_lost,
        "twice": sum(twice.values()),
        "log_equal": lines == _fresh_log(left.data, records),
        "notifications_missing": messages_missing,
        "what_twice": twice,
        "events": len(events),
        "notifications": len(wanted),
        "notifications_repeated": receiver.repeats,
        "journal_rows": len(rows),
        "at_points": named.total(),
        "points": dict(sorted(left.kills.items())),
        "never_reached": dict(sorted(left.never_reached.items())),
        "errors_logged": errors_logged(left.data),
        **{name: asdict(fate) | {"lost": fate.lost} for name, fate in fates.items()},
        "wall_s": round(left.wall_s, 1),
    }


def holds(row: dict[str, Any]) -> bool:
    """Return whether every promise held."""
    clean = ("lost", "twice", "notifications_missing", "errors_logged")
    return bool(row["log_equal"]) and not any(row[name] for name in clean)


def _fate(
    left: Tortured, devices: Iterable[str], journaled: set[Sample], stored: set[Sample]
) -> Fate:
    kept = said(message for device in devices for message in left.kept[device])
    without_sequence = {(d, 0, port, ms, v) for d, _, port, ms, v in kept}
    return Fate(len(kept), len(kept & journaled), len(without_sequence & stored))


def _store(
    rows: Readings, g: NDArray[np.int64], registry: Registry, points: list[Point]
) -> tuple[int, int, set[Sample]]:
    """Return (points too many, judged rows that are no point, samples stored).

    A point stands at its judged time, which is the sensor's unless that lay in our future. A sample
    of the store has no sequence, which is 0 here.
    """
    verdict = Judge(len(registry.channels.id)).mark(rows, g).verdict
    known = rows.channel >= 0
    ids, devices = registry.channels.id, registry.devices.id
    wanted: Counter[tuple[str, int, float]] = Counter()
    said_at: dict[tuple[str, int, float], set[int]] = {}
    for c, event_ns, judged_ns, value, judged in zip(
        rows.channel[known].tolist(),
        rows.event_ns[known].tolist(),
        rows.judged_ns[known].tolist(),
        rows.value[known].tolist(),
        (verdict[known] == JUDGED).tolist(),
        strict=True,
    ):
        key = (ids[c], judged_ns, value)
        said_at.setdefault(key, set()).add(event_ns // MS)
        if judged:
            wanted[key] += 1
    found = Counter((channel, ns, value) for channel, late, ns, value in points if not late)
    stored = set()
    for channel, _, ns, value in points:
        row = registry.channel_row[channel]
        device, port = devices[int(registry.channels.device[row])], int(registry.channels.port[row])
        stored |= {(device, 0, port, ms, value) for ms in said_at.get((channel, ns, value), ())}
    return (found - wanted).total(), (wanted - found).total(), stored


def late_again(rows: Readings, g: NDArray[np.int64], channels: int) -> int:
    """Return how many rows came again and were judged late, not duplicate.

    The judge tells a repeat at least 448 messages back. Each beyond is a second point in the store,
    tagged late, and may be a late finding.
    """
    verdict = Judge(channels).mark(rows, g).verdict
    columns = (rows.channel, rows.boot, rows.sequence, rows.index)
    heard: set[tuple[int, ...]] = set()
    again = 0
    for key, judged in zip(
        zip(*(column.tolist() for column in columns), strict=True), verdict.tolist(), strict=True
    ):
        again += judged == LATE and key in heard
        heard.add(key)
    return again


def _repeats(events: list[Event]) -> int:
    return len(events) - len({(event.key, event.type) for event in events})


def _fresh_log(data: Path, records: list[Record]) -> list[bytes]:
    """Return what an engine that never ran before makes of the journal."""
    texts = SiteTexts(data)
    engine = Engine(*empty_site(), resolve=texts.resolve)
    return [encode(event) for event in engine.fold(records)]


def _ledger(
    data: Path, events: list[Event], registry: Registry
) -> tuple[int, int, dict[int, dict[str, Any]]]:
    """Return (events missing, events too many, the notifications a fresh ledger would send)."""
    outlet = WebhookSettings(url="", secret=b"", min_severity=LEAST_SEVERITY).outlet
    kept = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    with tempfile.TemporaryDirectory() as name:
        fresh = Ledger(
            f"sqlite:///{Path(name) / 'fresh.sqlite'}",
            outlets=(outlet,),
            flood=NO_FLOOD,
            places=lambda: Places(registry=registry),
        )
        _fill(fresh, events, _of_the_clock(kept))
        wanted = {int(row.seq): json.loads(row.body) for row in fresh.due(limit=ALL)}
        should, has = _all_events(fresh), _all_events(kept)
        fresh.close()
    kept.close()
    return (should - has).total(), (has - should).total(), wanted


def _of_the_clock(ledger: Ledger) -> list[tuple[int, Event]]:
    """Return what the ledger itself has said about our clock, with its numbers."""
    query = select(EVENT.c.seq, EVENT.c.body).order_by(EVENT.c.seq)
    told = query.where(
        EVENT.c.rule.in_((STEP_RULE, UNSYNCHRONISED_RULE)),
        EVENT.c.type.in_((EventType.RAISED.value, EventType.CLEARED.value)),
    )
    with ledger.read() as connection:
        return [(int(r.seq), decode(r.body.encode())) for r in connection.execute(told)]


def _fill(fresh: Ledger, events: list[Event], own: list[tuple[int, Event]]) -> None:
    """Write events, and each of its own where its number is due."""
    alarming = iter([event for event in events if not event.shadow])
    with fresh.write() as connection:
        last = 0
        for seq, told in own:
            while last < seq - 1 and (event := next(alarming, None)):
                last = _append(fresh, connection, event)
            last = _append(fresh, connection, told)
        for event in alarming:
            _append(fresh, connection, event)


def _append(ledger: Ledger, connection: Connection, event: Event) -> int:
    return append(connection, [event], simulation=False, writing=ledger.writing).last_seq


def _all_events(ledger: Ledger) -> Counter[tuple[int, str]]:
    """Return every event with its number in the ledger."""
    with ledger.read() as connection:
        rows = connection.execute(select(EVENT.c.seq, EVENT.c.body)).all()
    return Counter((int(row.seq), str(row.body)) for row in rows)


def _notifications(wanted: dict[int, dict[str, Any]], receiver: Receiver) -> tuple[int, int]:
    """Return (notifications that never came, ids that said two things or a wrong one)."""
    wrong = receiver.unsigned
    for number, bodies in receiver.bodies.items():
        bare = wanted.get(number, {})
        told = [{k: v for k, v in json.loads(body).items() if k in bare} for body in bodies]
        wrong += not bare or any(each != bare for each in told)
    return len(wanted.keys() - receiver.bodies.keys()), wrong


def errors_logged(data: Path) -> int:
    """Return how many lines of the processes' logs are errors or tracebacks."""
    found = 0
    for name in NAMES:
        for line in log_of(name, data).read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{"):
                try:
                    told = json.loads(line)
                except ValueError:  # the last line of a life may be cut
                    continue
                found += told.get("level") in ("error", "critical")
            else:
                found += "Traceback" in line
    return found
