"""The rule file as JSON Schema, from the models that read it: for editors, and for the reference.

What templates and defaults may say is not required of a rule. A schema knows shapes, not units,
registries or the other rules: `lifeline rules check` remains the judge.
"""

from __future__ import annotations

from typing import Any, Final

from rules.language.escalations import StepEntry
from rules.language.holding import InhibitEntry, MaintenanceEntry
from rules.language.kinds import KINDS
from rules.language.meanings import MEANINGS
from rules.language.models import Defaults, LevelEntry
from rules.language.quality import CHECKS
from rules.language.schedules import ScheduleEntry
from rules.quantities import QUANTITIES
from rules.vocabulary import DOMAINS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_WORDS: Final = {"domain": tuple(DOMAINS), "quantity": tuple(QUANTITIES)}

Schema = dict[str, Any]


def rule_schema() -> Schema:
    """Return the schema of a rule file; every key of it has a description."""
    shared: Schema = {}
    rules = {name: _of(kind.model, shared) for name, kind in KINDS.items()}
    checks = {name: _of(check, shared) for name, check in CHECKS.items()}
    rule, check = _any_of(rules, "rule"), _any_of(checks, "check")
    level = {"anyOf": [{"type": "string"}, _of(LevelEntry, shared)]}
    part = {**rule, "required": []}
    properties: Schema = {
        "version": {"const": 1},
        "levels": {"type": "array", "items": level},
        "defaults": {**_of(Defaults, shared), "required": []},
        "templates": {"type": "object", "additionalProperties": part},
        "schedules": {"type": "object", "additionalProperties": _of(ScheduleEntry, shared)},
        "quality": {"type": "array", "items": check},
        "rules": {"type": "array", "items": rule},
        "escalations": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": _of(StepEntry, shared)},
        },
        "inhibit": {"type": "array", "items": _of(InhibitEntry, shared)},
        "maintenance": {"type": "array", "items": _of(MaintenanceEntry, shared)},
        "tests": {"type": "array", "items": {"type": "object"}},
    }
    whole = {
        "$schema": DIALECT,
        "title": "City Lifeline rule file",
        "type": "object",
        "properties": properties,
        "required": ["version"],
        "additionalProperties": False,
        "$defs": shared
        | {f"rule-{name}": held for name, held in rules.items()}
        | {f"check-{name}": held for name, held in checks.items()},
    }
    _describe(whole)
    return whole


def _of(model: Any, shared: Schema) -> Schema:
    """Return a model's schema; what it refers to goes to ``shared``."""
    held: Schema = model.model_json_schema(by_alias=True)
    for name, part in held.pop("$defs", {}).items():
        if shared.setdefault(name, part) != part:
            raise ValueError(f"two models are named {name}: the schema could not tell them apart")
    return held


def _any_of(kinds: dict[str, Schema], what: str) -> Schema:
    """Return the schema of a part whose ``kind`` says which it is, if it is not in a template."""
    keys = {key for held in kinds.values() for key in held["properties"]}
    chosen = []
    for name, held in kinds.items():
        held["required"] = []
        said = {"properties": {"kind": {"const": name}}, "required": ["kind"]}
        chosen.append({"if": said, "then": {"$ref": f"#/$defs/{what}-{name}"}})
    return {
        "type": "object",
        "properties": {key: {} for key in sorted(keys)} | {"kind": {"enum": sorted(kinds)}},
        "required": ["id"],
        "additionalProperties": False,
        "allOf": chosen,
    }


def _describe(held: Any) -> None:
    """Give every key its description, and words that are known their list."""
    if isinstance(held, list):
        for each in held:
            _describe(each)
        return
    if not isinstance(held, dict):
        return
    for key, schema in held.get("properties", {}).items():
        if "const" in schema and len(schema) == 1 and key == "kind":
            continue
        schema.pop("title", None)
        schema["description"] = MEANINGS[key]
        if key in _WORDS and "anyOf" in schema:
            word = {"enum": list(_WORDS[key])}
            schema["anyOf"] = [word, {"type": "array", "items": word}, {"type": "null"}]
    for each in held.values():
        _describe(each)
