"""An alarm of the ledger with everything that explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingest.store.past import archived_controls
from lifeline.backtest.sources import journaled_controls, opened
from lifeline.console.sentences import LANGUAGES, words
from lifeline.errors import Missing
from lifeline.explain.steps import Rerun, rerun
from lifeline.site import Site
from rules.events import encode
from rules.language import compile_plan, rules_from_bytes
from rules.readings import texts_named
from rules.registry_codec import registry_from_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from lifeline.ledger import Ledger
    from rules.alarms import Alarm
    from rules.events import Event

BEFORE_NS = 15 * 60_000_000_000
"""How long before the onset it is looked at, at least; and as long after its end."""
MOST_AFTER_NS = 6 * 3_600_000_000_000
"""How long after the raise, where the alarm stands longer."""
RERUN_TYPES = frozenset({"RAISED", "ESCALATED", "LOWERED", "CLEARED", "CONFIRMED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An alarm, its events, its sentences, and, on a channel, the run again round it."""

    alarm: Alarm
    simulation: bool
    events: tuple[Event, ...]
    sentences: dict[str, str]
    site: Site
    run: Rerun | None  # None: the alarm is not of a rule on one channel
    same: bool | None  # the run again gave the events the ledger holds

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "alarm": self.alarm.alarm_id,
            "simulation": self.simulation,
            "sentences": self.sentences,
            "events": [
                event._asdict() | {"evidence": dict(event.evidence)} for event in self.events
            ],
            "same_again": self.same,
            "steps": [step.to_json() for step in self.run.steps] if self.run else [],
        }


def explain_alarm(ledger: Ledger, data: Path, alarm_id: str, *, zone: str) -> Explanation:
    """Return what explains an alarm; ``data`` is its data folder.

    Raises
    ------
    Missing
        There is no such alarm, or the texts of its time are gone.
    """
    found = ledger.alarm(alarm_id)
    if found is None:
        raise Missing(f"{alarm_id}: no such alarm; take an id of `lifeline alarms list --all`")
    alarm, simulation = found
    events = tuple(event for _, event in ledger.events_of(alarm_id))
    raised_ns = events[0].receive_ns if events else alarm.receive_ns
    site = site_at(data, raised_ns)
    run, same = _again(data, site, alarm, events)
    return Explanation(
        alarm=alarm,
        simulation=simulation,
        events=events,
        sentences={name: words(alarm, site, name, zone=zone).sentence for name in LANGUAGES},
        site=site,
        run=run,
        same=same,
    )


def site_at(data: Path, at_ns: int) -> Site:
    """Return registry and rules as they held at a time.

    Raises
    ------
    Missing
        No record of that time names them, or a text is gone.
    """
    named: dict[str, str] = {}
    for received_ns, control in [*archived_controls(data / "archive"), *journaled_controls(data)]:
        for kind, digest in texts_named(control).items():
            if received_ns <= at_ns or kind not in named:
                named[kind] = digest
    texts = {}
    for kind in ("registry", "rules"):
        path = data / kind / f"{named.get(kind, 'unknown')}.json"
        try:
            texts[kind] = path.read_bytes()
        except OSError as error:
            said = f"{path}: {error.strerror}; the {kind} of the alarm's time cannot be read"
            raise Missing(f"{said}: restore it from a backup of the data folder") from error
    registry = registry_from_bytes(texts["registry"])
    return Site(registry, compile_plan(rules_from_bytes(texts["rules"]), registry)[0])


def _again(
    data: Path, site: Site, alarm: Alarm, events: tuple[Event, ...]
) -> tuple[Rerun | None, bool | None]:
    """Run the alarm's rule again over its channel, and compare with what the ledger holds."""
    row = site.registry.channel_row.get(alarm.subject, -1)
    on_channel = any(
        (rule.rule_id, rule.side) == (alarm.rule, alarm.side) and row in rule.channel
        for rule in site.plan.channel_rules
    )
    if not on_channel or not events:
        return None, None
    last_ns = max((e.receive_ns for e in events if e.type in RERUN_TYPES), default=0)
    ended_ns = min(max(last_ns, events[0].receive_ns), events[0].receive_ns + MOST_AFTER_NS)
    with opened(data=data) as source:
        run = rerun(
            source,
            (site.plan, site.registry),
            (alarm.rule, alarm.side, alarm.subject),
            from_ns=min(alarm.onset_ns, events[0].receive_ns) - BEFORE_NS,
            to_ns=ended_ns + BEFORE_NS,
        )
    held = [encode(e) for e in events if e.type in RERUN_TYPES and e.receive_ns <= ended_ns]
    again = [
        encode(e)
        for e in run.events
        if e.alarm_id == alarm.alarm_id and e.type in RERUN_TYPES and e.receive_ns <= ended_ns
    ]
    return run, held == again
