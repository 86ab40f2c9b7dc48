"""A ledger that lived through random days, with people who do what they like; by a seed."""

from __future__ import annotations

import random
from contextlib import suppress

from sqlalchemy import select

from lifeline.kpi.past import Line
from lifeline.ledger import Ledger, Refused
from lifeline.ledger.people import People
from lifeline.ledger.tables import EVENT
from rules.alarms import CAUSES
from rules.events import Event, EventType, decode

SECOND = 10**9
HOUR = 3600 * SECOND
BEGIN = 1_790_000_000 * SECOND
RULES = ("ch4-space", "ponding", "silent")
SUBJECTS = ("m1/ch4/vol", "m2/ch4/vol", "u1/lev/lev")
WHO = ("li", "wang", "zhao")


class RandomDays:
    """Raises, escalates, lowers and clears at random; acknowledges, shelves, judges, takes back."""

    def __init__(self, url: str, seed: int) -> None:
        self.now_ns = BEGIN
        self.dice = random.Random(seed)
        self.ledger = Ledger(url, now_ns=lambda: self.now_ns, wall_ns=lambda: self.now_ns)
        self.people = People(self.ledger)
        self.offset = 0
        self.standing: dict[tuple[str, str], tuple[str, int]] = {}  # key: (episode, level)

    def live(self, hours: float, *, storms: bool = True) -> None:
        end_ns = self.now_ns + int(hours * HOUR)
        while self.now_ns < end_ns:
            storm = storms and self.dice.random() < 0.3
            if storm and self.dice.random() < 0.5:
                self.chatter()
            for _ in range(self.dice.randint(10, 40) if storm else 3):
                self.now_ns += self.dice.randint(1, 12 if storm else 1200) * SECOND
                self.dice.choice((self.process, self.process, self.operate))()
            self.now_ns += self.dice.randint(1, 3600) * SECOND
            self.people.turn()

    def chatter(self) -> None:
        """One that comes and goes within seconds."""
        for n in range(4):
            self.now_ns += 4 * SECOND
            self.event("RAISED", "chatters", SUBJECTS[0], f"{self.offset}.{n}", 1)
            self.now_ns += 5 * SECOND
            self.standing.pop(("chatters", SUBJECTS[0]), None)
            episode = f"{self.offset - 1}.{n}"
            self.event("CLEARED", "chatters", SUBJECTS[0], episode, 0)

    def event(self, kind: str, rule: str, subject: str, episode: str, level: int, **more) -> None:
        self.offset += 1
        event = Event(
            type=EventType(kind),
            offset=self.offset,
            row=0,
            rule=rule,
            subject=subject,
            severity=level,
            max_severity=level,
            episode=episode,
            onset_ns=self.now_ns,
            event_ns=self.now_ns,
            receive_ns=self.now_ns,
            **more,
        )
        self.ledger.apply([event], self.offset + 1)

    def process(self) -> None:
        key = rule, subject = self.dice.choice(RULES), self.dice.choice(SUBJECTS)
        if self.dice.random() < 0.05:
            self.event("LATE_FINDING", rule, subject, "", self.dice.randint(1, 3))
            return
        if key not in self.standing:
            level = self.dice.choice((1, 1, 1, 2, 2, 3, 4))
            episode = f"{self.offset}.0"
            sure = self.dice.random() < 0.8
            self.event("RAISED", rule, subject, episode, level, confirmed=sure)
            self.standing[key] = episode, level
            return
        episode, level = self.standing[key]
        what = self.dice.choice(("CLEARED", "CLEARED", "ESCALATED", "LOWERED", "CONFIRMED"))
        if what == "CLEARED":
            self.event(what, rule, subject, episode, 0)
            del self.standing[key]
            return
        level = min(4, level + 1) if what == "ESCALATED" else level
        level = max(1, level - 1) if what == "LOWERED" else level
        self.event(what, rule, subject, episode, level)
        self.standing[key] = episode, level

    def operate(self) -> None:
        alarms = self.ledger.list(ended=self.dice.choice((False, False, None)), limit=20)
        if not alarms:
            return
        alarm, _ = self.dice.choice(alarms)
        by, command = self.dice.choice(WHO), f"c{self.offset}-{self.dice.random()}"
        seen = {"expected_seq": alarm.seq, "command": command}
        with suppress(Refused):
            match self.dice.choice(("ack", "ack", "ack", "undo", "shelve", "judge", "note")):
                case "ack":
                    self.ledger.acknowledge(alarm.alarm_id, by, "", alarm.seq, command)
                    if self.dice.random() < 0.2:
                        self.now_ns += 5 * SECOND
                        self.ledger.revoke(alarm.alarm_id, by, f"{command}-undo")
                case "undo":
                    self.ledger.revoke(alarm.alarm_id, by, command)
                case "shelve":
                    for_ns = self.dice.randint(1, 4) * HOUR
                    self.people.shelve(alarm.alarm_id, by=by, reason="works", for_ns=for_ns, **seen)
                case "judge":
                    verdict = self.dice.choice(("true", "false"))
                    cause = self.dice.choice(CAUSES)
                    said = {"verdict": verdict, "cause": cause, "comment": ""}
                    self.people.classify(alarm.alarm_id, by=by, command=command, **said)
                case "note":
                    self.people.comment(alarm.alarm_id, by=by, text="seen", command=command)


def every_line(ledger: Ledger) -> list[Line]:
    """All events there are, without any choice among them."""
    query = select(EVENT.c.seq, EVENT.c.body, EVENT.c.called).order_by(EVENT.c.seq)
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    return [Line(row.seq, decode(row.body.encode()), bool(row.called)) for row in rows]
