"""Runs tests of rules, with progress; tells what failed, why, and how it looked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lifeline.errors import Missing
from lifeline.workbench.picture import picture
from rules.problems import Invalid
from rules.testing.cases import Case, cases_of
from rules.testing.files import Suite, read_suites
from rules.testing.run import Result, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from rules.problems import Problem

PASSED, FAILED, ERRORS = 0, 1, 2
MAX_PICTURES = 3  # of one test


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One test: its verdict, and how long it took."""

    file: str
    name: str
    line: int
    seconds: float
    result: Result

    @property
    def passed(self) -> bool:
        """Tell whether nothing failed."""
        return not self.result.failures


@dataclass(slots=True)
class Report:
    """All that was run. ``problems`` are errors in files: their tests did not run."""

    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)  # golden files

    @property
    def exit_code(self) -> int:
        """Return 0 if all passed, 1 if a test failed, 2 if a file could not be used."""
        if self.problems:
            return ERRORS
        return PASSED if all(o.passed for o in self.outcomes) else FAILED


def run_suites(
    paths: Sequence[Path], *, only: str = "", update_golden: bool = False, screen: Console
) -> Report:
    """Run the tests of files and folders whose name holds ``only``.

    Raises
    ------
    Invalid
        A path is not there, or no file holds a test.
    Missing
        No test has such a name.
    """
    report = Report()
    suites = read_suites(paths)
    work: list[tuple[Suite, Case]] = []
    for suite in suites:
        cases = cases_of(suite)
        report.problems += suite.problems
        work += [(suite, case) for case in cases if only.lower() in case.name.lower()]
    if not work and not report.problems:
        raise Missing(f"no test's name holds {only!r}: leave -k away to run all")
    with _progress(screen) as progress:
        task = progress.add_task("tests", total=len(work))
        for suite, case in work:
            progress.update(task, description=f"{suite.path.name}: {case.name}"[:60])
            _run_one(suite, case, report, update_golden=update_golden)
            progress.advance(task)
    return report


def _progress(screen: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def _run_one(suite: Suite, case: Case, report: Report, *, update_golden: bool) -> None:
    began = time.monotonic()
    try:
        result = run(case, golden=not update_golden)
    except Invalid as invalid:
        report.problems += [p for p in invalid.problems if p not in report.problems]
        return
    if update_golden and case.test.entry.events is not None:
        path = suite.path.parent / case.test.entry.events
        if result.event_log != case.golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(result.event_log)
            report.written.append(path)
    report.outcomes.append(
        Outcome(
            file=str(suite.path),
            name=case.name,
            line=case.test.document.at(case.test.path)[0],
            seconds=time.monotonic() - began,
            result=result,
        )
    )


def say(report: Report, screen: Console) -> None:
    """Print what was run, failures with their reasons and pictures."""
    for problem in report.problems:
        screen.print(str(problem), markup=False, soft_wrap=True)
    for outcome in report.outcomes:
        mark = "[green]pass[/]" if outcome.passed else "[red]FAIL[/]"
        screen.print(f"{mark}  {outcome.seconds:5.2f} s  ", end="")
        screen.print(f"{outcome.file}: {outcome.name}", markup=False, soft_wrap=True)
        for number, failure in enumerate(outcome.result.failures):
            why = f": {failure.why}" if failure.why else ""
            place = f"{outcome.file}:{failure.line}: "
            screen.print(f"      {place}{failure.said}{why}", markup=False, soft_wrap=True)
            drawn = None
            if number < MAX_PICTURES:
                drawn = picture(outcome.result, failure, width=screen.width - 6)
            if drawn is not None:
                for line in drawn.split("\n"):
                    screen.print("     ", line, soft_wrap=True)
    for path in report.written:
        screen.print(f"written: {path}: read what it says before you keep it", markup=False)
    failed = sum(not o.passed for o in report.outcomes)
    took = sum(o.seconds for o in report.outcomes)
    screen.print(
        f"{len(report.outcomes)} tests: {len(report.outcomes) - failed} passed, {failed} failed; "
        f"{len(report.problems)} errors in files; {took:.1f} s",
        markup=False,
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values."""
    return {
        "exit_code": report.exit_code,
        "problems": [problem.to_json() for problem in report.problems],
        "tests": [
            {
                "file": o.file,
                "line": o.line,
                "name": o.name,
                "passed": o.passed,
                "seconds": round(o.seconds, 3),
                "failures": [
                    {"line": f.line, "said": f.said, "why": f.why, "rule": f.rule}
                    for f in o.result.failures
                ],
                "events": [str(e.type) for e in o.result.played.events],
            }
            for o in report.outcomes
        ],
    }
