"""What people do on site, from a phone: arrive, note, photograph, calibrate, say what came out.

An entry is of one asset, and of an incident where one is open there: that one's flow is moved, or
its story told, in the same transaction. Entries are idempotent by the caller's ``command``, so a
phone that was out of coverage may send again what it is not sure of. Each becomes a Control
record: ``field``, or ``window`` where alarms are to be out of service meanwhile
(`rules/engine/ordered.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select

from lifeline.ledger.commands import Order, is_repeated, refuse, take
from lifeline.ledger.errors import Refused, Unknown
from lifeline.ledger.incidents import Asked, Incidents, incidents_in
from lifeline.ledger.proof_tests import MOST_NOTE, ProofTested, ProofTests
from lifeline.ledger.tables import FIELD_ENTRY, INCIDENT
from rules.engine.ordered import LONGEST_NS, MARK
from rules.events import alarm_id as short_hash
from rules.incidents.flow import Kind, Stage, lands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from lifeline.ledger.incidents import Incident
    from lifeline.ledger.ledger import Ledger

LISTED: Final = 100
INCIDENT_MARK: Final = "~i"
"""Ends the command of an entry's step on its incident."""
PROOF_MARK: Final = "~p"
"""Ends the command of the proof test that a calibration was."""


class Did(StrEnum):
    """What was done."""

    ON_SITE = "on_site"
    NOTE = "note"
    PHOTO = "photo"
    CALIBRATE = "calibrate"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Who does something at which asset. ``waited_ns``: how long it waited in the phone.

    ``on`` tells whether a subject (of an alarm) is on the asset, ``sees`` what subjects the person
    sees, None all. ``incident_id`` "" = whichever open one is there.
    """

    asset_id: str
    by: str
    command: str
    on: Callable[[str], bool]
    sees: Callable[[str], bool] | None = None
    waited_ns: int = 0
    text: str = ""
    incident_id: str = ""

    @property
    def entry_id(self) -> str:
        """Return the id its entry has."""
        return short_hash(f"field|{self.asset_id}", self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry; times are the site's Clock. ``said`` holds ``text`` and what its kind has more."""

    seq: int
    entry_id: str
    asset_id: str
    incident_id: str
    did: Did
    at_ns: int
    got_ns: int
    by: str
    said: dict[str, Any]


class FieldBook:
    """The field entries of a ledger.

    Raises everywhere: Unknown (no such incident or window), Conflict (it does not stand so),
    Refused (not in this form), Unavailable.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._incidents = Incidents(ledger)
        self._proofs = ProofTests(ledger)

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def of_asset(self, asset_id: str, *, limit: int = LISTED) -> list[Entry]:
        """Return the entries of an asset, newest first."""
        return self._entries(FIELD_ENTRY.c.asset_id == asset_id, limit)

    def of_incident(self, incident_id: str, *, limit: int = LISTED) -> list[Entry]:
        """Return the entries of an incident, newest first."""
        return self._entries(FIELD_ENTRY.c.incident_id == incident_id, limit)

    def one(self, entry_id: str) -> Entry:
        """Return an entry."""
        found = self._entries(FIELD_ENTRY.c.entry_id == entry_id, 1)
        if not found:
            raise Unknown(f"there is no entry {entry_id!r} 没有该记录", remedy="reload 请刷新")
        return found[0]

    def running(self) -> list[Entry]:
        """Return the calibrations that run now, newest first."""
        now_ns = self._ledger.now_ns()
        begun = FIELD_ENTRY.c.at_ns > now_ns - 2 * LONGEST_NS
        late = (FIELD_ENTRY.c.kind == Did.CALIBRATE.value) & begun
        with self._ledger.read() as connection:
            return _running(connection, late, now_ns)

    def _entries(self, where: Any, limit: int) -> list[Entry]:
        query = select(FIELD_ENTRY).where(where).order_by(FIELD_ENTRY.c.seq.desc()).limit(limit)
        with self._ledger.read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    # ── doing ────────────────────────────────────────────────────────────────────────────────

    def on_site(self, visit: Visit) -> Entry:
        """Say that somebody has arrived: the flow's step where it fits, else a note."""
        return self._do(visit, Did.ON_SITE, {}, self._arrive)

    def note(self, visit: Visit) -> Entry:
        """Note what was found."""
        if not visit.text.strip():
            raise Refused("the note is empty 备注为空", remedy="say something 请填写内容")
        return self._do(visit, Did.NOTE, {}, self._comment)

    def photo(self, visit: Visit, shown: dict[str, Any]) -> Entry:
        """Note a photo that is stored; ``shown``: its ``hash`` first, ``width``, ``height``."""
        return self._do(visit, Did.PHOTO, {"photo": shown}, self._comment)

    def calibrate(self, visit: Visit, *, match: str, subject: str, for_ns: int) -> Entry:
        """Put an asset, device or channel out of service for so long, from when it was ordered.

        What waited in a phone until its time was over holds nothing any more, and says so
        (``over``).
        """
        if not 0 < for_ns <= LONGEST_NS:
            raise Refused(
                f"calibrating for {for_ns / 60e9:g} min",
                remedy=f"more than 0 and at most {LONGEST_NS / 60e9:g} min; order it again if it "
                "takes longer",
            )
        now_ns = self._ledger.now_ns()
        until_ns = now_ns + for_ns - visit.waited_ns
        over = until_ns <= now_ns
        said = {"match": match, "subject": subject, "until_ns": until_ns, "over": over}

        def free(connection: Connection, _: Visit) -> str:
            mine = FIELD_ENTRY.c.asset_id == visit.asset_id
            late = mine & (FIELD_ENTRY.c.kind == Did.CALIBRATE.value)
            for entry in _running(connection, late, now_ns):
                if entry.said["subject"] == subject:
                    raise refuse(
                        "calibrate",
                        f"{entry.by} calibrates {subject} already 正在标定",
                        remedy="note that result first 请先记录结果",
                        by=entry.by,
                        seq=entry.seq,
                    )
            return ""

        window = {
            "window": f"{MARK}{visit.entry_id}", "match": match, "subject": subject, "by": visit.by,
            "from_ns": now_ns, "to_ns": until_ns, "reason": visit.text or "calibrating 标定",
        }  # fmt: skip
        return self._do(visit, Did.CALIBRATE, said, free, {} if over else window)

    def result(
        self,
        visit: Visit,
        *,
        entry_id: str,
        passed: bool,
        found: float | None,
        left: float | None,
        proves: Callable[[str, str], str] = lambda _match, _subject: "",
        simulation: bool = False,
    ) -> Entry:
        """Say what a calibration gave, as found and as left; ends it where it still runs.

        ``entry_id`` may be the command it was ordered with: a phone without coverage knows no more.
        ``proves`` tells of (match, subject) the safety channel that was tried out by it, "" none:
        then it is that channel's proof test too, in the same transaction.
        """
        with self._ledger.read() as connection:
            named = (entry_id, short_hash(f"field|{visit.asset_id}", entry_id))
            query = select(FIELD_ENTRY).where(FIELD_ENTRY.c.entry_id.in_(named))
            row = connection.execute(query).first()
        if row is None or row.kind != Did.CALIBRATE.value or row.asset_id != visit.asset_id:
            raise Unknown(
                f"there is no calibration {entry_id!r} here 没有该标定记录", remedy="reload 请刷新"
            )
        work = _entry(row)
        entry_id = work.entry_id
        said = {"of": entry_id, "passed": passed, "found": found, "left": left}
        said |= {"subject": work.said["subject"]}
        proved = proves(work.said["match"], work.said["subject"])
        said |= {"proved": proved} if proved else {}

        def once(connection: Connection, _: Visit) -> str:
            noted = _results(connection, [work])
            if entry_id in noted:
                raise refuse(
                    "result",
                    f"{noted[entry_id].by} has noted its result already 结果已记录",
                    remedy="add a note 请另写备注",
                    by=noted[entry_id].by,
                )
            if proved:
                tested = ProofTested(
                    channel=proved,
                    at_ns=self._ledger.now_ns() - visit.waited_ns,
                    passed=passed,
                    by=visit.by,
                    note=_gave(found, left, visit.text),
                )
                mark = f"{visit.command}{PROOF_MARK}"
                self._proofs.record_in(connection, tested, command=mark, simulation=simulation)
            return ""

        runs = not work.said["over"] and work.said["until_ns"] > self._ledger.now_ns()
        ends = {"window": f"{MARK}{entry_id}", "end": True, "by": visit.by}
        return self._do(visit, Did.RESULT, said, once, ends if runs else {})

    def _do(
        self,
        visit: Visit,
        did: Did,
        said: dict[str, Any],
        along: Callable[[Connection, Visit], str],
        window: dict[str, Any] | None = None,
    ) -> Entry:
        """Write an entry with what goes along; ``along`` returns the incident it is of, or ""."""
        ledger = self._ledger
        order = Order(
            alarm_id=visit.entry_id, by=visit.by, command=visit.command,
            now_ns=ledger.now_ns(), wall_ns=ledger.wall_ns(),
        )  # fmt: skip
        verb = f"field-{did.value}"
        with ledger.write() as connection:
            if not is_repeated(connection, order, verb):
                incident_id = along(connection, visit)
                body = {"text": visit.text} | said
                connection.execute(
                    insert(FIELD_ENTRY).values(
                        entry_id=visit.entry_id, asset_id=visit.asset_id, incident_id=incident_id,
                        kind=did.value, at_ns=order.now_ns - visit.waited_ns, got_ns=order.now_ns,
                        by=visit.by,
                        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
                    )
                )  # fmt: skip
                data: dict[str, Any] = {
                    "asset": visit.asset_id,
                    "event": did.value.upper(),
                    "by": visit.by,
                }
                data |= {"said": body, "command": visit.command}
                kind = "window" if window else "field"
                take(connection, order, verb, 0, {"type": kind, "data": data | (window or {})})
            query = select(FIELD_ENTRY).where(FIELD_ENTRY.c.entry_id == visit.entry_id)
            return _entry(connection.execute(query).one())

    def _arrive(self, connection: Connection, visit: Visit) -> str:
        found = _here(connection, visit, first=Stage.DISPATCHED)
        if found is None:
            return ""
        group, stage = found.group, found.handling.stage
        sees = visit.sees
        whole = sees is None or all(sees(member.place.subject) for member in group.members)
        if whole and lands(stage, Kind.ARRIVE, severity=found.severity) is not None:
            self._order(connection, visit, found, Kind.ARRIVE, visit.text)
        else:
            self._order(connection, visit, found, Kind.COMMENT, f"on site 到场 {visit.text}")
        return found.incident_id

    def _comment(self, connection: Connection, visit: Visit) -> str:
        found = _here(connection, visit)
        if found is None:
            return ""
        self._order(connection, visit, found, Kind.COMMENT, visit.text or "photo 照片")
        return found.incident_id

    def _order(
        self, connection: Connection, visit: Visit, on: Incident, kind: Kind, reason: str
    ) -> None:
        asked = Asked(
            incident_id=on.incident_id, kind=kind, by=visit.by, reason=reason.strip()[:1_000],
            command=f"{visit.command}{INCIDENT_MARK}", expected_seq=on.handling.seq,
        )  # fmt: skip
        self._incidents.order_in(connection, asked, sees=visit.sees)


def _here(connection: Connection, visit: Visit, *, first: Stage | None = None) -> Incident | None:
    """Return the incident meant: that named, or the worst open one with an alarm of this asset.

    Those at the stage ``first`` go first.
    """
    query = select(INCIDENT).where(INCIDENT.c.over.is_(False))
    if visit.incident_id:
        query = select(INCIDENT).where(INCIDENT.c.incident_id == visit.incident_id)
    query = query.order_by(INCIDENT.c.severity.desc(), INCIDENT.c.seq.desc())
    here = [
        each
        for each in incidents_in(connection, query)
        if any(visit.on(member.place.subject) for member in each.group.members)
    ]
    if visit.incident_id and not here:
        raise Unknown(
            f"there is no incident {visit.incident_id!r} at {visit.asset_id} 此处没有该事件",
            remedy="reload 请刷新",
        )
    here.sort(key=lambda each: each.handling.stage is not first)
    return here[0] if here else None


def _gave(found: float | None, left: float | None, text: str) -> str:
    """Return the note of a proof test that was a calibration."""
    read = [
        f"{name} {x:g}"
        for name, x in (("as found 校前", found), ("as left 校后", left))
        if x is not None
    ]
    return "; ".join(["calibration 标定", *read, *([text] if text else [])])[:MOST_NOTE]


def _entry(row: Any) -> Entry:
    return Entry(
        seq=row.seq, entry_id=row.entry_id, asset_id=row.asset_id, incident_id=row.incident_id,
        did=Did(row.kind), at_ns=row.at_ns, got_ns=row.got_ns, by=row.by, said=json.loads(row.body),
    )  # fmt: skip


def _running(connection: Connection, where: Any, now_ns: int) -> list[Entry]:
    query = select(FIELD_ENTRY).where(where).order_by(FIELD_ENTRY.c.seq.desc()).limit(1_000)
    works = [_entry(row) for row in connection.execute(query)]
    works = [each for each in works if not each.said["over"] and each.said["until_ns"] > now_ns]
    noted = _results(connection, works)
    return [each for each in works if each.entry_id not in noted]


def _results(connection: Connection, works: Iterable[Entry]) -> dict[str, Entry]:
    """Return the results of calibrations, by the id of these."""
    assets = {each.asset_id for each in works}
    query = select(FIELD_ENTRY).where(
        FIELD_ENTRY.c.kind == Did.RESULT.value, FIELD_ENTRY.c.asset_id.in_(assets)
    )
    entries = [_entry(row) for row in connection.execute(query)]
    return {each.said["of"]: each for each in entries}
