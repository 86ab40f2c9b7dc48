"""The reference of the rule file, from the schema its readers make: every key of every place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rules.language.schema import rule_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEAD: Final = """# Rule files, key by key

Made by `lifeline rules schema --markdown docs/rules-reference.md` from the models that read the
files; a test compares. What the keys mean together, with examples, stands in [rules.md](rules.md).
"""
_WORDS: Final[dict[str, str]] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
}
_PLURAL: Final = {"rule": "Rules", "check": "Quality checks"}


def reference() -> str:
    """Return the page as Markdown."""
    schema = rule_schema()
    parts: Mapping[str, Any] = schema["$defs"]
    lines = [HEAD, "## The file", "", *_table(schema["properties"], ["version"])]
    for what, title in _PLURAL.items():
        kinds = {n.partition("-")[2]: p for n, p in parts.items() if n.startswith(f"{what}-")}
        every = [set(part["properties"]) for part in kinds.values()]
        shared = set.intersection(*every)
        first = next(iter(kinds.values()))
        own = {key: held for key, held in first["properties"].items() if key in shared}
        lines += ["", f"## {title}: keys of every kind", "", *_table(own, first["required"])]
        for name, part in sorted(kinds.items()):
            own = {key: held for key, held in part["properties"].items() if key not in shared}
            lines += ["", f"### {what} of kind `{name}`", "", *_table(own, part["required"])]
    lines += ["", "## Entries of the file's sections", ""]
    for section, held in schema["properties"].items():
        entry = _entry(held)
        if entry is not None:
            lines += [f"### {section}", "", *_table(entry["properties"], entry["required"]), ""]
    lines += ["## Parts", ""]
    for name, part in sorted(parts.items()):
        if "-" not in name:
            said = " ".join(str(part.get("description", "")).split())
            lines += [f"### {name}", "", said, "", *_table(part["properties"], []), ""]
    return "\n".join(lines).rstrip() + "\n"


def _entry(held: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema of an entry of a section that says it in place, None for the others."""
    inner = held.get("items", held.get("additionalProperties"))
    if not isinstance(inner, dict):
        return None
    if "items" in inner:
        return _entry(inner)
    each = [inner, *inner.get("anyOf", [])]
    found = next((e for e in each if e.get("title", "").endswith("Entry")), None)
    return None if found is None else {"required": [], **found}


def _table(properties: Mapping[str, Any], required: list[str]) -> Iterator[str]:
    yield "| key | what stands there | default | meaning |"
    yield "|---|---|---|---|"
    for key, held in properties.items():
        needed = "needed" if key in required else _default(held)
        meaning = str(held.get("description", "")).replace("|", "\\|")
        yield f"| `{key}` | {_shape(held)} | {needed} | {meaning} |"


def _default(held: Mapping[str, Any]) -> str:
    value = held.get("default")
    plain = isinstance(value, str | bool) or (isinstance(value, int | float) and value < 1e6)
    if value == "" or not plain:
        return ""  # a duration or a part: its meaning says so
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _shape(held: Mapping[str, Any]) -> str:
    """Say in words what a value looks like."""
    if "const" in held:
        return f"`{held['const']}`"
    if "enum" in held:
        words = [f"`{word}`" for word in held["enum"]]
        return ", ".join(words[:6]) + (f", … ({len(words)})" if len(words) > 6 else "")
    if "$ref" in held:
        name = str(held["$ref"]).rpartition("/")[2]
        return name.replace("-", " ")
    if "anyOf" in held:
        shapes = [_shape(each) for each in held["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(shapes))
    kind = held.get("type", "")
    if kind == "array":
        return f"list of {_shape(held.get('items', {}))}"
    if kind == "object":
        inner = held.get("additionalProperties")
        return f"map of {_shape(inner)}" if isinstance(inner, dict) else "mapping"
    return _WORDS.get(str(kind), "anything")
