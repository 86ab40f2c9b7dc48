"""Mapping files: other vendors' JSON as data, one folder of YAML files (see json_mapping).

version: 1
mappings:
- id: acme
  topic: acme/{device}/data
  fields: {ch4: $.gas.vol}
  time: {path: $.at, format: iso8601}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ingest.codecs.json_mapping import Mapping
from rules.problems import Problem
from rules.strict_models import Strict, validated
from rules.yaml_text import raise_errors, read_yaml

if TYPE_CHECKING:
    from pathlib import Path


class _MappingFile(Strict):
    version: Literal[1]
    mappings: list[Mapping]


def load_mappings(folder: Path) -> list[Mapping]:
    """Return the mappings of all ``*.yaml`` in ``folder``; none where there is no folder.

    Raises
    ------
    Invalid
        All problems of all files, each with its file, line and remedy.
    """
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            texts[path.name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            said = "is not UTF-8 text: save the file as UTF-8"
            problems.append(Problem(path.name, 0, 0, "", said))
        except OSError as error:
            problems.append(Problem(path.name, 0, 0, "", f"cannot be read: {error.strerror}"))
    raise_errors(problems)
    return mappings_of(texts)


def mappings_of(texts: dict[str, str]) -> list[Mapping]:
    """Return the mappings of named YAML texts; see load_mappings."""
    found: dict[str, Mapping] = {}
    documents = [read_yaml(name, text) for name, text in sorted(texts.items())]
    for document in documents:
        if document.problems:
            continue
        held = validated(_MappingFile, document.value, document, (), noun="mapping")
        for number, mapping in enumerate(held.mappings if held else ()):
            if mapping.id in found:
                path = ("mappings", number, "id")
                said = "the id stands twice: give each mapping its own"
                document.problem(path, said, who=mapping.id, noun="mapping")
            found[mapping.id] = mapping
    raise_errors(problem for document in documents for problem in document.problems)
    return list(found.values())
