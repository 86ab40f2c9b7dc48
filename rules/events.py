"""What the engine says: events, as columns until they are written, one JSON line each in the log.

Keyed by (partition, offset, row, rule, subject, ordinal), never by slot numbers, which change
with a reload. Log order is (g, stage, rule, subject, side, ordinal).
"""

from __future__ import annotations

import json
from enum import StrEnum
from hashlib import blake2b
from json.encoder import encode_basestring as _text  # as with ensure_ascii off, in C
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Mapping[str, Any] = MappingProxyType({})


class EventType(StrEnum):
    """Every event there is; the first block comes from the engine, the second from operators."""

    RAISED = "RAISED"
    ESCALATED = "ESCALATED"
    LOWERED = "LOWERED"
    CLEARED = "CLEARED"
    CONFIRMED = "CONFIRMED"
    LATE_FINDING = "LATE_FINDING"
    CLOCK_EPOCH = "CLOCK_EPOCH"
    BLIND = "BLIND"
    HEARTBEAT = "HEARTBEAT"
    RULE_CHANGED = "RULE_CHANGED"
    RESET = "RESET"
    SUPPRESSED = "SUPPRESSED"  # by design: an alarm that explains it stands
    UNSUPPRESSED = "UNSUPPRESSED"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"  # maintenance
    IN_SERVICE = "IN_SERVICE"
    RERUN_DIFFERS = "RERUN_DIFFERS"  # the log and a re-run of the journal disagree
    ACKED = "ACKED"
    ACK_REVOKED = "ACK_REVOKED"
    CALLED = "CALLED"  # a step of an escalation: somebody was told to answer
    SHELVE_ASKED = "SHELVE_ASKED"  # of a red alarm: a second person has to agree
    SHELVED = "SHELVED"
    UNSHELVED = "UNSHELVED"
    REALARMED = "REALARMED"  # acknowledged long ago, and it still stands
    COMMENTED = "COMMENTED"
    ASSIGNED = "ASSIGNED"
    CLASSIFIED = "CLASSIFIED"  # true, or false with its cause
    FLOOD = "FLOOD"  # more announcements than a person can take in
    FLOOD_OVER = "FLOOD_OVER"
    ENDED = "ENDED"
    SHIFT_OFFERED = "SHIFT_OFFERED"  # who hands over to whom, with a note
    SHIFT_TAKEN = "SHIFT_TAKEN"
    SHIFT_KEPT = "SHIFT_KEPT"  # taken back by who offered it
    PROOF_TESTED = "PROOF_TESTED"  # a safety device was tried out, and passed or failed


class Event(NamedTuple):
    """One line of the event log. Times are Unix ns; ``severity`` 0 means no level.

    ``subject`` is a channel id, a device id, or "" for the system. ``episode`` is
    ``offset.row`` of the RAISED that began it; RAISED to CLEARED of one alarm share it.

    A tuple with names, because a storm makes thousands at once: whole columns become events seven
    times faster than by a constructor with names. Say the names all the same.
    """

    type: EventType
    offset: int
    row: int
    stage: int = 0
    rule: str = ""
    subject: str = ""
    side: int = 1
    ordinal: int = 0
    partition: str = "0"
    severity: int = 0
    previous: int = 0
    max_severity: int = 0
    klass: str = ""
    episode: str = ""
    onset_ns: int = 0
    event_ns: int = 0  # measured at (judged time)
    receive_ns: int = 0  # received at, or the tick that decided
    value: float | None = None  # canonical unit; None where there is none
    score: float | None = None  # what the limit was compared with
    limit: float | None = None
    confirmed: bool = True
    announce: bool = True
    over_range: bool = False
    evidence: Mapping[str, Any] = NOTHING
    shadow: bool = False  # of a rule on trial: in the log, told to nobody

    @property
    def key(self) -> tuple[str, int, int, str, str, int, int]:
        """Return what makes this event the same event in every run."""
        return (
            self.partition,
            self.offset,
            self.row,
            self.rule,
            self.subject,
            self.side,
            self.ordinal,
        )

    @property
    def alarm_key(self) -> str:
        """Return the alarm this event belongs to: rule, side and subject."""
        return alarm_key(self.rule, self.side, self.subject)

    @property
    def alarm_id(self) -> str:
        """Return the public id of the episode: a short hash of alarm key and episode."""
        return alarm_id(self.alarm_key, self.episode)


def alarm_key(rule: str, side: int, subject: str) -> str:
    """Return what names an alarm through all its episodes."""
    return f"{rule}|{'high' if side > 0 else 'low'}|{subject}"


def alarm_id(alarm_key: str, episode: str) -> str:
    """Return the 12-hex-digit public id of an alarm's episode."""
    return blake2b(f"{alarm_key}#{episode}".encode(), digest_size=6).hexdigest()


def encode(event: Event) -> bytes:
    """Return the event as one JSON line without the newline; equal events give equal bytes.

    Written field by field, in the order of the fields: a storm makes thousands of lines at once,
    and a dictionary through json's encoder takes five times as long.
    """
    (
        kind, offset, row, stage, rule, subject, side, ordinal, partition,
        severity, previous, max_severity, klass, episode, onset_ns, event_ns, receive_ns,
        value, score, limit, confirmed, announce, over_range, evidence, shadow,
    ) = event  # fmt: skip
    return (
        f'{{"type":{_text(kind)},"offset":{offset},"row":{row},"stage":{stage},'
        f'"rule":{_text(rule)},"subject":{_text(subject)},"side":{side},"ordinal":{ordinal},'
        f'"partition":{_text(partition)},"severity":{severity},"previous":{previous},'
        f'"max_severity":{max_severity},"klass":{_text(klass)},"episode":{_text(episode)},'
        f'"onset_ns":{onset_ns},"event_ns":{event_ns},"receive_ns":{receive_ns},'
        f'"value":{_number(value)},"score":{_number(score)},"limit":{_number(limit)},'
        f'"confirmed":{_SAID[confirmed]},"announce":{_SAID[announce]},'
        f'"over_range":{_SAID[over_range]},"evidence":{_json(evidence) if evidence else "{}"}'
        # a live rule's line does not say it: it is that of versions without shadows
        f"{_SHADOW[shadow]}}}"
    ).encode()


_SAID = ("false", "true")
_SHADOW = ("", ',"shadow":true')


def _json(raw: Any) -> str:
    return json.dumps(raw, ensure_ascii=False, separators=(",", ":"), default=dict)


def _number(raw: float | None) -> str:
    if raw is None:
        return "null"
    if type(raw) is float and raw - raw == 0.0:  # finite
        return repr(raw)
    return _json(raw)


def decode(line: bytes) -> Event:
    """Return the event of one line.

    Raises
    ------
    ValueError
        The line is not an event of this version.
    """
    try:
        raw = json.loads(line)
        return Event(**{**raw, "type": EventType(raw["type"])})
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"not an event line: {line[:80]!r} ({error})") from error
