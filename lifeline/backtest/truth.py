"""What really happened: incidents a person wrote down, against which alarms are counted.

A CSV with a header, or JSON Lines, with the same names:

- ``place``: the id of a channel, sensor, asset, device or zone, or a district's name (``channel``
  and ``zone`` are taken for it too); ``*`` stands for any characters
- ``from``, ``to``: ISO 8601 with a zone (``2026-10-03T14:20+08:00``), or Unix ns
- ``by``: until when it should have been known; left out, its ``to``
- ``kind``: what it was, for people; ``level``: the least level that counts; left out, blue
- ``rules``: ids of the rules that should find it, apart by spaces, ``*`` as above; left out, any
- ``id``: left out, its number
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import orjson

from lifeline.verdicts import verdicts_in
from rules.problems import Invalid, Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rules.plan import Level, Plan
    from rules.registry import Registry

_PLACES = ("place", "channel", "zone", "asset", "device", "district")
_KEYS = (*_PLACES, "id", "from", "to", "by", "kind", "level", "rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident, with all subjects of alarms that are about its place."""

    id: str
    place: str
    kind: str
    from_ns: int
    to_ns: int
    by_ns: int
    severity: int  # the least that counts
    rules: tuple[str, ...]  # patterns; () = any
    subjects: frozenset[str]

    def fits(self, rule: str, subject: str) -> bool:
        """Tell whether an alarm of a rule about a subject may be about this incident."""
        if subject not in self.subjects:
            return False
        return not self.rules or any(fnmatchcase(rule, pattern) for pattern in self.rules)


def read_truth(path: Path, registry: Registry, levels: Sequence[Level]) -> list[Incident]:
    """Return the incidents of a CSV or JSON Lines file, in order of time.

    Of a city's folder: what its operators found true, as its ledger has it.

    Raises
    ------
    Invalid
        With every line that cannot be understood.
    """
    lines = _ledger_lines(path) if path.is_dir() else _file_lines(path)
    found = _incidents(lines, path.name, registry, levels)
    if not found:
        raise Invalid([Problem(path.name, 0, 0, "", "holds no incident")])
    return found


def read_false(folder: Path, registry: Registry, levels: Sequence[Level]) -> list[Incident]:
    """Return what a city's operators found to be false alarms, in order of time.

    Raises
    ------
    Invalid
        One of them is about a place that the registry does not know.
    """
    lines = enumerate(verdicts_in(folder, "false"), start=1)
    return _incidents(lines, folder.name, registry, levels)


def _incidents(
    lines: Iterable[tuple[int, Any]], name: str, registry: Registry, levels: Sequence[Level]
) -> list[Incident]:
    found, problems = [], []
    for number, line in lines:
        try:
            found.append(_incident(line, number, registry, levels))
        except ValueError as error:
            problems.append(Problem(name, number, 1, "", str(error)))
    if problems:
        raise Invalid(problems)
    return sorted(found, key=lambda incident: incident.from_ns)


def recorded_truth(told: Sequence[dict[str, Any]], registry: Registry) -> list[Incident]:
    """Return the incidents a simulated recording tells of itself."""
    return [
        Incident(
            id=str(each["id"]),
            place=str(each["place"]),
            kind=str(each["kind"]),
            from_ns=int(each["begin_ns"]),
            to_ns=int(each["end_ns"]),
            by_ns=int(each["begin_ns"] + each["deadline_s"] * 1e9),
            severity=int(each["severity"]),
            rules=(),
            subjects=frozenset(each["subjects"]) | _subjects(str(each["place"]), registry),
        )
        for each in told
    ]


def _file_lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid([Problem(str(path), 0, 0, "", f"cannot be read: {error}")]) from error
    return _json_lines(text) if path.suffix in (".jsonl", ".json") else _csv_lines(text)


def _ledger_lines(folder: Path) -> Iterator[tuple[int, Any]]:
    lines = verdicts_in(folder, "true")
    if not lines:
        said = "no alarm in its ledger was found true; `lifeline alarms classify` says so of one"
        raise Invalid([Problem(str(folder), 0, 0, "", said)])
    yield from enumerate(lines, start=1)


def _csv_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(text.splitlines())
    for line in reader:
        yield reader.line_num, {k: v.strip() for k, v in line.items() if k and v and v.strip()}


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                yield number, str(error)


def _incident(line: Any, number: int, registry: Registry, levels: Sequence[Level]) -> Incident:
    if not isinstance(line, dict):
        raise ValueError(f"not an object with place, from and to: {str(line)[:60]}")  # noqa: TRY004
    unknown = [key for key in line if key not in _KEYS]
    if unknown:
        said = f"unknown column {unknown[0]!r}{nearest(unknown[0], _KEYS)}; {', '.join(_KEYS)}"
        raise ValueError(said)
    place = next((str(line[key]) for key in _PLACES if line.get(key)), "")
    if not place:
        raise ValueError("place is missing: a channel, asset, device or zone")
    subjects = _subjects(place, registry)
    if not subjects:
        raise ValueError(f"place {place!r} is not in the registry{_near(place, registry)}")
    begin, end = _time_ns(line, "from"), _time_ns(line, "to")
    if end < begin:
        raise ValueError("to is before from")
    named = {level.name: level.severity for level in levels}
    level = str(line.get("level", levels[0].name))
    if level not in named:
        raise ValueError(f"unknown level {level!r}{nearest(level, named)}; {', '.join(named)}")
    said_rules = line.get("rules", "")
    patterns = said_rules if isinstance(said_rules, list) else str(said_rules).split()
    return Incident(
        id=str(line.get("id", number)),
        place=place,
        kind=str(line.get("kind", "")),
        from_ns=begin,
        to_ns=end,
        by_ns=_time_ns(line, "by") if line.get("by") else end,
        severity=named[level],
        rules=tuple(map(str, patterns)),
        subjects=subjects,
    )


def _time_ns(line: dict[str, Any], key: str) -> int:
    said = line.get(key)
    if said is None:
        raise ValueError(f"{key} is missing")
    if isinstance(said, int) or (isinstance(said, str) and said.isdigit()):
        return int(said)
    return time_ns(str(said), key)


def time_ns(text: str, what: str) -> int:
    """Return an ISO 8601 time as Unix ns.

    Raises
    ------
    ValueError
        It is none, or has no zone.
    """
    remedy = "write 2026-10-03T14:20:00+08:00"
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{what}: {text[:40]!r} is no time: {remedy}") from error
    if at.tzinfo is None:
        raise ValueError(f"{what}: {text[:40]!r} has no zone: {remedy}")
    return round(at.timestamp() * 1e6) * 1000


def _near(place: str, registry: Registry) -> str:
    return nearest(place, [*registry.assets.id, *dict.fromkeys(registry.assets.zone)])


def _subjects(place: str, registry: Registry) -> frozenset[str]:
    """Return what alarms about a place can be about: its channels, devices, assets and zones."""
    a, c, d = registry.assets, registry.channels, registry.devices

    def meant(*names: str) -> bool:
        return any(name and (name == place or fnmatchcase(name, place)) for name in names)

    of_asset = [meant(i, z, w) for i, z, w in zip(a.id, a.zone, a.district, strict=True)]
    found = {name for name, chosen in zip(a.id, of_asset, strict=True) if chosen}
    touched = {row for row, chosen in enumerate(of_asset) if chosen}
    for ids, owners in ((c.id, c.asset.tolist()), (d.id, d.asset.tolist())):
        for name, owner in zip(ids, owners, strict=True):
            own = meant(name, name.rpartition("/")[0])
            if own or (owner >= 0 and of_asset[owner]):
                found.add(name)
            if own and owner >= 0:
                touched.add(owner)
                found.add(a.id[owner])
    return frozenset(found | {a.zone[row] for row in touched if a.zone[row]})


def watched(plan: Plan, registry: Registry) -> dict[str, frozenset[str]]:
    """Return what each rule's alarms can be about."""
    held: dict[str, set[str]] = {}
    ids = (*registry.channels.id, *plan.subjects)
    for rule in (*plan.channel_rules, *plan.composite_rules):
        held.setdefault(rule.rule_id, set()).update(ids[row] for row in rule.channel.tolist())
    for silent in plan.deadman_rules:
        names = (registry.devices.id[row] for row in silent.device.tolist())
        held.setdefault(silent.rule_id, set()).update(names)
    return {name: frozenset(subjects) for name, subjects in held.items()}
