"""Runbooks: what people do about an alarm, as Markdown beside the rules that name it.

``runbook: gas-leak`` means ``runbooks/gas-leak.md`` beside the rule files, with a title of both
languages (``# Methane · 甲烷``) and the sections ``## 中文`` and ``## English``. The texts belong
to the rules: they are stored and hashed with them, so a page shows the runbook of the time. An
address (``https://…``) is shown as a link and not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rules.problems import Invalid, Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rules.language.ruleset import Rule

FOLDER: Final = "runbooks"
MAX_BYTES: Final = 64 << 10
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,47}")
_ADDRESS: Final = re.compile(r"https?://[^\s/]+\S*")
_TITLE: Final = re.compile(r"# (?P<en>[^·]*\S)\s*·\s*(?P<zh>\S.*)")
_BEGINS: Final = re.compile(r"\d+[.)]\s|[-*#]")
_SECTIONS: Final = {"## 中文": "zh", "## English": "en"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A runbook as read; ``en`` and ``zh`` are Markdown."""

    name: str
    title: str
    title_zh: str
    en: str
    zh: str


def is_runbook(source: str) -> bool:
    """Tell a runbook among the texts of a rule set by its name."""
    return source.startswith(f"{FOLDER}/")


def rule_texts(sources: Mapping[str, str]) -> dict[str, str]:
    """Return the rule files among the texts of a rule set."""
    return {name: text for name, text in sources.items() if not is_runbook(name)}


def runbook_files(folder: Path) -> dict[str, str]:
    """Return the runbooks beside the rules of a folder, as ``runbooks/NAME.md`` → text.

    Raises
    ------
    Invalid
        One cannot be read, is not UTF-8 or too large.
    """
    texts, problems = {}, []
    beside = folder / FOLDER
    for path in sorted(beside.glob("*.md")) if beside.is_dir() else ():
        name = f"{FOLDER}/{path.name}"
        try:
            data = path.read_bytes()
            if len(data) > MAX_BYTES:
                said = f"is larger than {MAX_BYTES >> 10} KiB: shorten it, or link to it"
                problems.append(Problem(name, 0, 0, "", said))
            texts[name] = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            problems.append(Problem(name, 0, 0, "", "is not UTF-8 text: save the file as UTF-8"))
        except OSError as error:
            problems.append(Problem(name, 0, 0, "", f"cannot be read: {error.strerror}"))
    if problems:
        raise Invalid(problems)
    return texts


def read_runbooks(sources: Mapping[str, str]) -> tuple[dict[str, Runbook], list[Problem]]:
    """Return the sound runbooks among the texts of a rule set by name, and what is wrong."""
    found: dict[str, Runbook] = {}
    problems: list[Problem] = []
    for source, text in sorted(sources.items()):
        if not is_runbook(source):
            continue
        name = source.removeprefix(f"{FOLDER}/").removesuffix(".md")
        if not _NAME.fullmatch(name) or not source.endswith(".md"):
            said = "is no name of a runbook: a-z, then a-z 0-9 and '-', such as gas-leak.md"
            problems.append(Problem(source, 0, 0, "", said))
            continue
        runbook, wrong = _read(name, source, text)
        problems += wrong
        if runbook is not None:
            found[name] = runbook
    return found, problems


def _read(name: str, source: str, text: str) -> tuple[Runbook | None, list[Problem]]:
    lines = text.splitlines()
    title = _TITLE.fullmatch(lines[0].rstrip()) if lines else None
    problems = []
    if title is None:
        said = "the first line must be the title in both languages: # English · 中文"
        problems.append(Problem(source, 1, 1, "", said))
    parts: dict[str, list[str]] = {}
    section: list[str] | None = None
    for line in lines[1:]:
        language = _SECTIONS.get(line.rstrip())
        if language is not None:
            section = parts.setdefault(language, [])
        elif section is not None:
            section.append(line.rstrip())
    texts = {language: "\n".join(held).strip() for language, held in parts.items()}
    for head, language in _SECTIONS.items():
        if not texts.get(language):
            said = f"has no steps under {head}: operators read both languages"
            problems.append(Problem(source, 1, 1, "", said))
    if problems or title is None:
        return None, problems
    return Runbook(name=name, title=title["en"], title_zh=title["zh"], **texts), []


def is_address(runbook: str) -> bool:
    """Tell an address from a name."""
    return _ADDRESS.fullmatch(runbook) is not None


def unknown_runbooks(rules: Iterable[Rule], known: Mapping[str, object]) -> list[Problem]:
    """Return an error for each rule whose runbook is neither an address nor there."""
    return [
        rule.problem(("runbook",), _unknown(rule.body.runbook, known))
        for rule in rules
        if rule.body.runbook and rule.body.runbook not in known
        if not is_address(rule.body.runbook)
    ]


def paragraphs(text: str) -> list[str]:
    """Return Markdown as one line a paragraph, heading or step: what was wrapped is joined."""
    found: list[str] = []
    begins = True
    for line in text.splitlines():
        said = line.strip()
        if not said:
            begins = True
        elif begins or _BEGINS.match(said):
            found.append(said)
            begins = said.startswith("#")
        else:
            found[-1] += f" {said}"
    return found


def _unknown(name: str, known: Mapping[str, object]) -> str:
    if not _NAME.fullmatch(name):
        return f"runbook: {name[:64]!r} is neither a name (gas-leak) nor an address (https://…)"
    hint = nearest(name, known)
    return f"runbook: no {FOLDER}/{name}.md beside the rules{hint or ': write it'}"
