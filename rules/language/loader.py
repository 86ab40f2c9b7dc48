"""Rule files → RuleSet. Every problem of every file is collected before anything is raised."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.language.escalations import escalation_problems, read_escalations
from rules.language.holding import holding_problems, read_holding
from rules.language.hours import read_hours
from rules.language.kinds import KINDS, SETTABLE
from rules.language.life import life_problems
from rules.language.lint import text_problems
from rules.language.models import (
    COLOURS,
    KEYS_ELSEWHERE,
    Defaults,
    LevelEntry,
    RuleFile,
)
from rules.language.quality import CHECKS, read_checks
from rules.language.ruleset import STANDARD_LEVELS, Rule, RuleSet, applied
from rules.language.runbooks import (
    read_runbooks,
    rule_texts,
    unknown_runbooks,
)
from rules.language.schedules import read_schedules
from rules.language.shadow import named_apart, trial_problems
from rules.language.sources import FORMAT, MAX_BYTES, Sources, canonical, read_sources
from rules.plan import Level
from rules.problems import Invalid, Problem, near_or_known, nearest
from rules.registry_codec import content_hash
from rules.strict_models import known_keys, validated
from rules.yaml_text import Document, raise_errors, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.language.escalations import Chain
    from rules.language.holding import Held
    from rules.language.models import Body
    from rules.language.quality import Check
    from rules.strict_models import Path


def load_rules(
    folder_or_files: Sources, *, today: str | None = None, shadow: Sources | None = None
) -> RuleSet:
    """Return the rules of a folder of ``*.yaml``, of files, or of texts by name.

    Those of ``shadow`` stand beside them on trial (rules/language/shadow.py).

    Overrides whose ``until`` is before ``today`` (``2027-03-31``) are over; without it all hold.
    What is over is part of the rules' bytes and hash: compiling stays a pure function of them,
    and the hash changes on the day an override ends, not every day.

    Raises
    ------
    Invalid
        With every problem of every file.
    """
    trial = read_sources(shadow) if shadow is not None else {}
    rules, problems = read_rules(read_sources(folder_or_files), today=today, shadow=trial)
    raise_errors(problems)
    return rules


def rules_bytes(rules: RuleSet) -> bytes:
    """Return the canonical text of a rule set: its sources, by name."""
    return canonical(rules.sources, rules.expired, rules.shadow_sources)


def rules_from_bytes(data: bytes) -> RuleSet:
    """Return the rule set of ``rules_bytes``.

    Raises
    ------
    Invalid
        These are not such bytes, or this version does not understand the rules.
    """
    try:
        whole = json.loads(data)
        if whole["format"] != FORMAT:
            raise ValueError(f"format is {whole['format']!r}, not {FORMAT!r}")  # noqa: TRY301
        sources = {str(name): str(text) for name, text in whole["sources"].items()}
        shadow = {str(name): str(text) for name, text in whole.get("shadow", {}).items()}
        expired = str(whole["expired"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid([Problem("rules", 0, 0, "", f"not stored rules ({error})")]) from error
    rules, problems = read_rules(sources, expired=expired, shadow=shadow)
    raise_errors(problems)
    return rules


@dataclass(slots=True)
class _Reading:
    """What is known while the files are read."""

    levels: tuple[Level, ...] = ()
    levels_in: str = ""
    rules: dict[str, Rule] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    holding: dict[str, Held] = field(default_factory=dict)
    chains: dict[str, dict[str, Chain]] = field(default_factory=dict)  # by file
    trial: bool = False  # the files of a shadow folder


def read_rules(
    sources: dict[str, str],
    *,
    today: str | None = None,
    expired: str = "",
    shadow: dict[str, str] | None = None,
) -> tuple[RuleSet, list[Problem]]:
    """Return the rules that could be understood, and every problem found.

    ``expired`` says which overrides are over (RuleSet.expired); ``today`` finds it out.
    """
    reading = _Reading()
    problems = _read_texts(sources, reading)
    levels = reading.levels or STANDARD_LEVELS
    trial = _Reading(levels=levels, levels_in=reading.levels_in or "the live rules", trial=True)
    problems += _read_texts({f"shadow/{name}": t for name, t in (shadow or {}).items()}, trial)
    every = [*reading.rules.values(), *named_apart(trial.rules).values()]
    problems += trial_problems(every)
    runbooks, wrong = read_runbooks(sources)
    problems += [*wrong, *unknown_runbooks(every, runbooks)]
    chains = reading.chains | trial.chains
    problems += [*escalation_problems(every, chains, levels), *life_problems(every, levels)]
    sound = []
    for rule in every:
        found = text_problems(rule, levels)
        problems += found
        if not any(p.severity == "error" for p in found):
            sound.append(rule)
    held = tuple(reading.holding.values())
    problems += holding_problems(held, tuple(reading.rules.values()), levels, today)
    if today is not None:
        overrides: list[Any] = [o for rule in sound for o in rule.body.overrides]
        ends = [o.until for o in overrides if o.until]
        expired = max((end for end in ends if end < today), default="")
    rules = RuleSet(
        sources=sources,
        content_hash=content_hash(canonical(sources, expired, shadow or {})),
        levels=levels,
        rules=tuple(sound),
        checks=tuple(reading.checks.values()),
        holding=held,
        runbooks=runbooks,
        chains=chains,
        expired=expired,
        shadow_sources=shadow or {},
    )
    return rules, sorted(set(problems))


def _read_texts(sources: dict[str, str], reading: _Reading) -> list[Problem]:
    """Read texts into what is known; return their problems."""
    texts = sorted(rule_texts(sources).items())
    documents = [read_yaml(name, text, most=MAX_BYTES) for name, text in texts]
    files = [(d, head) for d in documents if (head := _head(d)) is not None]
    for document, head in files:
        _read_levels(document, head, reading)
    for document, head in files:
        _read_file(document, head, reading)
        reading.chains[document.name] = read_escalations(document, head.escalations)
        _read_tests(document, head)
        if reading.trial:
            _not_of_a_trial(document, head)
        else:
            read_checks(document, head.quality, reading.checks)
            read_holding(document, head, reading.holding)
    return [p for d in documents for p in d.problems]


def _not_of_a_trial(document: Document, head: RuleFile) -> None:
    """Say what a shadow folder has no use for: its rules see what the live ones see."""
    if head.quality:
        said = "checks of a shadow folder are not run: its rules see the live checks' flags"
        document.problem(("quality",), said, severity="warning", key=True)
    for section in ("inhibit", "maintenance"):
        if getattr(head, section):
            said = f"{section} of a shadow folder does nothing: its rules announce nothing anyway"
            document.problem((section,), said, severity="warning", key=True)


def _head(document: Document) -> RuleFile | None:
    if document.value is None:
        if not document.problems:
            said = "holds nothing: write version: 1 and rules, or remove the file"
            document.problem((), said, severity="warning")
        return None
    if not isinstance(document.value, dict):
        if not document.problems:
            document.problem((), "must be a mapping with version and rules")
        return None
    return validated(RuleFile, document.value, document, ())


def _read_tests(document: Document, head: RuleFile) -> None:
    """Check the tests a rule file brings along as strictly as its rules; they run elsewhere."""
    from rules.testing.entries import read_tests  # noqa: PLC0415 - it needs this room's models

    if head.tests:
        read_tests(document, head.tests, whole=True)


def _refuse_elsewhere(value: dict[str, Any], document: Document, path: Path) -> dict[str, Any]:
    """Return ``value`` without the keys that other places of the format have, noting each."""
    for key in value:
        if key in KEYS_ELSEWHERE:
            document.problem((*path, key), f"{key}: {KEYS_ELSEWHERE[key]}", key=True)
    return {key: item for key, item in value.items() if key not in KEYS_ELSEWHERE}


def _level(document: Document, path: Path, item: Any) -> Level | None:
    """Return one level, written as a colour or in full, or None after noting what is wrong."""
    if isinstance(item, str) and item in COLOURS:
        return Level(item, COLOURS[item], item)
    if isinstance(item, str):
        said = f"level {item!r}{nearest(item, COLOURS)} needs {{name, severity, colour}}"
        document.problem(path, said)
        return None
    entry = validated(LevelEntry, item, document, path)
    if entry is None:
        return None
    return Level(entry.name, entry.severity, entry.colour or list(COLOURS)[entry.severity - 1])


def _read_levels(document: Document, head: RuleFile, reading: _Reading) -> None:
    if head.levels is None:
        return
    read = [_level(document, ("levels", i), item) for i, item in enumerate(head.levels)]
    levels = [level for level in read if level is not None]
    for what in ("name", "severity"):
        values = [getattr(level, what) for level in levels]
        if len(set(values)) != len(values):
            document.problem(("levels",), f"two levels have the same {what}")
            return
    declared = tuple(sorted(levels, key=lambda level: level.severity))
    if not head.levels:
        document.problem(("levels",), "no level at all: leave the key away for the usual four")
    elif not declared:
        return  # each was wrong, and said so
    elif reading.levels and declared != reading.levels:
        document.problem(
            ("levels",), f"differ from those in {reading.levels_in}: a site has one set"
        )
    else:
        reading.levels, reading.levels_in = declared, document.name


def _read_file(document: Document, head: RuleFile, reading: _Reading) -> None:
    defaults = _refuse_elsewhere(head.defaults, document, ("defaults",))
    if validated(Defaults, defaults, document, ("defaults",)) is None:
        defaults = {}
    schedules = read_schedules(document, head.schedules, defaults.get("timezone"))
    every_key = {key for kind in KINDS.values() for key in known_keys(kind.model, ())}
    for name, template in head.templates.items():
        path = ("templates", name)
        for key in _refuse_elsewhere(template, document, path):
            if key == "id":
                said = f'template "{name}": an id is a rule\'s own: remove it here'
                document.problem((*path, key), said, key=True)
            elif key not in every_key:
                said = f'template "{name}": unknown key "{key}"{nearest(key, every_key)}'
                document.problem((*path, key), said, key=True)
    for i, item in enumerate(head.rules):
        rule = _read_rule(document, head, defaults, i, item)
        if rule is not None:
            rule = read_hours(rule, schedules)
        if rule is None:
            continue
        first = reading.rules.get(rule.id)
        if first is not None:
            said = f"the id stands twice, first at {first.file}"
            document.problem((*rule.path, "id"), said, who=rule.id)
            continue
        reading.rules[rule.id] = rule


def _read_rule(
    document: Document, head: RuleFile, defaults: dict[str, Any], i: int, item: Any
) -> Rule | None:
    path: Path = ("rules", i)
    if not isinstance(item, dict):
        document.problem(path, f"a rule must be a mapping, not {str(item)[:40]!r}")
        return None
    who = str(item.get("id", f"number {i + 1}"))[:64]
    raw, origin = _inherited(document, head, path, item, who)
    model = _model(document, raw, origin, path, who)
    if model is None:
        return None
    names = known_keys(model, ())
    for key, value in defaults.items():
        if key in names and key not in raw:
            raw[key], origin[key] = value, ("defaults", key)
    elsewhere = tuple(key for key in KEYS_ELSEWHERE if key not in names)
    for key in [key for key in raw if key in elsewhere]:
        if origin[key][0] == "rules":  # in a template it was noted once already
            said = f"{key}: {KEYS_ELSEWHERE[key]}"
            document.problem(origin[key], said, who=who, key=True)
        del raw[key]

    def place(within: Path) -> Path:
        return (*origin.get(str(within[0]), (*path, within[0])), *within[1:]) if within else path

    body = validated(model, raw, document, path, who=who, place=place)
    if body is None:
        return None
    rule = Rule(body=body, raw=raw, origin=origin, document=document, path=path)
    variants = _variants(rule, model, place, names)
    return Rule(body=body, raw=raw, origin=origin, document=document, path=path, variants=variants)


def _inherited(
    document: Document, head: RuleFile, path: Path, item: dict[str, Any], who: str
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the rule over its template over that one's template, key by key."""
    raw = dict(item)
    origin: dict[str, Path] = {key: (*path, key) for key in item}
    seen: list[str] = []
    name, where = item.get("extends"), (*path, "extends")
    while isinstance(name, str):
        if name not in head.templates:
            said = f"extends: unknown template {name!r}{near_or_known(name, head.templates)}"
            document.problem(where, said, who=who)
            break
        if name in seen:
            document.problem(
                where, f"extends: {' > '.join([*seen, name])} goes in a circle", who=who
            )
            break
        seen.append(name)
        for key, value in head.templates[name].items():
            if key not in raw:
                raw[key], origin[key] = value, ("templates", name, key)
        where = ("templates", name, "extends")
        name = head.templates[name].get("extends")
    return raw, origin


def _model(
    document: Document, raw: dict[str, Any], origin: dict[str, Path], path: Path, who: str
) -> type[Body] | None:
    kind = raw.get("kind")
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind].model
    if isinstance(kind, str) and kind in CHECKS:
        said = f"kind {kind} is a check of readings: write it under quality:, not under rules:"
        document.problem(origin["kind"], said, who=who)
    elif "kind" not in raw:
        document.problem(path, f'key "kind" is missing: one of {", ".join(KINDS)}', who=who)
    else:
        said = f"unknown kind {str(kind)[:40]!r}{nearest(kind, KINDS)}: one of {', '.join(KINDS)}"
        document.problem(origin["kind"], said, who=who)
    return None


def _always(path: Path) -> Callable[[Path], Path]:
    return lambda _: path


def _variants(rule: Rule, model: type[Body], place: Any, names: list[str]) -> tuple[Body, ...]:
    """Return the body under each override alone, or nothing after noting what is wrong."""
    variants = []
    overrides: list[Any] = list(rule.body.overrides)
    for i, override in enumerate(overrides):
        path = place(("overrides", i, "set"))
        sound = True
        for key in override.set:
            first = key.partition(".")[0]
            allowed = [name for name in SETTABLE if name in names]
            if first not in allowed:
                said = f'override: "{key}" cannot be set{near_or_known(first, allowed)}'
                rule.document.problem((*path, key), said, who=rule.id, key=True)
                sound = False
        try:
            raw = applied(rule.raw, override.set)
        except ValueError as error:
            rule.document.problem(path, f"override: {error}", who=rule.id)
            continue
        if not sound:
            continue
        changed = validated(model, raw, rule.document, path, who=rule.id, place=_always(path))
        if changed is not None:
            variants.append(changed)
    return tuple(variants) if len(variants) == len(rule.body.overrides) else ()
