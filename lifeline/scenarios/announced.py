"""Which alarms of a run people were told: by the same fold of events as the ledger's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.alarm_fold import AlarmFold
from rules.alarms import Hold
from rules.events import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifeline.backtest.episodes import Episode
    from rules.events import Event

_TELLING: Final = (
    EventType.RAISED, EventType.ESCALATED, EventType.CONFIRMED, EventType.UNSUPPRESSED,
)  # fmt: skip


class Told:
    """Announcements by alarm key. Nobody acknowledges, no flood folds: the most that is told.

    What another alarm explains (an inhibit) is told to nobody, as the ledger tells it.
    """

    def __init__(self) -> None:
        self._fold = AlarmFold()
        self._seq = 0
        self._at: dict[str, list[int]] = {}

    def take(self, events: Iterable[Event]) -> None:
        """Take events up, in log order."""
        for event in events:
            if event.shadow:
                continue
            self._seq += 1
            step = self._fold.apply(event, self._seq)
            if event.type not in _TELLING or not (event.announce and step.announce):
                continue
            if not any(s.hold is not Hold.OUT_OF_SERVICE for s in step.changed[-1].suppression):
                self._at.setdefault(event.alarm_key, []).append(event.receive_ns)

    def of(self, episode: Episode) -> bool:
        """Tell whether an episode was announced, at its raise or when it grew worse."""
        times = self._at.get(episode.alarm_key, ())
        return any(episode.raised_ns <= at <= episode.end_ns for at in times)
