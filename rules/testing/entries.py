"""One test as written → its parts, every problem at its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rules.strict_models import Strict, validated
from rules.testing.models import Action, Expectation, Input, Said, SensorEntry, TestEntry
from rules.testing.warned import unknown_references

if TYPE_CHECKING:
    from rules.strict_models import Path
    from rules.yaml_text import Document

M = TypeVar("M", bound=Strict)
MAX_PROBLEMS: Final = 100
"""Of a file: who wrote more has made one mistake many times, or means no good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTest:
    """A test whose every part is well formed; ``path`` is where it stands in ``document``."""

    document: Document
    path: Path
    entry: TestEntry
    input: tuple[Input, ...]
    actions: tuple[Action, ...]
    expect: tuple[Expectation, ...]
    warnings: tuple[Said, ...]
    registry: tuple[SensorEntry, ...] | None  # None: the file's

    def problem(self, within: Path, message: str, *, key: bool = False) -> None:
        """Note a problem of this test."""
        path = (*self.path, *within)
        self.document.problem(path, message, who=self.entry.name, noun="test", key=key)


def read_tests(document: Document, items: list[Any], *, whole: bool = False) -> list[ReadTest]:
    """Return the tests of the key ``tests``; what is wrong is noted in ``document``.

    ``whole``: each must bring its own registry, as tests inside a rule file do.
    """
    tests: list[ReadTest] = []
    names: dict[str, int] = {}
    for i, item in enumerate(items):
        if given_up(document):
            break
        test = _read_test(document, ("tests", i), item)
        if test is None:
            continue
        if whole and test.registry is None:
            test.problem((), 'key "registry" is missing: a test in a rule file brings its own')
        if whole and test.entry.events is not None:
            test.problem(("events",), "belongs into a .test.yaml file: write the test there")
        if test.entry.name in names:
            first = document.at(("tests", names[test.entry.name]))[0]
            test.problem(("name",), f"the name stands twice, first on line {first}")
        names[test.entry.name] = i
        tests.append(test)
    return tests


def _read_test(document: Document, path: Path, item: Any) -> ReadTest | None:
    who = str(item.get("name", ""))[:64] if isinstance(item, dict) else ""
    entry = validated(TestEntry, item, document, path, who=who, noun="test")
    if entry is None:
        return None
    registry = entry.registry
    sensors = registry and read_each(SensorEntry, registry, document, (*path, "registry"), who)
    test = ReadTest(
        document=document,
        path=path,
        entry=entry,
        input=tuple(read_each(Input, entry.input, document, (*path, "input"), who)),
        actions=tuple(read_each(Action, entry.actions, document, (*path, "actions"), who)),
        expect=tuple(read_each(Expectation, entry.expect, document, (*path, "expect"), who)),
        warnings=tuple(read_each(Said, entry.warnings, document, (*path, "warnings"), who)),
        registry=None if sensors is None else tuple(sensors),
    )
    if not entry.expect and entry.events is None and not entry.invariants:
        test.problem((), "expects nothing: write expect:, events: or invariants:")
    unknown_references(test)
    return test


def given_up(document: Document) -> bool:
    """Tell whether a file has so many problems that the rest of it is not looked at."""
    return len(document.problems) >= MAX_PROBLEMS


def read_each(
    model: type[M], items: list[Any], document: Document, path: Path, who: str = ""
) -> list[M]:
    """Return the items that are such a model; problems of the others are noted."""
    found = []
    for i, item in enumerate(items):
        if given_up(document):
            break
        held = validated(model, item, document, (*path, i), who=who, noun="test" if who else "")
        if held is not None:
            found.append(held)
    return found
