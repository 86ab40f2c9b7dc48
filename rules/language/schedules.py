"""Schedules by name, and what a rule sets while one holds: ``when: {night: {above.blue: 8}}``.

A schedule is hours, days and seasons by the clock of a zone, or lasts as long as an official
warning stands (``warning: {hazard: rainstorm, at_least: orange}``), or both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, PlainValidator

from rules.bulletins import HAZARDS
from rules.civil_time import zone_of
from rules.problems import listed, nearest
from rules.schedule import DAY_MINUTES, WEEK_MINUTES, Schedule, Warned, week_edges
from rules.strict_models import Strict, validated

if TYPE_CHECKING:
    from rules.yaml_text import Document

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST_AT_ONCE: Final = 3
"""Schedules one rule may name: each combination has parameters of its own."""
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_DAY: Final = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _clock(text: object) -> int:
    if not isinstance(text, str) or not _CLOCK.fullmatch(text):
        raise ValueError(f'{text!r} is no time of day: write "22:00", quoted, up to "24:00"')
    return int(text[:2]) * 60 + int(text[3:])


def _times(value: object) -> tuple[tuple[int, int], ...]:
    said = 'write times: [["22:00", "06:00"]]: pairs of from and to'
    if not isinstance(value, list) or not value:
        raise ValueError(said)
    pairs = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(said)
        begin, end = _clock(pair[0]), _clock(pair[1])
        if begin == DAY_MINUTES:
            raise ValueError('"24:00" is an end: write "00:00" for a begin')
        if begin == end:
            raise ValueError(f'"{pair[0]}" to "{pair[1]}" is no time: for all day leave times away')
        pairs.append((begin, end % DAY_MINUTES))
    return tuple(pairs)


def _weekdays(value: object) -> tuple[int, ...]:
    days: set[int] = set()
    for word in value if isinstance(value, list) else [value]:
        ends = [part.strip() for part in str(word).split("-")]
        for end in ends:
            if end not in WEEKDAYS:
                said = f"{str(word)[:40]!r} is no day of the week{nearest(end, WEEKDAYS)}"
                raise ValueError(f"{said}: write mon, or mon-fri")
        if len(ends) > 2:
            raise ValueError(f"{str(word)[:40]!r} is no range of days: write mon-fri")
        first, last = WEEKDAYS.index(ends[0]), WEEKDAYS.index(ends[-1])
        days |= {(first + i) % 7 for i in range((last - first) % 7 + 1)}
    if not days:
        raise ValueError("is an empty list: leave the key away for all days")
    return tuple(sorted(days))


def _seasons(value: object) -> tuple[tuple[int, int], ...]:
    said = 'write dates: [["11-15", "03-15"]]: pairs of first and last day, month-day'
    if not isinstance(value, list) or not value:
        raise ValueError(said)
    pairs = []
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(said)
        pairs.append((_month_day(pair[0]), _month_day(pair[1])))
    return tuple(pairs)


def _month_day(text: object) -> int:
    if isinstance(text, str) and _DAY.fullmatch(text):
        month, day = int(text[:2]), int(text[3:])
        if day <= _LENGTHS[month - 1]:
            return month * 100 + day
    raise ValueError(f'{text!r} is no day of the year: write "11-15", quoted, month and day')


def _zone(text: str) -> str:
    zone_of(text)  # raises ValueError with what to write
    return text


def _hazards(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list) else [value]
    known = (*HAZARDS, ANY)
    for word in words:
        if word not in known:
            said = f"unknown hazard {str(word)[:40]!r}{nearest(str(word), known)}"
            raise ValueError(f"{said}: {listed(known)}")
    if not words:
        raise ValueError(f"is an empty list: write {ANY} for whatever is warned of")
    if ANY in words:
        if len(words) > 1:
            raise ValueError(f"{ANY} stands alone: it means every hazard")
        return ()
    return tuple(hazard for hazard in HAZARDS if hazard in words)


def _colour(value: object) -> int:
    if value not in COLOURS:
        said = f"{str(value)[:40]!r} is no colour of a warning{nearest(str(value), COLOURS)}"
        raise ValueError(f"{said}: {listed(COLOURS)}")
    return COLOURS.index(str(value)) + 1


Pairs = list[list[str]]
ANY: Final = "any"
COLOURS: Final = ("blue", "yellow", "orange", "red")
"""Of official warnings, by severity from 1; they are no levels of a site's alarms."""


class WarningEntry(Strict):
    """Official warnings of some hazards, at least so bad, at the place of what a rule judges."""

    hazard: Annotated[
        tuple[str, ...], PlainValidator(_hazards, json_schema_input_type=str | list[str])
    ]
    at_least: Annotated[
        int,
        PlainValidator(_colour, json_schema_input_type=Literal["blue", "yellow", "orange", "red"]),
    ]


class ScheduleEntry(Strict):
    """Hours of some days of the week, in some seasons, by one zone's clock; official warnings."""

    times: Annotated[
        tuple[tuple[int, int], ...], PlainValidator(_times, json_schema_input_type=Pairs)
    ] = ((0, 0),)
    weekdays: Annotated[
        tuple[int, ...], PlainValidator(_weekdays, json_schema_input_type=str | list[str])
    ] = tuple(range(7))
    dates: Annotated[
        tuple[tuple[int, int], ...], PlainValidator(_seasons, json_schema_input_type=Pairs)
    ] = ()
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    warning: WarningEntry | None = None

    @property
    def by_clock(self) -> bool:
        """Tell whether a wall clock decides, alone or beside a warning."""
        return self.warning is None or bool(self.model_fields_set & {"times", "weekdays", "dates"})


Settings = Annotated[dict[str, Any], Field(min_length=1)]
When = Annotated[dict[str, Settings], Field(min_length=1, max_length=MOST_AT_ONCE)]


def read_schedules(
    document: Document, entries: dict[str, Any], zone: object
) -> dict[str, Schedule]:
    """Return the schedules of a file by name; ``zone`` is that of its defaults, if it has any."""
    found: dict[str, Schedule] = {}
    for name, item in entries.items():
        path = ("schedules", name)
        entry = validated(ScheduleEntry, item, document, path)
        if entry is None:
            continue
        asked = entry.warning
        warned = None if asked is None else Warned(asked.hazard, asked.at_least)
        if warned is not None and not entry.by_clock:
            found[name] = Schedule(name, "UTC0", (0, WEEK_MINUTES), (), warned)
            continue
        where = entry.timezone or zone
        if not isinstance(where, str):
            said = f'schedule "{name}" has no timezone: write timezone: Asia/Shanghai, here or'
            document.problem(path, f"{said} in defaults", key=True)
            continue
        edges = week_edges(list(entry.times), list(entry.weekdays))
        found[name] = Schedule(name, where, edges, entry.dates, warned)
        if edges == (0, WEEK_MINUTES) and not entry.dates and warned is None:
            said = f'schedule "{name}" always holds: give it times, weekdays, dates or a warning'
            document.problem(path, said, key=True)
    return found
