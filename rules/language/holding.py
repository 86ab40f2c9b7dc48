"""Sections ``inhibit`` and ``maintenance``: what keeps alarms from being announced to all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from pydantic import AfterValidator, Field, PlainValidator, model_validator

from rules.civil_time import read_moment
from rules.language.models import ChannelBody, ChannelSelect, RuleId, Words
from rules.plan import SAME, Inhibit, Maintenance
from rules.problems import Problem, nearest
from rules.strict_models import Strict, validated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.language.ruleset import Rule
    from rules.language.selection import Selector
    from rules.plan import Level
    from rules.registry import Registry
    from rules.strict_models import Path
    from rules.yaml_text import Document

ORANGE: Final = 3
LONGEST_NS: Final = 31 * 86_400_000_000_000
_MATCHED: Final = ("asset", "sensor", "channel", "device")


def _same(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list) else [value]
    for word in words:
        if word not in SAME:
            said = f"unknown label {str(word)[:40]!r}{nearest(word, SAME)}"
            if word == "gateway":
                said = "a gateway is the device its sensors speak through: write device"
            raise ValueError(f"{said}; labels are {', '.join(SAME)}")
    return tuple(str(word) for word in words)


def _named(words: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for word in words or ():
        if "*" in word:
            raise ValueError(f"{word!r}: maintenance concerns what it names, without *")
    return words


Same = Annotated[tuple[str, ...], PlainValidator(_same, json_schema_input_type=str | list[str])]
Moment = Annotated[int, PlainValidator(read_moment, json_schema_input_type=str)]
Named = Annotated[Words, AfterValidator(_named)]


class Cause(Strict):
    """The alarm that explains others."""

    rule: str
    at_least: str | None = None  # a level


class Muted(Strict):
    """The rules whose alarms it explains."""

    rule: Words


class InhibitEntry(Strict):
    """While a cause stands, alarms with the same labels announce nothing."""

    id: RuleId
    when: Cause
    mute: Muted
    same: Same


class MaintenanceMatch(Strict):
    """What is worked on, by name: everything on an asset, or less."""

    asset: Named | None = None
    sensor: Named | None = None
    channel: Named | None = None
    device: Named | None = None

    @model_validator(mode="after")
    def _something(self) -> MaintenanceMatch:
        if not self.model_fields_set:
            raise ValueError(f"names nothing: give one of {', '.join(_MATCHED)}")
        return self


class MaintenanceEntry(Strict):
    """A window in which alarms about what is worked on go to the crew only."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,47}$")]
    match: MaintenanceMatch
    from_: Moment = Field(alias="from")
    to: Moment
    effect: Literal["out_of_service"] = "out_of_service"
    by: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    crew: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _ends(self) -> MaintenanceEntry:
        if self.to <= self.from_:
            raise ValueError("to must be after from")
        if self.to - self.from_ > LONGEST_NS:
            raise ValueError("lasts longer than 31 days: what is out for good is retired, not held")
        return self


class Held:
    """Entries of one section as read, with their places."""

    def __init__(self, document: Document, section: str, number: int, entry: Any) -> None:
        self.document, self.entry = document, entry
        self._path: Path = (section, number)

    @property
    def file(self) -> str:
        """Return ``gas.yaml:12``."""
        return f"{self.document.name}:{self.document.at(self._path)[0]}"

    def problem(self, within: Path, said: str, *, warning: bool = False) -> Problem:
        """Return a problem of the entry."""
        line, column = self.document.at((*self._path, *within))
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        noun = str(self._path[0])
        return Problem(self.document.name, line, column, self.entry.id, said, severity, noun)


def read_holding(document: Document, head: Any, found: dict[str, Held]) -> None:
    """Add the entries of a file's two sections to ``found``, by id; note what is wrong."""
    sections: list[tuple[str, type[Strict]]] = [
        ("inhibit", InhibitEntry),
        ("maintenance", MaintenanceEntry),
    ]
    for section, model in sections:
        for i, item in enumerate(getattr(head, section)):
            who = str(item.get("id", "")) if isinstance(item, dict) else ""
            entry = validated(model, item, document, (section, i), who=who, noun=section)
            if entry is None:
                continue
            held = Held(document, section, i, entry)
            first = found.get(held.entry.id)
            if first is not None:
                said = f"the id stands twice, first at {first.file}"
                document.problem((section, i, "id"), said, who=who, noun=section)
                continue
            found[held.entry.id] = held


def holding_problems(
    entries: Sequence[Held], rules: Sequence[Rule], levels: Sequence[Level], today: str | None
) -> list[Problem]:
    """Return what the rules show to be wrong with inhibits and windows."""
    known = {rule.id: rule for rule in rules}
    problems: list[Problem] = []
    mutes: dict[str, set[str]] = {}
    for held in entries:
        entry = held.entry
        if entry.id in known:
            problems.append(held.problem(("id",), f"rule {entry.id!r} has this id: take another"))
        if isinstance(entry, MaintenanceEntry):
            if today is not None and entry.to < read_moment(f"{today}T00:00+00:00"):
                said = "is over: remove it, or give it a new time"
                problems.append(held.problem(("to",), said, warning=True))
            continue
        problems += _rules_known(held, known, levels)
        mutes.setdefault(entry.when.rule, set()).update(entry.mute.rule)
    return [*problems, *_circles(entries, mutes)]


def _rules_known(held: Held, known: dict[str, Rule], levels: Sequence[Level]) -> list[Problem]:
    entry, problems = held.entry, []
    names = [level.name for level in levels]
    if entry.when.rule not in known:
        said = f"no rule {entry.when.rule!r}{nearest(entry.when.rule, known)}"
        problems.append(held.problem(("when", "rule"), said))
    if entry.when.at_least is not None and entry.when.at_least not in names:
        said = f"unknown level {entry.when.at_least!r}{nearest(entry.when.at_least, names)}"
        problems.append(held.problem(("when", "at_least"), said))
    for name in entry.mute.rule:
        body = known[name].body if name in known else None
        if body is None:
            problems.append(
                held.problem(("mute", "rule"), f"no rule {name!r}{nearest(name, known)}")
            )
        elif isinstance(body, ChannelBody) and body.fail_loud:
            said = f"rule {name!r} is fail_loud: no other alarm may keep it quiet"
            problems.append(held.problem(("mute", "rule"), said))
    return problems


def _circles(entries: Sequence[Held], mutes: dict[str, set[str]]) -> list[Problem]:
    """Find inhibits that mute, in the end, what they need themselves: both would fall silent."""
    problems = []
    for held in entries:
        if isinstance(held.entry, MaintenanceEntry):
            continue
        start, seen, waiting = held.entry.when.rule, set(), set(held.entry.mute.rule)
        while waiting:
            rule = waiting.pop()
            if rule == start:
                said = f"goes in a circle: {start!r} would be muted by what it mutes"
                problems.append(held.problem(("when", "rule"), said))
                break
            if rule not in seen:
                seen.add(rule)
                waiting |= mutes.get(rule, set())
    return problems


def compile_holding(
    entries: Sequence[Held], selector: Selector, registry: Registry, levels: Sequence[Level]
) -> tuple[tuple[Inhibit, ...], tuple[Maintenance, ...], list[Problem]]:
    """Return inhibits and windows against a registry, and warnings."""
    inhibits, windows, problems = [], [], []
    severity = {level.name: level.severity for level in levels}
    for held in entries:
        entry = held.entry
        if isinstance(entry, MaintenanceEntry):
            subjects = _subjects(entry.match, selector, registry)
            if not subjects:
                unknown = selector.unknown(_select(entry.match))
                said = f"matches nothing that is registered{': ' + unknown if unknown else ''}"
                problems.append(held.problem(("match",), said, warning=True))
            windows.append(
                Maintenance(
                    window_id=entry.id, from_ns=entry.from_, to_ns=entry.to,
                    subjects=frozenset(subjects), by=entry.by, reason=entry.reason,
                    crew=tuple(entry.crew), file=held.file,
                )
            )  # fmt: skip
            continue
        least = severity.get(entry.when.at_least, 1) if entry.when.at_least else 1
        inhibits.append(
            Inhibit(
                inhibit_id=entry.id, cause=entry.when.rule, at_least=least,
                mute=tuple(entry.mute.rule), same=entry.same, file=held.file,
            )
        )  # fmt: skip
    return tuple(inhibits), tuple(windows), problems


def _select(match: MaintenanceMatch) -> ChannelSelect:
    return ChannelSelect.model_construct(
        set(match.model_fields_set), **{name: getattr(match, name) for name in _MATCHED}
    )


def _subjects(match: MaintenanceMatch, selector: Selector, registry: Registry) -> set[str]:
    """Return the channels matched; with whole assets or devices, these and what is on them too."""
    found = {registry.channels.id[i] for i in np.flatnonzero(selector.channels(_select(match)))}
    if match.model_fields_set == {"asset"}:
        wanted = set(match.asset or ())
        found |= wanted & set(registry.asset_row)
        rows = {registry.asset_row[name] for name in wanted if name in registry.asset_row}
        mounted = np.isin(registry.devices.asset, sorted(rows))
        found |= {registry.devices.id[i] for i in np.flatnonzero(mounted)}
    if match.model_fields_set == {"device"}:
        found |= set(match.device or ()) & set(registry.device_row)
    return found
