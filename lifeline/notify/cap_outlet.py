"""Incidents to the platform above: a CAP 1.2 message after each change, by HTTP POST, signed.

What waits to be told are the events of incidents in the ledger themselves, behind a cursor that is
moved once they were taken: at least once, in their order, each under the identifier of its message
(``Lifeline-Id``), the same in every repeat. Of several changes that wait the newest is sent: its
``references`` name those before. Nothing of a simulation leaves the house.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
import structlog
from sqlalchemy import func, select

from lifeline.ledger.cursors import cursor_of, move
from lifeline.ledger.incidents import Incidents
from lifeline.ledger.tables import INCIDENT_EVENT
from lifeline.notify.cap import CONTENT_TYPE
from lifeline.notify.cap_incident import TELLING, identifier, incident_xml
from lifeline.notify.probes import connects
from lifeline.notify.sending import Answer, Fate, by_status, http_client, unanswered
from lifeline.notify.webhook import sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifeline.ledger import Ledger
    from lifeline.notify.cap import CapSender
    from lifeline.site import Site

READER: Final = "cap"
BATCH: Final = 100
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 300.0
LOG = structlog.get_logger("cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapOutletSettings:
    """Where the platform takes messages, and what signs them."""

    url: str
    secret: bytes = field(repr=False)
    min_severity: int = 3
    ca_file: str | None = None

    def probe(self) -> str:
        """Return why nobody listens there, "" if somebody does."""
        return connects(self.url, self.ca_file)


class CapOutlet:
    """Call `turn` in a loop, from one thread. ``trouble`` says why the newest was not taken."""

    def __init__(
        self,
        ledger: Ledger,
        settings: CapOutletSettings,
        *,
        site: Callable[[], Site | None],
        zone: str,
        sender: CapSender,
        web: str = "",
    ) -> None:
        self._ledger, self._settings, self._site = ledger, settings, site
        self._zone, self._sender, self._web = zone, sender, web
        self._incidents = Incidents(ledger)
        self._client = http_client(ca_file=settings.ca_file)
        self._wait_s, self._due_s = FIRST_WAIT_S, 0.0
        self.trouble = ""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def turn(self) -> int:
        """Tell what changed since; return how many messages were taken.

        The first time it begins with what changes from then on.

        Raises
        ------
        lifeline.ledger.LedgerError
            The ledger cannot be read or written; nothing is lost.
        """
        if time.monotonic() < self._due_s:
            return 0
        sent = 0
        for seq, incident_id, newest in self._waiting():
            if newest:
                answer = self._tell(incident_id)
                if answer is not None and answer.fate is Fate.LATER:
                    self._put_off(answer)
                    return sent
                if answer is not None and answer.fate is Fate.REFUSED:
                    LOG.warning("given up", incident=incident_id, seq=seq, reason=answer.reason)
                    self.trouble = f"incident {incident_id} given up: {answer.reason}"
                elif answer is not None:
                    sent, self.trouble, self._wait_s = sent + 1, "", FIRST_WAIT_S
            with self._ledger.write() as connection:
                move(connection, READER, seq, 0, {})
        return sent

    def _waiting(self) -> list[tuple[int, str, bool]]:
        """Return (seq, incident, whether no later change of it waits), oldest first."""
        with self._ledger.read() as connection:
            held = cursor_of(connection, READER)
            begun = "begun" in held.extra or held.through > 0
            columns = (INCIDENT_EVENT.c.seq, INCIDENT_EVENT.c.incident_id)
            query = (
                select(*columns)
                .where(INCIDENT_EVENT.c.seq > held.through)
                .where(INCIDENT_EVENT.c.type.in_([kind.value for kind in TELLING]))
                .order_by(INCIDENT_EVENT.c.seq)
                .limit(BATCH)
            )
            rows = connection.execute(query).all() if begun else []
            most = select(func.coalesce(func.max(INCIDENT_EVENT.c.seq), 0))
            end = int(connection.execute(most).scalar_one())
        if not begun:
            with self._ledger.write() as connection:
                move(connection, READER, end, 0, {"begun": True})
        last = {row.incident_id: row.seq for row in rows}
        return [(r.seq, r.incident_id, last[r.incident_id] == r.seq) for r in rows]

    def _tell(self, incident_id: str) -> Answer | None:
        """Send an incident as it stands; None where nothing of it is to be told."""
        found = self._incidents.one(incident_id)
        if found.simulation or found.severity < self._settings.min_severity:
            return None
        alarms = self._incidents.alarms([member.alarm_id for member in found.group.members])
        events = self._incidents.events(incident_id)
        body = incident_xml(
            found,
            alarms,
            events,
            self._site(),
            zone=self._zone,
            sender=self._sender,
            web=self._web,
        )
        return self._post(body, identifier(incident_id, events))

    def _post(self, body: bytes, name: str) -> Answer:
        timestamp_s = self._ledger.wall_ns() // 10**9
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Lifeline-Id": name,
            "Lifeline-Timestamp": str(timestamp_s),
            "Lifeline-Signature": sign(self._settings.secret, timestamp_s, body),
        }
        try:
            answer = self._client.post(self._settings.url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return unanswered(error, self._settings.url)
        return by_status(answer)

    def _put_off(self, answer: Answer) -> None:
        wait_s = max(self._wait_s, min(answer.after_s, 12 * LONGEST_WAIT_S))
        self._due_s = time.monotonic() + wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        self.trouble = f"incidents wait: {answer.reason}"
