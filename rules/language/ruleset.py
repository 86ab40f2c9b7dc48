"""Rules as read: validated bodies that know where each of their keys stood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rules.plan import Level
from rules.problems import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.language.escalations import Chain
    from rules.language.holding import Held
    from rules.language.models import Body
    from rules.language.quality import Check
    from rules.language.runbooks import Runbook
    from rules.schedule import Schedule
    from rules.strict_models import Path
    from rules.yaml_text import Document

STANDARD_LEVELS: Final = (
    Level("blue", 1, "blue"),
    Level("yellow", 2, "yellow"),
    Level("orange", 3, "orange"),
    Level("red", 4, "red"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule after defaults and templates: ``raw`` as written, ``body`` as meant."""

    body: Body
    raw: dict[str, Any]
    origin: dict[str, Path]  # top-level key → where it stands in the document
    document: Document
    path: Path  # of the rule itself
    variants: tuple[Body, ...] = ()  # the body under each override alone
    schedules: tuple[Schedule, ...] = ()  # those of ``when``, in its order
    hourly: tuple[Body, ...] = ()  # the body under each schedule alone
    renames: Mapping[str, str] = field(default_factory=dict)  # of a shadow folder: id as written

    @property
    def id(self) -> str:
        """Return the rule's id, unique among all files."""
        return self.body.id

    @property
    def file(self) -> str:
        """Return ``gas.yaml:12``."""
        return f"{self.document.name}:{self.document.at(self.path)[0]}"

    def place(self, within: Path) -> Path:
        """Return where a path within the rule stands: here, in a template or in the defaults."""
        if not within:
            return self.path
        first = str(within[0])
        return (*self.origin.get(first, (*self.path, first)), *within[1:])

    def problem(
        self, within: Path, message: str, severity: Severity = "error", *, key: bool = False
    ) -> Problem:
        """Return a problem at a path within the rule."""
        line, column = self.document.at(self.place(within), key=key)
        return Problem(self.document.name, line, column, self.body.id, message, severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules of a site, and the texts they came from."""

    sources: dict[str, str]
    content_hash: str
    levels: tuple[Level, ...]  # by severity rising
    rules: tuple[Rule, ...]  # in the order of file and line
    checks: tuple[Check, ...] = ()  # of the quality section, in the order of file and line
    holding: tuple[Held, ...] = ()  # inhibits and maintenance, in the order of file and line
    runbooks: Mapping[str, Runbook] = field(default_factory=dict)
    chains: Mapping[str, Mapping[str, Chain]] = field(default_factory=dict)  # by file, by name
    expired: str = ""  # overrides whose `until` is this day or before are over
    shadow_sources: dict[str, str] = field(default_factory=dict)  # of the shadow folder

    def rule(self, rule_id: str) -> Rule | None:
        """Return the rule of that id."""
        return next((r for r in self.rules if r.id == rule_id), None)


def applied(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the rule as written with ``{"above.red": 40}`` put in.

    Raises
    ------
    ValueError
        A dotted key names a level of something that is no level map.
    """
    result = {key: value for key, value in raw.items() if key != "overrides"}
    for key, value in changes.items():
        head, dot, level = key.partition(".")
        if not dot:
            result[head] = value
            continue
        held = result.get(head, {})
        if not isinstance(held, dict) or "samples" in held:
            raise ValueError(f"{key}: {head} is no level map here: set {head} as a whole")
        result[head] = {**held, level: value}
    return result
