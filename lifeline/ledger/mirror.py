"""Accepted commands become Control records: one JSON line to ingest's control socket, answered.

Ingest alone writes the journal. A command stays queued in the ledger until ingest has answered
with the offset it stands at (after its fsync), so neither of us being killed loses one; ingest
tells repeats by ``command``.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import select, update

from ingest.journal import socket_address
from lifeline import metrics
from lifeline.ledger.tables import COMMAND

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.ledger.ledger import Ledger

MAX_LINE = 64 << 10
LOG = structlog.get_logger("ledger")


class ControlRefused(Exception):  # noqa: N818 - reads as what it says
    """Ingest answered with an error."""


class Mirrored(NamedTuple):
    """How many went, and what ingest said of one that did not ("" if all did)."""

    sent: int
    refusal: str


def ask(path: Path, line: str, *, timeout_s: float = 12.0) -> int:
    """Send one line to the control socket and return the journal offset it stands at.

    Raises
    ------
    OSError
        Nobody listens, or no answer within ``timeout_s``.
    ControlRefused
        Ingest says that it does not take it, now or ever.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.settimeout(timeout_s)
        with socket_address(path) as address:
            wire.connect(address)
        wire.sendall(line.encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = wire.recv(4096)
            if not part:
                break
            answer += part
            if len(answer) > MAX_LINE:
                raise ConnectionError(f"{path}: answer longer than {MAX_LINE} bytes")
    try:
        told = json.loads(answer)
        if "error" in told:
            raise ControlRefused(f"{path}: {told['error']}")
        return int(told["offset"])
    except (ValueError, TypeError, KeyError) as error:
        raise ConnectionError(f"{path}: not an answer: {answer[:200]!r}") from error


def mirror(
    ledger: Ledger,
    path: Path,
    *,
    limit: int = 100,
    max_refusals: int = 7_200,
    timeout_s: float = 12.0,
) -> Mirrored:
    """Mirror commands that are not in the journal yet, oldest first.

    Nobody there: OSError, and all wait. One that ingest refuses (its disk may be full) lets the
    others pass and is tried again; after ``max_refusals``, an hour of two tries a second, it is
    given up (offset −1), counted and logged.
    """
    query = (
        select(COMMAND.c.id, COMMAND.c.control, COMMAND.c.refusals)
        .where(COMMAND.c.mirrored_offset.is_(None))
        .order_by(COMMAND.c.id)
        .limit(limit)
    )
    with ledger.read() as connection:
        waiting = list(connection.execute(query).all())
    sent, said = 0, ""
    try:
        for row in waiting:
            told: dict[str, int | None]
            try:
                told = {"mirrored_offset": ask(path, row.control, timeout_s=timeout_s)}
                sent += 1
            except ControlRefused as refusal:
                metrics.COMMANDS.labels("mirror", "refused").inc()
                last = row.refusals + 1 >= max_refusals
                told = {"refusals": row.refusals + 1, "mirrored_offset": -1 if last else None}
                said = str(refusal)
                if last:
                    LOG.warning("command given up", control=row.control, error=said)
            with ledger.write() as connection:
                done = update(COMMAND).where(COMMAND.c.id == row.id)
                connection.execute(done.values(**told))
    finally:
        metrics.MIRROR_PENDING.set(len(waiting) - sent)
    return Mirrored(sent, said)
