"""A report of rule tests as JUnit XML, which every CI server shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from lifeline.workbench.rule_tests import Report

_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def junit_xml(report: Report) -> bytes:
    """Return one suite a file; errors in files are test cases of their own."""
    root = Element("testsuites")
    files = dict.fromkeys([o.file for o in report.outcomes])
    for file in files:
        mine = [o for o in report.outcomes if o.file == file]
        failed = sum(not o.passed for o in mine)
        suite = SubElement(
            root, "testsuite", name=_clean(file), tests=str(len(mine)), failures=str(failed),
            errors="0", time=f"{sum(o.seconds for o in mine):.3f}",
        )  # fmt: skip
        for outcome in mine:
            seconds = f"{outcome.seconds:.3f}"
            case = SubElement(
                suite, "testcase", classname=_clean(file), name=_clean(outcome.name), time=seconds
            )
            for failure in outcome.result.failures:
                found = SubElement(case, "failure", message=_clean(failure.said))
                found.text = _clean(f"{file}:{failure.line}: {failure.said}\n{failure.why}")
    if report.problems:
        count = str(len(report.problems))
        suite = SubElement(root, "testsuite", name="files", tests=count, failures="0", errors=count)
        for problem in report.problems:
            case = SubElement(suite, "testcase", classname=problem.file, name=_clean(str(problem)))
            SubElement(case, "error", message=_clean(problem.message))
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _clean(text: str) -> str:
    """Return text without what XML cannot hold."""
    return _NOT_XML.sub("?", text)
