"""Scenario files: those shipped and those of users, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from lifeline.scenarios.entries import FileEntry, ScenarioEntry, cross_check
from rules.problems import Invalid, Problem, nearest
from rules.strict_models import validated
from rules.yaml_text import Document, raise_errors, read_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = "all"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One checked scenario and where it stands, for problems that show only when it is drawn."""

    entry: ScenarioEntry
    document: Document
    index: int

    @property
    def name(self) -> str:
        """Return its name."""
        return self.entry.name

    def problem(self, path: tuple[str | int, ...], said: str) -> Problem:
        """Return a problem of something in it."""
        line, column = self.document.at(("scenarios", self.index, *path))
        return Problem(self.document.name, line, column, self.name, said, noun="scenario")


def scenarios_of(name: str, text: str) -> list[Scenario]:
    """Return the scenarios of a text.

    Raises
    ------
    Invalid
        With every problem and its place.
    """
    document = read_yaml(name, text)
    raise_errors(document.problems)
    entry = validated(FileEntry, document.value, document, (), noun="scenario")
    if entry is not None:
        cross_check(entry, document)
    raise_errors(document.problems)
    if entry is None:
        raise Invalid(document.problems)
    return [Scenario(one, document, index) for index, one in enumerate(entry.scenarios)]


def shipped_scenarios() -> list[Scenario]:
    """Return the scenarios that come with the program, in order of file and place."""
    folder = resources.files("lifeline") / "scenarios" / "shipped"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return [one for f in files for one in scenarios_of(f.name, f.read_text(encoding="utf-8"))]


def load_scenarios(wanted: Sequence[str]) -> list[Scenario]:
    """Return scenarios by name, file or folder; ``all`` is every shipped one.

    Raises
    ------
    Invalid
        There is no such scenario or file, or a file is wrong.
    """
    shipped = shipped_scenarios()
    by_name = {one.name: one for one in shipped}
    found: list[Scenario] = []
    for name in wanted or (ALL,):
        if name == ALL:
            found += shipped
        elif name in by_name:
            found.append(by_name[name])
        else:
            found += _read(Path(name), by_name)
    return found


def _read(path: Path, by_name: dict[str, Scenario]) -> list[Scenario]:
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise Invalid([Problem(str(path), 0, 0, "", "holds no .yaml file of scenarios")])
    found = []
    for each in files:
        try:
            text = each.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Invalid([Problem(str(each), 0, 0, "", "is not UTF-8 text")]) from error
        except OSError as error:
            said = f"no such scenario or file{nearest(str(path), by_name)}"
            said += f"; `lifeline scenario list` names those shipped ({error.strerror})"
            raise Invalid([Problem(str(each), 0, 0, "", said)]) from error
        found += scenarios_of(each.name, text)
    return found
