"""Official warnings in the ledger: each message once, with the Control record that it becomes.

What could not be read is kept too, the newest hundred, with the reason.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select

from lifeline.ledger.errors import Conflict
from lifeline.ledger.tables import BULLETIN, BULLETIN_REFUSED, COMMAND
from rules.bulletins import Bulletin, bulletin_of

if TYPE_CHECKING:
    from lifeline.ledger.ledger import Ledger

KIND: Final = "warning"
MOST_HELD: Final = 5_000  # of those not over for long
MOST_REFUSED: Final = 100
MOST_RAW: Final = 64 << 10
LOOK_BACK_NS: Final = 30 * 86_400 * 10**9
"""So long after its end a message is still looked at: it may void another."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message and how it came."""

    bulletin: Bulletin
    via: str
    taken_ns: int  # a person's time


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """Something that came and was no message."""

    via: str
    taken_ns: int
    reason: str


class Bulletins:
    """The warnings of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def take(self, bulletin: Bulletin, *, via: str) -> bool:
        """Keep a message and queue its Control record; False where it was here before.

        Raises
        ------
        Conflict
            Its sender and identifier stand for another message.
        Unavailable
            The ledger cannot be written; nothing was taken.
        """
        state = json.dumps(bulletin.data(), ensure_ascii=False, separators=(",", ":"))
        command = f"warning-{hashlib.sha256(bulletin.key.encode()).hexdigest()[:32]}"
        with self._ledger.write() as connection:
            query = select(BULLETIN.c.state).where(BULLETIN.c.key == bulletin.key)
            held = connection.execute(query).scalar()
            if held is not None:
                if bulletin_of(json.loads(held)) == bulletin:
                    return False
                said = f"{bulletin.key!r} was used for another message"
                raise Conflict(said, remedy="give each message an identifier of its own")
            wall_ns = self._ledger.wall_ns()
            connection.execute(
                insert(BULLETIN).values(
                    key=bulletin.key,
                    sent_ns=bulletin.sent_ns,
                    expires_ns=bulletin.expires_ns,
                    taken_ns=wall_ns,
                    via=via,
                    state=state,
                )
            )
            data = {**bulletin.data(), "via": via, "command": command}
            connection.execute(
                insert(COMMAND).values(
                    command=command,
                    type=KIND,
                    alarm_id="",
                    by=via,
                    wall_ns=wall_ns,
                    seq=0,
                    control=json.dumps({"type": KIND, "data": data}, ensure_ascii=False),
                )
            )
        return True

    def refuse(self, raw: bytes, reason: str, *, via: str) -> None:
        """Keep what could not be read, cut, and no more than the newest of it."""
        with self._ledger.write() as connection:
            newest = connection.execute(
                insert(BULLETIN_REFUSED).values(
                    taken_ns=self._ledger.wall_ns(), via=via, reason=reason, raw=raw[:MOST_RAW]
                )
            ).inserted_primary_key
            if newest is not None:
                old = BULLETIN_REFUSED.c.id <= newest[0] - MOST_REFUSED
                connection.execute(delete(BULLETIN_REFUSED).where(old))

    def held(self, *, now_ns: int, limit: int = MOST_HELD) -> list[Held]:
        """Return the messages that are not over for long, newest first."""
        query = (
            select(BULLETIN)
            .where(BULLETIN.c.expires_ns > now_ns - LOOK_BACK_NS)
            .order_by(BULLETIN.c.sent_ns.desc(), BULLETIN.c.key)
            .limit(limit)
        )
        return [_held(row) for row in self._rows(query)]

    def refused(self, *, limit: int = 20) -> list[RefusedMessage]:
        """Return the newest of what could not be read."""
        table = BULLETIN_REFUSED.c
        query = select(table.via, table.taken_ns, table.reason)
        rows = self._rows(query.order_by(table.id.desc()).limit(limit))
        return [RefusedMessage(row.via, row.taken_ns, row.reason) for row in rows]

    def _rows(self, query: Any) -> list[Any]:
        with self._ledger.read() as connection:
            return list(connection.execute(query).all())


def _held(row: Any) -> Held:
    return Held(bulletin_of(json.loads(row.state)), row.via, row.taken_ns)
