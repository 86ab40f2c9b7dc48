"""How an incident is handled: one flow of stages, what leads from one to the next, what is due.

    raised → acknowledged → verified → dispatched → on site → mitigated → closed
                   └────────────┴───────────┴──────────┴─> false alarm (with its cause)

Each step is an event; the incident is the fold of its events. Red is dispatched beside its
verification: nobody waits for a picture while gas rises.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rules.alarms import CAUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

RED: Final = 4
INCIDENT_CAUSES: Final = CAUSES
"""Codes of what an incident, or a false alarm, was caused by."""


class Stage(StrEnum):
    """Where the handling of an incident stands."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    VERIFIED = "verified"
    DISPATCHED = "dispatched"
    ON_SITE = "on_site"
    MITIGATED = "mitigated"
    CLOSED = "closed"
    FALSE_ALARM = "false_alarm"


class Kind(StrEnum):
    """Events of an incident: the first block follows from alarms, the others from people."""

    OPENED = "OPENED"
    JOINED = "JOINED"  # another alarm of its cause
    WORSE = "WORSE"  # a member escalated, or was confirmed
    RETURNED = "RETURNED"  # nothing but blue, never looked at, and all over: closed by itself
    ACKNOWLEDGE = "ACKNOWLEDGE"
    VERIFY = "VERIFY"
    DISPATCH = "DISPATCH"
    ARRIVE = "ARRIVE"
    MITIGATE = "MITIGATE"
    CLOSE = "CLOSE"
    FALSE_ALARM = "FALSE_ALARM"
    REOPEN = "REOPEN"
    ASSIGN = "ASSIGN"
    COMMENT = "COMMENT"
    HANDOVER = "HANDOVER"  # a note for who comes next, until they have taken it up


OVER: Final = frozenset({Stage.CLOSED, Stage.FALSE_ALARM})
_S, _K = Stage, Kind
STEPS: Final[Mapping[Kind, tuple[frozenset[Stage], Stage]]] = {
    _K.ACKNOWLEDGE: (frozenset({_S.RAISED}), _S.ACKNOWLEDGED),
    _K.VERIFY: (frozenset({_S.ACKNOWLEDGED}), _S.VERIFIED),
    _K.DISPATCH: (frozenset({_S.VERIFIED, _S.MITIGATED}), _S.DISPATCHED),
    _K.ARRIVE: (frozenset({_S.DISPATCHED}), _S.ON_SITE),
    _K.MITIGATE: (frozenset({_S.VERIFIED, _S.ON_SITE}), _S.MITIGATED),
    _K.CLOSE: (frozenset({_S.MITIGATED}), _S.CLOSED),
    _K.FALSE_ALARM: (
        frozenset({_S.ACKNOWLEDGED, _S.VERIFIED, _S.DISPATCHED, _S.ON_SITE}),
        _S.FALSE_ALARM,
    ),
    _K.REOPEN: (OVER, _S.ACKNOWLEDGED),
}
"""What each step leads from and to; `lands` knows what red and repeats add."""
ORDER_NAMES: Final[Mapping[Kind, str]] = {
    _K.ACKNOWLEDGE: "acknowledge", _K.VERIFY: "verify", _K.DISPATCH: "dispatch",
    _K.ARRIVE: "on-site", _K.MITIGATE: "mitigate", _K.CLOSE: "close",
    _K.FALSE_ALARM: "false-alarm", _K.REOPEN: "reopen",
    _K.ASSIGN: "assign", _K.COMMENT: "comment", _K.HANDOVER: "hand-over",
}  # fmt: skip
"""How orders are called in a path and on the command line."""
NEEDS_REASON: Final = frozenset({Kind.REOPEN, Kind.FALSE_ALARM, Kind.COMMENT, Kind.HANDOVER})
NEEDS_CAUSE: Final = frozenset({Kind.CLOSE, Kind.FALSE_ALARM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How the handling of an incident stands. Times are Unix ns of the site's Clock."""

    stage: Stage = Stage.RAISED
    reached: Mapping[str, int]  # when each stage was reached, last time
    by: Mapping[str, str]  # who reached it
    news: bool = False  # an alarm joined, or became worse, since somebody acknowledged
    assigned_to: str = ""
    handover: str = ""
    handover_by: str = ""
    cause: str = ""
    reason: str = ""  # of its end, or of its being opened again
    comments: int = 0
    seq: int = 0  # of the newest event
    moved_seq: int = 0
    """The newest event that moved the stage or made it worse: who orders must have seen it."""

    @property
    def over(self) -> bool:
        """Tell whether people have ended it."""
        return self.stage in OVER


def opened(at_ns: int, seq: int) -> Handling:
    """Return the handling of an incident that begins."""
    reached, by = {Stage.RAISED.value: at_ns}, {Stage.RAISED.value: ""}
    return Handling(reached=reached, by=by, seq=seq, moved_seq=seq)


def lands(stage: Stage, kind: Kind, *, severity: int, news: bool = False) -> Stage | None:
    """Return the stage a step leads to, None where it leads nowhere from here.

    Acknowledging again takes note of what is new and leaves the stage. A red incident is dispatched
    as soon as it is acknowledged.
    """
    if kind is Kind.ACKNOWLEDGE and news and stage not in OVER and stage is not Stage.RAISED:
        return stage
    if kind is Kind.DISPATCH and severity >= RED and stage is Stage.ACKNOWLEDGED:
        return Stage.DISPATCHED
    froms, to = STEPS.get(kind, (frozenset(), stage))
    return to if stage in froms else None


def applied(
    handling: Handling, kind: Kind, *, at_ns: int, seq: int, by: str = "", said: Mapping[str, Any]
) -> Handling:
    """Fold one event in. What does not lead anywhere changes nothing but the number."""
    after = replace(handling, seq=seq)
    noted = _noted(after, kind, by=by, said=said)
    if noted is not None:
        return noted
    if kind is Kind.RETURNED:
        return _at(after, Stage.CLOSED, at_ns, "", cause="returned", reason="", news=False)
    to = lands(handling.stage, kind, severity=int(said.get("severity", 0)), news=handling.news)
    if to is None:
        return after
    seen = kind is Kind.ACKNOWLEDGE or kind in NEEDS_CAUSE
    more: dict[str, Any] = {"news": handling.news and not seen}
    if kind in NEEDS_CAUSE:
        more |= {"cause": str(said.get("cause", "")), "reason": str(said.get("reason", ""))}
    if kind is Kind.REOPEN:
        more |= {"cause": "", "reason": str(said.get("reason", "")), "news": not by}
    if kind is Kind.ACKNOWLEDGE:
        more |= {"handover": "", "handover_by": ""} if by != handling.handover_by else {}
        if to is handling.stage:
            return replace(after, moved_seq=seq, **more)
    return _at(after, to, at_ns, by, **more)


def _noted(after: Handling, kind: Kind, *, by: str, said: Mapping[str, Any]) -> Handling | None:
    """Fold in what moves no stage; None where it is a step."""
    if kind in (Kind.JOINED, Kind.WORSE):
        return replace(after, news=not after.over, moved_seq=after.seq)
    if kind is Kind.ASSIGN:
        return replace(after, assigned_to=str(said.get("to", "")))
    if kind is Kind.COMMENT:
        return replace(after, comments=after.comments + 1)
    if kind is Kind.HANDOVER:
        return replace(after, handover=str(said.get("reason", "")), handover_by=by)
    return None


def _at(handling: Handling, stage: Stage, at_ns: int, by: str, **more: Any) -> Handling:
    return replace(
        handling,
        stage=stage,
        reached={**handling.reached, stage.value: at_ns},
        by={**handling.by, stage.value: by},
        moved_seq=handling.seq,
        **more,
    )


TARGETED: Final = ("acknowledged", "verified", "on_site", "closed")
"""The stages a site may set time limits for; all count from when the incident was raised."""
Targets = dict[str, dict[int, int]]
"""Stage → severity → ns, only where the site has set them."""
_ORDER: Final = {stage.value: number for number, stage in enumerate(Stage)}


@dataclass(frozen=True, slots=True)
class Due:
    """A time limit the site has set, of an incident: until when, and whether it was or is late."""

    stage: str
    due_ns: int
    met_ns: int  # when it was met; 0 = not yet

    def overdue(self, now_ns: int) -> bool:
        """Tell whether it was met too late, or is past."""
        return (self.met_ns or now_ns) > self.due_ns


def dues(handling: Handling, severity: int, targets: Targets) -> list[Due]:
    """Return the time limits of an incident; those it skipped count as met with the next stage.

    An end as a false alarm, or of a blue one that returned, meets them all.
    """
    raised = handling.reached[Stage.RAISED.value]
    found = []
    for stage in TARGETED:
        limit = targets.get(stage, {}).get(severity)
        if limit is None:
            continue
        later = [
            at
            for name, at in handling.reached.items()
            if _ORDER[name] >= _ORDER[stage] and _ORDER[name] <= _ORDER[handling.stage.value]
        ]
        found.append(Due(stage, raised + limit, min(later, default=0)))
    return found
