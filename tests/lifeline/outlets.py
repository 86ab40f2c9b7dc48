"""A ledger with one outlet on a clock of the test's, and the events told to it."""

from __future__ import annotations

import time

from lifeline.ledger import Ledger
from lifeline.ledger.book import facts
from lifeline.notify import Post
from rules.events import Event, EventType

S = 10**9


def happened(kind: str, offset: int, severity: int = 3, *, episode: int = 1, **more) -> Event:
    """An event of the alarm that the episode names; ``offset`` makes it another event."""
    now_ns = time.time_ns()
    said = {
        "rule": "ch4-level", "subject": f"410100-gas-mh-{episode:06d}/ch4-01/vol",
        "max_severity": severity, "event_ns": now_ns, "receive_ns": now_ns, "onset_ns": now_ns,
    }  # fmt: skip
    return Event(
        type=EventType(kind), offset=offset, row=0, severity=severity, episode=f"{episode}.0",
        **said | more,
    )  # fmt: skip


def worded(event, alarm, *, seq):
    """What serve composes, as far as outlets read it."""
    level = ("", "blue", "yellow", "orange", "red")[alarm.shown_severity]
    labels = {"alertname": alarm.rule, "alarm": alarm.alarm_id, "subject": alarm.subject}
    labels |= {"severity": str(alarm.shown_severity), "level": level, "domain": "gas"}
    said = {"en": f"methane at {alarm.subject}", "zh": f"甲烷 {alarm.subject}"}
    return facts(event, alarm, seq=seq) | {"labels": labels, "sentence": said}


class Wall:
    def __init__(self) -> None:
        self.ns = time.time_ns()

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += int(seconds * S)


class Desk:
    """``tell`` events; ``post`` sends; ``rows`` is what the outbox says of them."""

    def __init__(self, tmp_path, settings, *, wall=None, others=(), **more) -> None:
        self.settings, self.wall = settings, wall or Wall()
        self._more = {"compose": worded, "outlets": (settings.outlet, *others)} | more
        self._url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
        self.open()

    def open(self) -> None:
        self.ledger = Ledger(self._url, wall_ns=self.wall, **self._more)
        self.post = Post(self.ledger, self.settings)

    def close(self) -> None:
        self.post.close()
        self.ledger.close()

    def tell(self, *events, simulation: bool = False) -> None:
        last = max(e.offset for e in events)
        self.ledger.apply(events, last + 1, simulation=simulation)

    def rows(self, channel: str = "") -> list[tuple[int, str, int, str]]:
        with self.ledger.read() as connection:
            query = (
                "SELECT seq, status, attempts, reason FROM outbox WHERE channel = ? ORDER BY seq"
            )
            name = channel or self.settings.outlet.name
            return [tuple(r) for r in connection.exec_driver_sql(query, (name,)).all()]

    def statuses(self) -> list[str]:
        return [row[1] for row in self.rows()]
