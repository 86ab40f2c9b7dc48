"""The figures of the alarm system once more: slow, from the states of a fold, moment by moment.

Shares nothing with lifeline/kpi but the events themselves.
"""

from __future__ import annotations

from collections import Counter

from rules.alarm_fold import AlarmFold
from rules.alarms import Condition

SECOND = 10**9
CALLS = {
    "RAISED", "ESCALATED", "CONFIRMED", "LATE_FINDING", "REALARMED", "UNSHELVED",
    "UNSUPPRESSED", "IN_SERVICE", "RERUN_DIFFERS",
}  # fmt: skip


def shown(event) -> int:
    level = event.severity or event.max_severity
    return level - 1 if not event.confirmed and level > 1 else level


class Twin:
    """Folds every event; ``steps`` holds (seq, event, called, alarm after it or None)."""

    def __init__(self, numbered) -> None:
        fold, self.steps = AlarmFold(), []
        self.became: dict[str, str] = {}  # an alarm: the one it went on as
        for seq, event in numbered:
            step = fold.apply(event, seq)
            alarm = step.changed[-1] if step.changed else fold.alarms.get(event.alarm_id)
            called = (
                event.type in CALLS
                and event.announce
                and step.announce
                and not step.changed[-1].suppression
            )
            if event.type == "RAISED" and len(step.changed) == 2:
                self.became[step.changed[0].alarm_id] = step.changed[1].alarm_id
            self.steps.append((seq, event, called, alarm))
        self.fold = fold

    def called(self, a, b):
        return [e for _, e, called, _ in self.steps if called and a <= e.receive_ns < b]

    def bins(self, a, b):
        edges = range(a, b, 600 * SECOND)
        return [len(self.called(x, min(x + 600 * SECOND, b))) for x in edges]

    def floods(self, a, b, *, begins=10, ends=5):
        """Second by second."""
        times = sorted(e.receive_ns for e in self.called(a, b))
        found, opened, seen = [], None, []
        for now in range(a, b + 1, SECOND):
            recent = [t for t in seen if t > now - 600 * SECOND]
            if opened is not None and len(recent) < ends:
                found.append((opened, now, sum(opened <= t for t in seen) - self.early))
                opened = None
            for t in [t for t in times if t == now and now < b]:
                recent.append(t)
                seen.append(t)
                if opened is None and len(recent) > begins:
                    opened = t
                    self.early = sum(x == t for x in seen) - 1  # of that second, before it began
        if opened is not None:
            found.append((opened, b, sum(opened <= t for t in seen) - self.early))
        return found

    def acknowledged(self, a, b):
        """(level, seconds) of acknowledgements that stood."""
        found = []
        for at, (_, event, _, alarm) in enumerate(self.steps):
            if event.type != "ACKED" or not a <= event.receive_ns < b:
                continue
            later = [
                e.type
                for _, e, _, x in self.steps[at + 1 :]
                if x is not None
                and x.alarm_id == alarm.alarm_id
                and e.type in ("ACKED", "ACK_REVOKED")
                and e.receive_ns < b
            ]
            if later[:1] == ["ACK_REVOKED"]:
                continue
            calls = self._waiting_since(at, alarm.alarm_id)
            if calls:
                level = max(s for s, _ in calls)
                first = min(t for s, t in calls if s == level)
                found.append((level, (event.receive_ns - first) / 1e9))
        return sorted(found)

    def _waiting_since(self, at, alarm_id):
        """Calls of the row back to the acknowledgement before that was not taken back."""
        calls, revoked = [], False
        names = {alarm_id}
        for _, event, called, alarm in reversed(self.steps[:at]):
            if alarm is None:
                continue
            names |= {old for old, new in self.became.items() if new in names}
            if alarm.alarm_id not in names:
                continue
            if event.type == "ACK_REVOKED":
                revoked = True
            elif event.type == "ACKED":
                if not revoked:
                    break
                revoked = False
            if called:
                calls.append((max(shown(event), 1), event.receive_ns))
        return calls

    def states_at(self, ns):
        """Alarms as they stood just before a moment."""
        fold = AlarmFold()
        for seq, event, _, _ in self.steps:
            if event.receive_ns < ns:
                fold.apply(event, seq)
        return fold.alarms

    def standing(self, ns):
        return {
            i
            for i, x in self.states_at(ns).items()
            if x.condition is Condition.ACTIVE and not x.ended
        }

    def noisy(self, a, b):
        return Counter((e.rule, e.subject, e.side) for e in self.called(a, b))

    def chattering(self, a, b):
        raised = [e for _, e, _, _ in self.steps if e.type == "RAISED" and a <= e.receive_ns < b]
        return {
            (x.rule, x.subject)
            for x in raised
            if sum(
                (y.rule, y.subject) == (x.rule, x.subject)
                and 0 <= y.receive_ns - x.receive_ns < 60 * SECOND
                for y in raised
            )
            >= 3
        }

    def verdicts(self, a, b):
        """{rule: (true, false, none)} of rows that began in the span, as they stood at its end."""
        states, found, begun = self.states_at(b), {}, {}
        for _, event, _, alarm in self.steps:
            if alarm is not None and event.receive_ns < b:
                name = alarm.alarm_id
                while self.became.get(name) in states:
                    name = self.became[name]
                begun.setdefault(name, event.receive_ns)
        for name, first in begun.items():
            if a <= first < b:
                alarm = states[name]
                counts = found.setdefault(alarm.rule, [0, 0, 0])
                counts[("true", "false", "").index(alarm.verdict)] += 1
        return {rule: tuple(counts) for rule, counts in found.items()}
