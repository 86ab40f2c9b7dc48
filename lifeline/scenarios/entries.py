"""What a file of scenarios may say: strict models, and what must fit together across them.

A number, a duration or a beginning may be a range ``[low, high]`` and a place a pattern: each
variant draws its own. Every mistake is told with its place, value and remedy, all at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rules.bulletins import HAZARDS
from rules.durations import parse_duration
from rules.problems import nearest
from rules.strict_models import DurationNs, Strict
from simulators.city import DEFAULT_SEED, PROFILES
from simulators.faults import FAULTS
from simulators.incidents import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rules.yaml_text import Document

DOMAINS: Final = ("gas", "bridge", "tunnel", "water", "drain", "heat", "gallery", "env")
MINUTE_NS: Final = 60_000_000_000
LEVELS: Final = ("blue", "yellow", "orange", "red")
Level = Literal["blue", "yellow", "orange", "red"]
Klass = Literal["safety", "maintenance", "info"]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]


def _among(what: str, known: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}{nearest(name, known)}; {', '.join(known)}")
        return name

    return check


def _instant(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        said = f"{text[:40]!r} is no time: write 2026-03-10T08:30:00+08:00, quoted"
        raise ValueError(said) from error
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: write 2026-03-10T08:30:00+08:00, quoted")
    return text


def _ends(value: Any) -> tuple[Any, Any]:
    """Return both ends of ``x`` or ``[low, high]``."""
    if not isinstance(value, list):
        return value, value
    if len(value) != 2:
        raise ValueError(f"a range has two ends: [low, high], not {len(value)}")
    return value[0], value[1]


def _rising(low: float, high: float, value: Any) -> None:
    if low > high:
        raise ValueError(f"the range falls: write [{value[1]}, {value[0]}]")


def _numbers(value: Any) -> tuple[float, float]:
    low, high = _ends(value)
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise ValueError(f"must be a number or [low, high], not {end!r}")  # noqa: TRY004
    _rising(low, high, value)
    return float(low), float(high)


def _durations(value: Any) -> tuple[int, int]:
    low, high = (parse_duration(end) for end in _ends(value))
    _rising(low, high, value)
    return low, high


def _instants(value: Any) -> tuple[str, str]:
    low, high = _ends(value)
    for end in (low, high):
        if not isinstance(end, str):
            raise ValueError(f"{end!r} is no text: quote it")  # noqa: TRY004
        _instant(end)
    first, last = (datetime.fromisoformat(end).timestamp() for end in (low, high))
    _rising(first, last, value)
    return low, high


Numbers = Annotated[tuple[float, float], BeforeValidator(_numbers)]
Durations = Annotated[tuple[int, int], BeforeValidator(_durations)]
Instants = Annotated[tuple[str, str], BeforeValidator(_instants)]


class CityEntry(Strict):
    """Which city; ``part`` keeps some domains of it only, which is quicker."""

    profile: Annotated[str, AfterValidator(_among("profile", PROFILES))] = "demo"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = DEFAULT_SEED
    part: list[Annotated[str, AfterValidator(_among("domain", DOMAINS))]] = Field(
        default_factory=list
    )
    usual_faults: bool = False  # of a city that is looked after, at its rates


class HappeningEntry(Strict):
    """What incidents and faults have in common; ``at`` counts from the beginning."""

    id: Id
    at: Durations = (0, 0)
    place: str  # an id, or a pattern: one that fits is drawn
    lasts: Durations
    options: dict[str, Numbers] = Field(default_factory=dict)


class IncidentEntry(HappeningEntry):
    """An accident."""

    kind: Annotated[str, AfterValidator(_among("incident", KINDS))]


class FaultEntry(HappeningEntry):
    """A fault of a sensor, a device or a link; ``{leak}`` in its place is where ``leak`` is."""

    kind: Annotated[str, AfterValidator(_among("fault", FAULTS))]


class WarningEntry(Strict):
    """What the weather bureau says; ``at`` counts from the beginning, ``lasts`` from there."""

    id: Id
    at: Durations = (0, 0)
    hazard: Annotated[str, AfterValidator(_among("hazard", HAZARDS))] = "rainstorm"
    level: Level
    lasts: Durations
    areas: list[str] = Field(default_factory=list)  # districts; none: the whole city


class ExpectEntry(Strict):
    """An alarm that must come, about the incident or fault ``of``."""

    of: Id
    rule: str = "*"
    place: str = "*"  # of its subject
    level: Level | None = None  # at least; an incident's own unless said
    klass: Annotated[Klass, Field(alias="class")] = "safety"
    by: DurationNs | None = None  # after the onset; an incident's own deadline unless said


class ForbidEntry(Strict):
    """Alarms that must not come; unless ``anywhere``, those that no incident explains."""

    rule: str = "*"
    place: str = "*"
    level: Level = "blue"  # and above
    klass: Annotated[Klass, Field(alias="class")] = "safety"
    where: Literal["elsewhere", "anywhere"] = "elsewhere"


class ScenarioEntry(Strict):
    """One scenario."""

    name: Id
    title: str
    title_zh: str
    about: str = ""  # what it is after, and what in it is assumed
    city: CityEntry = CityEntry()
    begins: Instants = ("2026-03-10T08:00:00+08:00", "2026-03-10T08:00:00+08:00")
    warmup: DurationNs = 30 * MINUTE_NS  # before it begins: rules learn what is usual
    lasts: DurationNs = 60 * MINUTE_NS  # at least; longer where a deadline is later
    incidents: list[IncidentEntry] = Field(default_factory=list)
    faults: list[FaultEntry] = Field(default_factory=list)
    warnings: list[WarningEntry] = Field(default_factory=list)
    expect: list[ExpectEntry] = Field(default_factory=list)
    forbid: list[ForbidEntry] = Field(default_factory=lambda: [ForbidEntry()])


class FileEntry(Strict):
    """A whole file."""

    version: Literal[1]
    scenarios: Annotated[list[ScenarioEntry], Field(min_length=1)]


def cross_check(entry: FileEntry, document: Document) -> None:
    """Note what does not fit together in ``document``."""
    names: set[str] = set()
    for index, one in enumerate(entry.scenarios):
        path = ("scenarios", index)
        if one.name in names:
            said = f'name "{one.name}" stands twice: rows are told apart by it'
            document.problem((*path, "name"), said, who=one.name, noun="scenario")
        names.add(one.name)
        _check_ids(one, document, path)


def _check_ids(one: ScenarioEntry, document: Document, path: tuple[str | int, ...]) -> None:
    def note(where: tuple[str | int, ...], said: str) -> None:
        document.problem((*path, *where), said, who=one.name, noun="scenario")

    seen: set[str] = set()
    happenings: dict[str, list[HappeningEntry | WarningEntry]] = {
        "incidents": list(one.incidents), "faults": list(one.faults), "warnings": list(one.warnings)
    }  # fmt: skip
    for key, held in happenings.items():
        for at, each in enumerate(held):
            if each.id in seen:
                note((key, at, "id"), f'id "{each.id}" stands twice: give each its own')
            seen.add(each.id)
    seen -= {warning.id for warning in one.warnings}  # nothing happens by them
    faults = {fault.id for fault in one.faults}
    for at, expected in enumerate(one.expect):
        if expected.of not in seen:
            near = nearest(expected.of, seen)
            note(("expect", at, "of"), f'no incident or fault "{expected.of}"{near}')
        elif expected.of in faults and expected.by is None:
            note(("expect", at, "of"), "a fault has no deadline of its own: write by: 10m")
