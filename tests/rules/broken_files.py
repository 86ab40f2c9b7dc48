"""The corpus of broken rule files in ``broken/``: what stands in a file, and what is said of it.

A case has ``text`` (a whole file), ``rule`` or ``check`` (the lines of one, after HEAD), ``files``
(by name) or ``generate`` (one of GENERATED), perhaps ``today``, and ``told``: every line said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from rules.registry_file import registry_of

FOLDER = Path(__file__).parent / "broken"
REGISTRY = registry_of({"city.yaml": (FOLDER / "city.yaml").read_text(encoding="utf-8")})
HEAD = "version: 1\nrules:\n- id: a\n  source: estimate\n  runbook: https://runbooks.local/a\n"
CHECK_HEAD = "version: 1\nquality:\n- id: q\n"
GENERATED = {
    "deep-expression": HEAD
    + f'  kind: expr\n  select: {{}}\n  expr: "{"-" * 990}o2 > 1"\n  level: orange\n',
    "long-expression": HEAD
    + f'  kind: expr\n  select: {{}}\n  expr: "pressure > {"1" * 1000}"\n  level: orange\n',
}


@dataclass(frozen=True)
class Case:
    name: str
    sources: dict[str, str]
    today: str | None
    told: list[str]


def cases() -> list[Case]:
    """Return every case, in the order of files and lines."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name != "city.yaml":
            held = yaml.safe_load(path.read_text(encoding="utf-8"))
            found += [_case(path.stem, each) for each in held]
    return found


def _case(file: str, held: dict[str, Any]) -> Case:
    return Case(f"{file}: {held['case']}", _sources(held), held.get("today"), held.get("told", []))


def _sources(held: dict[str, Any]) -> dict[str, str]:
    if "files" in held:
        return held["files"]
    if "rule" in held:
        return {"site.yaml": HEAD + indent(held["rule"], "  ")}
    if "check" in held:
        return {"site.yaml": CHECK_HEAD + indent(held["check"], "  ")}
    return {"site.yaml": GENERATED[held["generate"]] if "generate" in held else held["text"]}
