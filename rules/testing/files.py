"""Test files and rule files with tests → suites: which rules, which registry, which tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rules.civil_time import read_moment
from rules.language.runbooks import runbook_files
from rules.language.sources import read_sources
from rules.problems import Invalid, Problem
from rules.registry_file import TEST_SUFFIXES
from rules.strict_models import validated
from rules.testing.entries import read_each, read_tests
from rules.testing.models import DEFAULT_START, SensorEntry, TestFile
from rules.yaml_text import Document, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.testing.entries import ReadTest

MAX_BYTES: Final = 1 << 20  # of a file of tests, or of rules that are tested
_TESTS_KEY: Final = "\ntests:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One file's tests. ``problems`` has what is wrong with it; then it has no tests to run."""

    path: Path
    document: Document
    rules: dict[str, str] = field(default_factory=dict)  # texts of the rule files, by name
    start_ns: int = 0
    registry: tuple[SensorEntry, ...] = ()
    registry_texts: dict[str, str] = field(default_factory=dict)  # of a folder of real ones
    tests: tuple[ReadTest, ...] = ()
    golden: dict[str, bytes | None] = field(default_factory=dict)  # by name as written

    @property
    def problems(self) -> list[Problem]:
        """Return what was found wrong, worst place first."""
        return sorted(set(self.document.problems))


def read_suites(paths: Iterable[Path]) -> list[Suite]:
    """Return the suites of files and folders, in the order of their names.

    A folder gives its ``*.test.yaml`` and those of its rule files that hold ``tests:``.

    Raises
    ------
    Invalid
        A path is not there, or there is no test in any of them.
    """
    given = list(paths)
    files: list[Path] = []
    for path in given:
        files += _files(path)
    suites = [_read(path) for path in dict.fromkeys(files)]
    if not suites:
        where = ", ".join(map(str, given))
        said = "holds no test: write a file NAME.test.yaml, or tests: in a rule file"
        raise Invalid([Problem(where, 0, 0, "", said)])
    return suites


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise Invalid([Problem(str(path), 0, 0, "", "no such file or folder")])
    folder = path / "rules" if (path / "rules").is_dir() else path
    found = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml") and p.is_file())
    return [p for p in found if p.name.endswith(TEST_SUFFIXES) or _holds_tests(p)]


def _holds_tests(path: Path) -> bool:
    """Tell a rule file with tests without reading it as YAML; one too large is looked at later."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return False
        return _TESTS_KEY in "\n" + path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return True  # reading it says what is wrong


def _read(path: Path) -> Suite:
    text, wrong = _text(path)
    document = read_yaml(path.name, text)
    document.problems += wrong
    suite = Suite(path=path, document=document)
    if suite.problems:
        return suite
    if not isinstance(document.value, dict):
        document.problem((), "must be a mapping with rule_files and tests")
        return suite
    if path.name.endswith(TEST_SUFFIXES):
        return _test_file(suite)
    return _rule_file(suite, text)


def _text(path: Path) -> tuple[str, list[Problem]]:
    """Return a file's text, or what is wrong with it; a large one is not even opened."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            said = f"is {size / 1e6:.0f} MB, more than {MAX_BYTES >> 20} MiB: split it"
            return "", [Problem(path.name, 0, 0, "", said)]
        return read_sources([path])[path.name], []
    except OSError as error:
        return "", [Problem(path.name, 0, 0, "", f"cannot be read: {error.strerror}")]
    except Invalid as invalid:
        return "", invalid.problems


def _rule_file(suite: Suite, text: str) -> Suite:
    """Read the tests that stand in a rule file; the rules are checked when they are loaded."""
    document, items = suite.document, suite.document.value.get("tests", [])
    if not isinstance(items, list):
        document.problem(("tests",), "must be a list of tests")
        return suite
    if not items:
        document.problem((), "holds no tests: write them under tests:, or in a file .test.yaml")
    tests = tuple(read_tests(document, items, whole=True))
    return Suite(
        path=suite.path,
        document=document,
        rules=_with_runbooks(suite, {suite.path.name: text}),
        start_ns=read_moment(DEFAULT_START),
        tests=tests,
    )


def _with_runbooks(suite: Suite, rules: dict[str, str]) -> dict[str, str]:
    """Add the runbooks beside a file, which its rules may name."""
    try:
        return runbook_files(suite.path.parent) | rules
    except Invalid as invalid:
        suite.document.problems += invalid.problems
        return rules


def _test_file(suite: Suite) -> Suite:
    document = suite.document
    head = validated(TestFile, document.value, document, ())
    if head is None:
        return suite
    entries = read_each(SensorEntry, head.registry, document, ("registry",))
    tests = read_tests(document, head.tests)
    if head.registry and head.registry_folder is not None:
        document.problem(("registry_folder",), "goes instead of registry: keep one", key=True)
    rules: dict[str, str] = {}
    for i, name in enumerate(head.rule_files):
        rules |= _beside(suite, ("rule_files", i), name)
    texts: dict[str, str] = {}
    if head.registry_folder is not None:
        texts = _beside(suite, ("registry_folder",), head.registry_folder, folder=True)
    golden = {t.entry.events: _golden(suite, t) for t in tests if t.entry.events is not None}
    return Suite(
        path=suite.path,
        document=document,
        rules=rules,
        start_ns=read_moment(DEFAULT_START) if head.start is None else head.start,
        registry=tuple(entries),
        registry_texts=texts,
        tests=tuple(tests),
        golden=golden,
    )


def _beside(suite: Suite, where: Any, name: str, *, folder: bool = False) -> dict[str, str]:
    """Return the texts of a file, or of a folder's files, named relative to the test file."""
    path = suite.path.parent / name
    problem = suite.document.problem
    if folder != path.is_dir() or not path.exists():
        problem(where, f"{name[:80]!r}: {'no such folder' if folder else 'no such file'}")
        return {}
    sizes = [p for p in ([path] if path.is_file() else path.iterdir()) if p.suffix == ".yaml"]
    large = next((p for p in sizes if p.stat().st_size > 4 * MAX_BYTES), None)
    if large is not None:
        said = f"{large.name}: more than {4 * MAX_BYTES >> 20} MiB: test a smaller part of it"
        problem(where, said)
        return {}
    try:
        return read_sources(path)
    except Invalid as invalid:
        suite.document.problems += invalid.problems
        return {}


def _golden(suite: Suite, test: ReadTest) -> bytes | None:
    """Return what the golden file holds, None if there is none yet."""
    name = Path(str(test.entry.events))
    if name.is_absolute() or ".." in name.parts:
        test.problem(("events",), "must lie beside the test file, such as golden/ch4.jsonl")
        return None
    path = suite.path.parent / name
    if not path.is_file():
        return None
    if path.stat().st_size > 4 * MAX_BYTES:
        test.problem(("events",), f"more than {4 * MAX_BYTES >> 20} MiB: make the test smaller")
        return None
    return path.read_bytes()
