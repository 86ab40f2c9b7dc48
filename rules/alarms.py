"""Alarm states after ISA-18.2: one alarm an episode, four regions that move independently.

A flat machine loses facts (shelve an acknowledged alarm, unshelve it: is it acknowledged?), so an
alarm has condition, acknowledgement, suppression and data. The one ISA word that lists show is
derived from them. Events move it: rules/alarm_fold.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from rules.alarm_life import USUAL, Life

if TYPE_CHECKING:
    from rules.bulletins import Cited


class Condition(StrEnum):
    """What the process does. PENDING and RECOVERING are known to the engine only, so far."""

    NORMAL = "normal"
    PENDING = "pending"
    ACTIVE = "active"
    RECOVERING = "recovering"


class Ack(StrEnum):
    """Whether a person has taken note of the alarm as it stands."""

    UNACKED = "unacked"
    ACKED = "acked"


class Data(StrEnum):
    """Whether the channel behind the alarm still speaks. A badge on any word."""

    LIVE = "live"
    STALE = "stale"
    BAD = "bad"


class Hold(StrEnum):
    """Why an alarm may be kept from announcing; several may hold at once."""

    SHELVED = "shelved"
    BY_DESIGN = "by_design"
    OUT_OF_SERVICE = "out_of_service"


class Word(StrEnum):
    """The ISA-18.2 state shown; the first that holds, in this order."""

    OOSRV = "OOSRV"
    DSUPR = "DSUPR"
    SHLVD = "SHLVD"
    UNACK = "UNACK"
    RTNUN = "RTNUN"
    ACKED = "ACKED"
    NORM = "NORM"


VERDICTS: Final = ("true", "false")
CAUSES: Final = (
    "leak", "third-party", "equipment", "process", "weather", "biogas", "calibration", "sensor",
    "communication", "maintenance", "rule", "test", "unknown",
)  # fmt: skip
"""What a person may find to be the cause; the console and reports have words for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One reason to hold the announcement: until when, because of what, on whose word."""

    hold: Hold
    until_ns: int = 0  # 0 = until lifted
    cause: str = ""
    by: str = ""
    severity: int = 0  # of a shelf: what gets worse than this leaves it


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One episode of one alarm key. Times are Unix ns; ``seq`` counts in the ledger's order."""

    alarm_id: str
    rule: str
    side: int
    subject: str
    klass: str = ""
    episode: str = ""
    late: bool = False  # of a late finding: returned from the start
    condition: Condition = Condition.NORMAL
    ack: Ack = Ack.UNACKED
    suppression: tuple[Suppression, ...] = ()
    data: Data = Data.LIVE
    severity: int = 0
    max_severity: int = 0
    confirmed: bool = True
    over_range: bool = False
    onset_ns: int = 0  # the breach began
    raised_ns: int = 0  # first raise of the episode, measured at
    event_ns: int = 0  # of the newest event, measured at
    receive_ns: int = 0  # of the newest event, received at
    cleared_ns: int = 0
    cleared_value: float | None = None
    value: float | None = None
    score: float | None = None
    limit: float | None = None
    findings: int = 0  # late findings joined into this alarm
    reactivations: int = 0  # returned unacknowledged, then raised again
    life: Life = USUAL
    bouts: tuple[int, ...] = ()
    """When it was received that the alarm was raised, newest last, as far as chattering asks."""
    chattering: bool = False
    acked_by: str = ""
    acked_ns: int = 0
    ack_comment: str = ""
    assigned_to: str = ""
    verdict: str = ""  # true | false, as a person found it
    cause: str = ""  # code of what caused it, with the verdict
    comments: int = 0
    shelve_asked_by: str = ""  # waits for a second person
    ended: bool = False
    seq: int = 0
    warning: Cited | None = None  # the official one its newest rise was judged under
    worse_seq: int = 0
    """The newest ``seq`` that made it worse or moved the acknowledgement: who acknowledges must
    have seen at least this."""

    @property
    def alarm_key(self) -> str:
        """Return rule, side and subject as one text."""
        return f"{self.rule}|{'high' if self.side > 0 else 'low'}|{self.subject}"

    @property
    def calls(self) -> bool:
        """Tell whether it stands and nobody has seen it."""
        return self.condition is Condition.ACTIVE and self.ack is Ack.UNACKED

    @property
    def shelf(self) -> Suppression | None:
        """Return what shelves it, None where nothing does."""
        return next((s for s in self.suppression if s.hold is Hold.SHELVED), None)

    @property
    def shown_severity(self) -> int:
        """Return the level to announce: one lower while a first dangerous sample stands alone."""
        at = self.severity or self.max_severity
        return at if self.confirmed or at <= 1 else at - 1

    @property
    def word(self) -> Word:
        """Return the ISA word."""
        holds = {s.hold for s in self.suppression}
        active = self.condition in (Condition.ACTIVE, Condition.RECOVERING)
        for word, held in (
            (Word.OOSRV, Hold.OUT_OF_SERVICE in holds),
            (Word.DSUPR, Hold.BY_DESIGN in holds),
            (Word.SHLVD, Hold.SHELVED in holds),
            (Word.UNACK, active and self.ack is Ack.UNACKED),
            (Word.RTNUN, not active and self.ack is Ack.UNACKED and not self.ended),
            (Word.ACKED, active),
        ):
            if held:
                return word
        return Word.NORM


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did: the alarms it changed, newest last, and the ids that ended by it."""

    changed: tuple[Alarm, ...] = ()
    ended: tuple[str, ...] = ()
    announce: bool = False
