"""What a year of natural frequencies says by itself, and how soon a shift of them is told.

A span is softer when warm, so its frequency swings with the day and the year by as much as damage
would shift it. A city of spans is played for a year with the faults its sensors and links have by
themselves, and nothing else: whatever a rule of kind modal raises then is false. On the day after,
every span loses stiffness at once, by the share that is asked about.

Only frequencies and the temperatures beside them are played: a year of 51 spans takes a minute.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.scenarios.draw import registry_for
from rules.engine import Engine
from rules.events import EventType
from rules.language.compiler import compile_plan
from rules.readings import Readings, Record
from simulators.faults.draw import usual_faults
from simulators.incidents.bridge import stiffness_loss
from simulators.incidents.truth import Onset
from simulators.stream import City

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from rules.events import Event
    from rules.language import RuleSet
    from rules.registry import Registry
    from simulators.faults.truth import Fault

    Rows = NDArray[np.int32]

DAY_S: Final = 86_400
DAY_NS: Final = DAY_S * 10**9
BEGIN_NS: Final = 1_767_196_800 * 10**9  # 2026-01-01 at +08:00
LEARNING_D: Final = 14  # days at the beginning that do not count: the baseline fills
PLAYED: Final = ("frequency", "temperature")


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarm:
    """An alarm with nothing behind it, and the faults that lay on what it looked at, if any."""

    subject: str
    rule: str
    severity: int
    at_ns: int
    beside: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One span that got softer: h until told, None: not within the day."""

    subject: str
    delay_h: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalYear:
    """The figures of one city and seed."""

    seed: int
    spans: int
    days: int  # that count
    shift: float
    false: tuple[FalseAlarm, ...]
    shifts: tuple[Shift, ...]

    @property
    def span_years(self) -> float:
        """Return how many years of one span were watched."""
        return self.spans * self.days / 365.25

    @property
    def found(self) -> tuple[float, ...]:
        """Return the delays of the shifts that were told, h, rising."""
        return tuple(sorted(s.delay_h for s in self.shifts if s.delay_h is not None))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"span_years": self.span_years}


def modal_year(
    rules: RuleSet,
    *,
    days: int,
    shift: float,
    seed: int,
    profile: str = "bozhou",
    layout: int = 5,
    tracked: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> ModalYear:
    """Play ``days`` (14 more before them), then a day on which every span loses ``shift`` (0 … 1).

    Raises
    ------
    Misplaced
        A shift below 3 %, where no rule speaks.
    """
    registry = registry_for(profile, layout, ("bridge",))
    rows = _played(registry)
    quiet_ns = BEGIN_NS + LEARNING_D * DAY_NS
    loss_ns = quiet_ns + days * DAY_NS
    faults = usual_faults(registry, seed=seed, begin_ns=BEGIN_NS, end_ns=loss_ns)
    spans = sorted({int(registry.channels.asset[row]) for row in rows})
    losses = [
        stiffness_loss(
            registry,
            Onset(
                id=f"loss-{registry.assets.id[span]}",
                place=registry.assets.id[span],
                begin_ns=loss_ns,
                lasts_s=DAY_S,
                options={"shift": shift},
            ),
        )
        for span in spans
    ]
    city = City(profile, seed, registry=registry, incidents=losses, faults=faults)
    raised: list[Event] = []
    plan, _ = compile_plan(rules, registry)
    modal = {rule.rule_id for rule in plan.channel_rules if rule.kind == "modal"}
    engine = Engine(plan, registry)
    for day in tracked(range(LEARNING_D + days + 1)):
        events = engine.fold([_day_of(city, rows, day)])
        raised += [e for e in events if e.rule in modal and e.type == EventType.RAISED]
    told = [e for e in raised if e.event_ns >= loss_ns]
    delays: dict[str, float] = {}
    for event in told:
        delays.setdefault(event.subject, (event.event_ns - loss_ns) / 3.6e12)
    names = [registry.channels.id[r] for r in rows if registry.channels.quantity[r] == "frequency"]
    return ModalYear(
        seed=seed,
        spans=len(names),
        days=days,
        shift=shift,
        false=tuple(
            _false(event, registry, faults) for event in raised
            if quiet_ns <= event.event_ns < loss_ns
        ),
        shifts=tuple(Shift(subject=name, delay_h=delays.get(name)) for name in names),
    )  # fmt: skip


def _played(registry: Registry) -> Rows:
    channels = registry.channels
    spans = {
        int(channels.asset[row])
        for row in range(len(channels.id))
        if channels.quantity[row] == "frequency"
    }
    held = [
        row
        for row in range(len(channels.id))
        if channels.quantity[row] in PLAYED and int(channels.asset[row]) in spans
    ]
    return np.array(held, np.int32)


def _day_of(city: City, rows: Rows, day: int) -> Record:
    """Return one day's samples as one message that comes at its end."""
    begin_ns = BEGIN_NS + day * DAY_NS
    shown = city.samples(begin_ns, begin_ns + DAY_NS, rows)
    order = np.argsort(shown.t_ns, kind="stable")
    order = order[shown.usable[order]]
    channel = shown.rows[order]
    columns = {
        "channel": channel,
        "device": city.registry.channels.device[channel],
        "judged_ns": shown.t_ns[order],
        "receive_ns": np.full(len(order), begin_ns + DAY_NS),
        "value": shown.value[order],
        "index": np.arange(len(order)),
    }
    return Record(day, Readings.of(columns))


def _false(event: Event, registry: Registry, faults: Sequence[Fault]) -> FalseAlarm:
    row = registry.channel_row[event.subject]
    asset = int(registry.channels.asset[row])
    near = {
        int(r)
        for r in np.flatnonzero(registry.channels.asset == asset)
        if registry.channels.quantity[r] in PLAYED
    }
    beside = sorted(
        {
            fault.kind
            for fault in faults
            if fault.begin_ns <= event.event_ns <= fault.end_ns + DAY_NS
            and fault.place != "*"
            and near & set(fault.channels.tolist())
        }
    )
    return FalseAlarm(
        subject=event.subject,
        rule=event.rule,
        severity=event.severity,
        at_ns=event.event_ns,
        beside=tuple(beside),
    )


def modal_section(held: ModalYear, command: str) -> str:
    """Return the figures as Markdown."""
    alone = [each for each in held.false if not each.beside]
    found = held.found
    longest = f"{found[-1]:.1f} h" if found else "–"
    middle = f"{float(np.median(found)):.1f} h" if found else "–"
    a_year = f"{len(held.false) / held.span_years:.2f}" if held.span_years else "–"
    beside = len(held.false) - len(alone)
    figures = {
        "spans, days that count": f"{held.spans}, {held.days}",
        "alarms with nothing behind them, a span and year (1 asked for)": a_year,
        "of those, with a fault on the frequency or its temperature": (
            f"{beside} of {len(held.false)}"
        ),
        f"shifts of {held.shift:.1%} told within a day": f"{len(found)} of {held.spans}",
        "delay, median and longest": f"{middle}, {longest}",
    }
    lines = [f"`{command}`", "", "| figure | value |", "|---|--:|"]
    lines += [f"| {name} | {value} |" for name, value in figures.items()]
    lines += [
        f"- {each.subject}: {each.rule}, level {each.severity}, "
        f"{', '.join(each.beside) or 'nothing beside it'}"
        for each in held.false[:20]
    ]
    return "\n".join(lines)
