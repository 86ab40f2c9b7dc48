"""A variant of a scenario: every range, place and the city's own noise drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from lifeline.scenarios.entries import ExpectEntry
from rules.bulletins import ALERT, Bulletin
from rules.problems import Invalid, Problem
from rules.readings import Control, Record
from simulators.city import registry_of_city
from simulators.faults import Break, Unfit, make
from simulators.faults.draw import usual_faults
from simulators.incidents import KINDS, SECOND_NS, SEVERITY, Incident, Misplaced, Onset
from simulators.noise import key_of, uniform
from simulators.stream import City

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lifeline.scenarios.entries import (
        FaultEntry,
        ForbidEntry,
        HappeningEntry,
        IncidentEntry,
    )
    from lifeline.scenarios.files import Scenario
    from rules.registry import Registry
    from simulators.faults import Fault

MINUTE_NS: Final = 60 * SECOND_NS
DAY_NS: Final = 1440 * MINUTE_NS
SLACK_NS: Final = 5 * MINUTE_NS  # played beyond the last deadline, so that late is told from never
MOST_TRIED: Final = 60  # places of a pattern
SENDER: Final = "scenario"
ISSUER: Final = ("the scenario's weather bureau", "场景气象台")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An alarm that must come; ``onset_ns`` and ``due_ns`` are Unix ns."""

    of: str
    kind: str  # of the incident or fault
    rule: str
    subjects: frozenset[str]
    severity: int
    klass: str
    onset_ns: int
    end_ns: int
    due_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One run to be: the engine hears [from, end), the story begins at ``begin_ns``."""

    scenario: Scenario
    seed: int
    city: City
    from_ns: int
    begin_ns: int
    end_ns: int
    incidents: tuple[Incident, ...]
    faults: tuple[Fault, ...]
    expected: tuple[Expected, ...]
    warnings: tuple[Bulletin, ...] = ()  # in the order they come

    def records(self, *, step_ns: int) -> Iterator[list[Record]]:
        """Yield what the engine hears, in journal order: the city, and the official warnings."""
        offset, begin_ns = 0, self.from_ns
        for bulletin in (*self.warnings, None):
            end_ns = self.end_ns if bulletin is None else bulletin.sent_ns
            for batch in self.city.records(begin_ns, end_ns, step_ns=step_ns, offset=offset):
                yield batch
                offset += len(batch)
            if bulletin is not None:
                said = bulletin.data() | {"via": "scenario", "command": bulletin.identifier}
                yield [Record(offset, Control("warning", said))]
                offset += 1
            begin_ns = end_ns

    @property
    def name(self) -> str:
        """Return the scenario's name."""
        return self.scenario.name

    @property
    def registry(self) -> Registry:
        """Return the city's registry."""
        return self.city.registry

    @property
    def forbidden(self) -> Sequence[ForbidEntry]:
        """Return what must not come."""
        return self.scenario.entry.forbid


@lru_cache(maxsize=6)
def registry_for(profile: str, seed: int, part: tuple[str, ...]) -> Registry:
    """Return the registry of a city or a part of it; one object for equal arguments."""
    return registry_of_city(profile, seed, part=part)


def drawn(scenario: Scenario, seed: int) -> Variant:
    """Return the variant of a seed; equal seeds, equal variants.

    Raises
    ------
    Invalid
        A place does not exist, or what is said cannot happen there.
    """
    return _Drawing(scenario, seed).variant()


class _Drawing:
    """One drawing; problems are gathered so that all are told at once."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario, self.seed, self.entry = scenario, seed, scenario.entry
        city = self.entry.city
        self.registry = registry_for(city.profile, city.seed, tuple(sorted(city.part)))
        self.problems: list[Problem] = []
        self.places: dict[str, str] = {}
        low, high = (
            int(datetime.fromisoformat(t).timestamp()) * SECOND_NS for t in self.entry.begins
        )
        self.begin_ns = int(self.between((low, high), "begins")) // MINUTE_NS * MINUTE_NS
        self.from_ns = self.begin_ns - self.entry.warmup

    def between(self, ends: tuple[float, float], *names: str) -> float:
        """Return a number of a range; another seed or name, another number."""
        low, high = ends
        if low == high:
            return low
        share = float(uniform(key_of(self.seed, self.scenario.name, *names), 0))
        return low + (high - low) * share

    def variant(self) -> Variant:
        incidents = [
            held
            for at, entry in enumerate(self.entry.incidents)
            if (held := self.incident(at, entry)) is not None
        ]
        faults = [
            broken
            for at, broke in enumerate(self.entry.faults)
            if (broken := self.fault(at, broke)) is not None
        ]
        if self.problems:
            raise Invalid(self.problems)
        expected = self.expected(incidents, faults)
        end_ns = self.begin_ns + self.entry.lasts
        end_ns = max([end_ns, *(each.due_ns + SLACK_NS for each in expected)])
        city_seed = key_of(self.seed, self.scenario.name, "city") % 2**31
        if self.entry.city.usual_faults:
            since = self.from_ns - 10 * DAY_NS
            faults += usual_faults(self.registry, seed=city_seed, begin_ns=since, end_ns=end_ns)
        city = City(
            self.entry.city.profile, city_seed, registry=self.registry,
            incidents=incidents, faults=sorted(faults, key=lambda f: (f.begin_ns, f.id)),
        )  # fmt: skip
        return Variant(
            scenario=self.scenario, seed=self.seed, city=city, from_ns=self.from_ns,
            begin_ns=self.begin_ns, end_ns=end_ns, incidents=tuple(incidents),
            faults=tuple(faults), expected=tuple(expected), warnings=self.warnings(end_ns),
        )  # fmt: skip

    def warnings(self, end_ns: int) -> tuple[Bulletin, ...]:
        """Return the official warnings that come while it is played."""
        said = []
        for entry in self.entry.warnings:
            sent_ns = self.begin_ns + int(self.between(entry.at, entry.id, "at"))
            lasts_ns = int(self.between(entry.lasts, entry.id, "lasts"))
            said.append(
                Bulletin(
                    identifier=entry.id,
                    sender=SENDER,
                    sent_ns=sent_ns,
                    kind=ALERT,
                    hazard=entry.hazard,
                    severity=SEVERITY[entry.level],
                    issuer=ISSUER,
                    onset_ns=sent_ns,
                    expires_ns=sent_ns + lasts_ns,
                    areas=tuple(entry.areas),
                )
            )
        return tuple(sorted((b for b in said if b.sent_ns < end_ns), key=lambda b: b.sent_ns))

    def told(self, entry: HappeningEntry) -> tuple[int, float, dict[str, float]]:
        """Return onset in Unix ns, length in s and options."""
        at = self.begin_ns + int(self.between(entry.at, entry.id, "at"))
        lasts_s = self.between(entry.lasts, entry.id, "lasts") / SECOND_NS
        options = {n: self.between(e, entry.id, n) for n, e in entry.options.items()}
        return at, round(lasts_s), options

    def incident(self, at: int, entry: IncidentEntry) -> Incident | None:
        begin_ns, lasts_s, options = self.told(entry)
        said = "no asset or device of this city is called so"
        known = (*self.registry.assets.id, *self.registry.devices.id)
        for place in self.fitting(entry, known):
            onset = Onset(
                id=f"{entry.id}-{self.seed}", place=place, begin_ns=begin_ns,
                lasts_s=lasts_s, options=options,
            )  # fmt: skip
            try:
                held = KINDS[entry.kind](self.registry, onset)
            except Misplaced as error:
                said = str(error)
                continue
            self.places[entry.id] = place
            return held
        path = ("incidents", at, "place")
        said = f'{entry.id}: place "{entry.place}": {said}'
        self.problems.append(self.scenario.problem(path, said))
        return None

    def fault(self, at: int, entry: FaultEntry) -> Fault | None:
        begin_ns, lasts_s, options = self.told(entry)
        said = "no channel or device of this city is called so"
        c, d = self.registry.channels, self.registry.devices
        for place in self.fitting(entry, (*c.id, *d.id)):
            told = Break(id=entry.id, kind=entry.kind, place=place, begin_ns=begin_ns,
                         lasts_s=lasts_s, options=options)  # fmt: skip
            try:
                held = make(self.registry, told)
            except Unfit as error:
                said = str(error)
                continue
            self.places[entry.id] = place
            return held
        path = ("faults", at, "place")
        said = f'{entry.id}: place "{entry.place}": {said}'
        self.problems.append(self.scenario.problem(path, said))
        return None

    def fitting(self, entry: HappeningEntry, known: Iterable[str]) -> list[str]:
        """Return the places to try, in the order drawn; a place without a pattern is itself."""
        wanted = self.placed(entry.place)
        if not any(sign in wanted for sign in "*?["):
            return [wanted]
        taken = set(self.places.values())
        fit = [name for name in known if fnmatchcase(name, wanted) and name not in taken]
        key = key_of(self.seed, self.scenario.name, entry.id, "place")
        order = np.argsort(uniform(key, np.arange(len(fit))))
        return [fit[i] for i in order[:MOST_TRIED].tolist()]

    def expected(self, incidents: list[Incident], faults: list[Fault]) -> list[Expected]:
        """Return what is written, and of each incident nothing is written of, its own truth."""
        by_id: dict[str, Incident | Fault] = {}
        by_id |= {e.id: i for e, i in zip(self.entry.incidents, incidents, strict=True)}
        by_id |= {e.id: f for e, f in zip(self.entry.faults, faults, strict=True)}
        named = {said.of for said in self.entry.expect}
        silent = [e.id for e in self.entry.incidents if e.id not in named]
        wanted = [*self.entry.expect, *(ExpectEntry(of=name) for name in silent)]
        return [self.one_expected(said, by_id[said.of]) for said in wanted]

    def one_expected(self, said: ExpectEntry, cause: Incident | Fault) -> Expected:
        deadline_s, own = 0.0, SEVERITY["blue"]
        if isinstance(cause, Incident):
            deadline_s, own = cause.deadline_s, cause.severity
        place = self.placed(said.place)
        every = about(self.registry, cause)
        return Expected(
            of=said.of,
            kind=cause.kind,
            rule=said.rule,
            klass=said.klass,
            subjects=frozenset(s for s in every if fnmatchcase(s, place)),
            severity=SEVERITY[said.level] if said.level else own,
            onset_ns=cause.begin_ns,
            end_ns=cause.end_ns,
            due_ns=cause.begin_ns + (int(deadline_s * SECOND_NS) if said.by is None else said.by),
        )

    def placed(self, text: str) -> str:
        """Return a text with ``{id}`` as the place drawn for that incident or fault."""
        for name, place in self.places.items():
            text = text.replace(f"{{{name}}}", place)
        return text


def about(registry: Registry, cause: Incident | Fault) -> frozenset[str]:
    """Return the channels, devices, assets and zones an alarm about a cause may name."""
    c, d, a = registry.channels, registry.devices, registry.assets
    rows = [int(row) for row in cause.channels]
    devices = [int(row) for row in getattr(cause, "silenced", getattr(cause, "devices", ()))]
    owners = {int(c.asset[row]) for row in rows} | {int(d.asset[row]) for row in devices}
    owners.discard(-1)
    named = {c.id[row] for row in rows} | {d.id[row] for row in devices}
    named |= {a.id[row] for row in owners} | {a.zone[row] for row in owners if a.zone[row]}
    return frozenset(named)
