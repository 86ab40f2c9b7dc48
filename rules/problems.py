"""What is wrong with a file, told so that its author can mend it: place, value, remedy.

Loaders collect every problem before they raise, so that one run shows all of them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 1000  # characters of a message
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding. Lines and columns count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    rule: str  # id of the rule, asset or device it stands in, "" if in none
    message: str
    severity: Severity = "error"
    noun: str = "rule"  # what `rule` names: rule, asset, device, …
    unreachable: bool = False
    """A level that no sample can reach. It stops no rules from loading, or one new sensor would
    silence a city; who checks the files is refused."""

    def __post_init__(self) -> None:
        """Keep what is said readable, however long the word it is said of."""
        if len(self.message) > LONGEST:
            object.__setattr__(self, "message", f"{self.message[:LONGEST]} …")

    def __str__(self) -> str:
        """Return ``gas.yaml:12:3: rule "x": …``; warnings say so."""
        place = self.file if self.line == 0 else f"{self.file}:{self.line}:{self.column}"
        mark = "warning: " if self.severity == "warning" else ""
        who = f'{self.noun} "{self.rule}": ' if self.rule else ""
        return f"{place}: {mark}{who}{self.message}"

    def to_json(self) -> dict[str, str | int]:
        """Return plain values, as the command line prints with ``--json``."""
        told = asdict(self)
        del told["unreachable"]  # the severity says it
        return told


class Invalid(Exception):  # noqa: N818 - the name is the sentence: rules are invalid
    """Input that cannot be used; ``problems`` has all that was found, errors and warnings."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def nearest(word: object, known: Iterable[str], *, count: int = 3) -> str:
    """Return ' (did you mean "a" or "b"?)' for the known names close to ``word``, else ''."""
    names = get_close_matches(str(word)[:80], list(islice(known, 2000)), n=count, cutoff=0.55)
    if not names:
        return ""
    quoted = [f'"{name}"' for name in names]
    return f" (did you mean {' or '.join(quoted)}?)"


def near_or_known(word: object, known: Iterable[str]) -> str:
    """Return what is near ``word``, else what there is: ' (there are: a, b)'."""
    names = list(known)
    if not names:
        return " (there are none)"
    more = ", …" if len(names) > 12 else ""
    return nearest(word, names) or f" (there are: {', '.join(names[:12])}{more})"


def listed(names: Iterable[str]) -> str:
    """Return names as 'a, b, c'."""
    return ", ".join(names)
