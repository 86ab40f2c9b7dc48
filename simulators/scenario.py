"""Scenario files: which incidents begin when, how bad the links are, how fast time runs.

Every mistake is reported with its place in the file, all at once, as for rule files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from rules.problems import Invalid, Problem, nearest
from rules.strict_models import DurationNs, Strict, validated
from rules.yaml_text import Document, raise_errors, read_yaml
from simulators.city import PROFILES
from simulators.faults import FAULTS, Break, Unfit, make
from simulators.incidents import KINDS, SECOND_NS, SEVERITY, Misplaced, Onset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.registry import Registry
    from simulators.faults import Fault
    from simulators.incidents import Incident

MAX_REPEATS: Final = 500  # of a repeating scenario; then the city stays quiet

Share = Annotated[float, Field(ge=0, le=0.5)]


def _kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"unknown incident {name!r}{nearest(name, KINDS)}; {', '.join(KINDS)}")
    return name


def _fault(name: str) -> str:
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}{nearest(name, FAULTS)}; {', '.join(FAULTS)}")
    return name


def _profile(name: str) -> str:
    if name not in PROFILES:
        raise ValueError(
            f"unknown profile {name!r}{nearest(name, PROFILES)}; {', '.join(PROFILES)}"
        )
    return name


def _instant(text: str) -> str:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: write 2026-03-10T08:30:00+08:00, quoted")
    return text


class LostShares(Strict):
    """Shares of messages lost before they are sent."""

    mqtt: Share = 0.0
    coap: Share = 0.0


class LateEntry(Strict):
    """Modules out of reach for a while, whose samples then come in one batch."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.0  # of the modules
    of: DurationNs = 0  # how long each is out of reach …
    every: DurationNs = 0  # … once in this time


class LinkEntry(Strict):
    """What the links do to messages; the shares are of messages."""

    lost: LostShares = LostShares()
    duplicate: Share = 0.0
    malformed: Share = 0.0
    out_of_order: Share = 0.0
    late: LateEntry = LateEntry()


class IncidentEntry(Strict):
    """One incident; ``options`` are the numbers its kind takes."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    kind: Annotated[str, AfterValidator(_kind)]
    at: DurationNs  # after the scenario's begin, city time
    place: str
    lasts: DurationNs
    level: Literal["blue", "yellow", "orange", "red"] | None = None  # of its alarm, at least
    options: dict[str, float | int] = Field(default_factory=dict)


class FaultEntry(Strict):
    """One fault of a sensor or link; ``options`` are the numbers its kind takes."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    kind: Annotated[str, AfterValidator(_fault)]
    at: DurationNs  # after the scenario's begin, city time
    place: str
    lasts: DurationNs
    options: dict[str, float | int] = Field(default_factory=dict)


class ScenarioEntry(Strict):
    """The whole file."""

    version: Literal[1]
    name: str
    title: str = ""
    title_zh: str = ""
    profile: Annotated[str, AfterValidator(_profile)] = "demo"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 20260301
    factor: Annotated[float | int, Field(gt=0, le=10_000)] = 60.0
    start: Annotated[str, AfterValidator(_instant)] | None = None
    lasts: DurationNs = 3600 * SECOND_NS
    repeat: DurationNs | None = None
    allow: DurationNs = 0  # wall time the pipeline itself may take, on top of each deadline
    links: LinkEntry = LinkEntry()
    incidents: list[IncidentEntry] = Field(default_factory=list)
    faults: list[FaultEntry] = Field(default_factory=list)  # once, whatever repeats


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario; ``place`` puts its incidents into a registry and onto a time line."""

    entry: ScenarioEntry
    document: Document

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.entry.name

    @property
    def seed(self) -> int:
        """The seed of city, signals and links."""
        return self.entry.seed

    @property
    def factor(self) -> float:
        """How many times faster than the wall it is meant to run."""
        return float(self.entry.factor)

    @property
    def lasts_ns(self) -> int:
        """City time from its begin to its end (one round of a repeating one)."""
        return self.entry.lasts

    @property
    def start_ns(self) -> int | None:
        """Return the city time it begins at, None to begin now."""
        if self.entry.start is None:
            return None
        return int(datetime.fromisoformat(self.entry.start).timestamp()) * SECOND_NS

    def onsets(self, begin_ns: int) -> Iterator[tuple[int, Onset]]:
        """Yield (index in the file, onset) of every incident, repeats included."""
        rounds = 1 if self.entry.repeat is None else MAX_REPEATS
        for turn in range(rounds):
            shift = turn * (self.entry.repeat or 0)
            for index, entry in enumerate(self.entry.incidents):
                yield (
                    index,
                    Onset(
                        id=entry.id if turn == 0 else f"{entry.id}-{turn + 1}",
                        place=entry.place,
                        begin_ns=begin_ns + shift + entry.at,
                        lasts_s=entry.lasts / SECOND_NS,
                        options={k: float(v) for k, v in entry.options.items()},
                    ),
                )

    def place(self, registry: Registry, begin_ns: int, *, factor: float = 0.0) -> list[Incident]:
        """Return all incidents of a run that begins at ``begin_ns``, in order of onset.

        In a run ``factor`` times as fast as the wall, every wall second the pipeline takes costs
        ``factor`` city seconds, so ``allow`` times ``factor`` is added to each deadline.

        Raises
        ------
        Invalid
            A place does not exist or cannot have such an incident; all of them at once.
        """
        allowance_s = self.entry.allow / SECOND_NS * factor
        held: list[Incident] = []
        problems: list[Problem] = []
        for index, onset in self.onsets(begin_ns):
            entry = self.entry.incidents[index]
            try:
                incident = KINDS[entry.kind](registry, onset)
            except Misplaced as error:
                line, column = self.document.at(("incidents", index, "place"))
                text = f'place "{entry.place}": {error}'
                problems.append(
                    Problem(self.document.name, line, column, entry.id, text, noun="incident")
                )
                continue
            held.append(_judged(incident, entry, allowance_s))
        raise_errors(problems)
        return sorted(held, key=lambda incident: incident.begin_ns)

    def faults(self, registry: Registry, begin_ns: int) -> list[Fault]:
        """Return the faults of a run that begins at ``begin_ns``.

        Raises
        ------
        Invalid
            A place does not exist or cannot have such a fault; all of them at once.
        """
        held: list[Fault] = []
        problems: list[Problem] = []
        for index, entry in enumerate(self.entry.faults):
            told = Break(
                id=entry.id,
                kind=entry.kind,
                place=entry.place,
                begin_ns=begin_ns + entry.at,
                lasts_s=entry.lasts / SECOND_NS,
                options={k: float(v) for k, v in entry.options.items()},
            )
            try:
                held.append(make(registry, told))
            except Unfit as error:
                line, column = self.document.at(("faults", index, "place"))
                said = f'place "{entry.place}": {error}'
                name = self.document.name
                problems.append(Problem(name, line, column, entry.id, said, noun="fault"))
        raise_errors(problems)
        return held


def _judged(incident: Incident, entry: IncidentEntry, allowance_s: float) -> Incident:
    """Return the incident with the scenario's own level and the allowance for fast time."""
    why = incident.why
    if allowance_s:
        why += f" + {allowance_s:.0f} s of fast time for the pipeline's own seconds"
    return replace(
        incident,
        severity=SEVERITY[entry.level] if entry.level else incident.severity,
        deadline_s=incident.deadline_s + allowance_s,
        why=why,
    )


def shipped() -> dict[str, str]:
    """Return the scenarios that come with the program: name → text."""
    folder = resources.files("simulators") / "scenarios"
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def load_scenario(name_or_path: str | Path) -> Scenario:
    """Return a shipped scenario by its name, or the scenario of a file.

    Raises
    ------
    Invalid
        No such scenario, or the file is wrong; every problem with its place.
    """
    path = Path(name_or_path)
    known = shipped()
    if str(name_or_path) in known:
        return scenario_of(f"{name_or_path}.yaml", known[str(name_or_path)])
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid([Problem(path.name, 0, 0, "", "is not UTF-8 text")]) from error
    except OSError as error:
        said = f"no such scenario or file{nearest(str(name_or_path), known)}"
        said += f"; shipped are {', '.join(sorted(known))} ({error.strerror})"
        raise Invalid([Problem(str(name_or_path), 0, 0, "", said)]) from error
    return scenario_of(path.name, text)


def scenario_of(name: str, text: str) -> Scenario:
    """Return the scenario of a text; see load_scenario."""
    document = read_yaml(name, text)
    raise_errors(document.problems)

    entry = validated(ScenarioEntry, document.value, document, (), noun="scenario")
    if entry is not None:
        _cross_check(entry, document)
    raise_errors(document.problems)
    if entry is None:
        raise Invalid(document.problems)
    return Scenario(entry, document)


def _cross_check(entry: ScenarioEntry, document: Document) -> None:
    seen: set[str] = set()
    for index, incident in enumerate(entry.incidents):
        if incident.id in seen:
            said = "stands twice: ids are told apart in the report"
            document.problem(("incidents", index, "id"), said, who=incident.id, noun="incident")
        seen.add(incident.id)
        if entry.repeat is not None and incident.at + incident.lasts > entry.repeat:
            said = "still lasts when the scenario repeats: shorten it or repeat later"
            document.problem(("incidents", index, "lasts"), said, who=incident.id, noun="incident")
    broken: set[str] = set()
    for index, fault in enumerate(entry.faults):
        if fault.id in broken:
            said = "stands twice: ids are told apart in the report"
            document.problem(("faults", index, "id"), said, who=fault.id, noun="fault")
        broken.add(fault.id)
    late = entry.links.late
    if late.share and not 0 < late.of < late.every:
        said = "`of` must be more than 0 and less than `every`"
        document.problem(("links", "late"), said, noun="scenario")
