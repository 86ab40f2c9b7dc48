"""YAML text as plain values that remember where they stood.

PyYAML's own composer is recursive in C (100 000 brackets crash the process), loses positions and
takes YAML 1.1 at its word (``on`` is true, ``22:30`` is 1350, ``010`` is 8). Here its event
stream is read with a depth limit; every trap is a problem with its remedy, none is guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from rules.problems import Invalid, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MAX_DEPTH: Final = 32
MAX_NODES: Final = 8_000_000
MAX_COPIED: Final = 500_000  # by aliases, which unfold
MAX_CHARACTERS: Final = 256 << 20

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9]\d{0,17})")
_TRAP_BOOL: Final = re.compile(r"(?i:yes|no|on|off)")
_TRAP_TIME: Final = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_TRAP_OCTAL: Final = re.compile(r"[-+]?0[0-9_]+")
_TRAP_NUMBER: Final = re.compile(r"[-+]?(0[xb][0-9a-fA-F_]+|\d[\d_]*_[\d_]*(\.[\d_]*)?)")
_FORBIDDEN: Final = yaml.reader.Reader.NON_PRINTABLE
_PLAIN_TAGS: Final = (None, "!", "tag:yaml.org,2002:str")


@dataclass(slots=True)
class Place:
    """Where a value stands (line << 20 | column, from 1), and its parts."""

    at: int
    parts: dict[str, tuple[int, Place]] | list[Place] | None = None


@dataclass(slots=True)
class Document:
    """One file: its value, and the place of everything in it."""

    name: str
    value: Any
    place: Place
    problems: list[Problem] = field(default_factory=list)

    def at(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Return (line, column) of the value at ``path``, or of the deepest part that exists.

        With ``key``, of the last key instead of its value.
        """
        place, at = self.place, self.place.at
        for step in path:
            parts = place.parts
            if isinstance(parts, dict) and step in parts:
                key_at, place = parts[str(step)]
            elif isinstance(parts, list) and isinstance(step, int) and step < len(parts):
                place = parts[step]
                key_at = place.at
            else:
                continue  # a step of the model, not of the text (the branch of a union)
            at = key_at if key else place.at
        return at >> 20, at & 0xFFFFF

    def problem(
        self,
        path: Sequence[str | int],
        message: str,
        *,
        who: str = "",
        noun: str = "rule",
        severity: Severity = "error",
        key: bool = False,
    ) -> None:
        """Note a problem at ``path``."""
        line, column = self.at(path, key=key)
        self.problems.append(Problem(self.name, line, column, who, message, severity, noun))


def read_yaml(name: str, text: str, *, most: int = MAX_CHARACTERS) -> Document:
    """Return the document of ``text``; whatever is wrong with it stands in ``problems``.

    A text of more than ``most`` characters is not read.
    """
    document = Document(name, None, Place(1 << 20 | 1))
    if len(text) > most:
        document.problem((), f"the file is larger than {most} characters: split it")
        return document
    try:
        reader = _Reader(document)
        reader.read(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        said = f"not YAML: {error.problem or error.context}"
        said += _remedy(text, at[0], str(error.problem))
        if "nesting depth" in said:  # newer libyaml stops while it reads ahead, before we can
            said = f"nested deeper than {MAX_DEPTH} levels"
        document.problems.append(Problem(name, *at, "", said))
    except yaml.reader.ReaderError as error:
        document.problems.append(_unreadable(name, text, error))
    except UnicodeEncodeError as error:
        document.problem((), f"not text: {error.reason}")
    except _Stopped as stop:
        document.problems.append(stop.problem)
    return document


def read_files(files: dict[str, str]) -> list[Document]:
    """Return the documents of named texts, in the order of their names."""
    return [read_yaml(name, files[name]) for name in sorted(files)]


def raise_errors(problems: Iterable[Problem]) -> None:
    """Raise Invalid with all of ``problems`` if one of them is an error."""
    held = list(problems)
    if any(p.severity == "error" for p in held):
        raise Invalid(held)


def _unreadable(name: str, text: str, error: yaml.reader.ReaderError) -> Problem:
    """Return where a character stands that YAML does not allow, such as NUL."""
    found = _FORBIDDEN.search(text)
    at = found.start() if found else 0
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    said = f"U+{ord(found[0]):04X} is not allowed here: remove it" if found else error.reason
    return Problem(name, line, column, "", f"not YAML: {said}")


_REMEDIES: Final = {
    "did not find expected node content": "a bracket or brace here or above is not closed",
    "did not find expected ',' or": "close the bracket or brace above, or put a comma before this",
    "did not find expected key": "indent what belongs together alike, and close what is open above",
    "did not find expected '-' indicator": "begin each item of the list with - in the same column",
    "mapping values are not allowed": 'quote a text that holds ": "',
    "unexpected end of stream": "a quote above is not closed",
    "unknown escape character": "write single quotes, in which a backslash is itself",
    "cannot start any token": "quote a text that begins with %, @ or `",
    "unknown directive": "quote a text that begins with %",
    "could not find expected ':'": "write a space after the colon of a key",
    "found undefined tag handle": "quote a text that begins with !",
    "while scanning an anchor": "quote a text that begins with &",
    "while scanning an alias": "quote a text that begins with *",
    "did not find expected alphabetic": "quote a text that begins with & or *",
}
"""What libyaml says, and what its author can do."""


def _remedy(text: str, line: int, said: str) -> str:
    lines = text.splitlines()
    if 0 < line <= len(lines) and "\t" in lines[line - 1]:
        return ": indent with spaces, not with tabs"
    return next((f": {remedy}" for part, remedy in _REMEDIES.items() if part in said), "")


class _Stopped(Exception):  # noqa: N818 - not an error of ours
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A container being read."""

    value: dict[str, Any] | list[Any]
    place: Place
    anchor: str | None
    began: int  # nodes read before it
    wants_key: bool  # a mapping whose next scalar is a key
    key: str = ""
    key_at: int = 0
    skip: bool = False  # the key was refused: drop its value


class _Reader:
    """Turns events into values and places, with a stack of its own."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, Place, int]] = {}
        self.nodes = 0
        self.copied = 0
        self.documents = 0

    def read(self, events: Iterable[Any]) -> None:
        take: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: lambda event: self.begin(event, {}, {}),
            yaml.SequenceStartEvent: lambda event: self.begin(event, [], []),
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.document_start,
        }
        for event in events:
            act = take.get(type(event))
            if act is not None:
                act(event)

    def end(self, _: Any) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = (done.value, done.place, self.nodes - done.began)

    def document_start(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self.stop(event, "a second document (---) in one file: make it a second file")

    def begin(self, event: Any, value: Any, parts: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self.stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None and not event.implicit:
            self.note(_at(event), f"YAML tag {event.tag!r} is not used here: remove it")
        place = Place(_at(event), parts)
        if self.expects_key():
            self.stop(event, "a key must be a word, not a list or a mapping")
        self.add(value, place)
        self.stack.append(_Open(value, place, event.anchor, self.nodes, type(value) is dict))

    def scalar(self, event: Any) -> None:
        at = _at(event)
        if self.expects_key():
            self.take_key(event.value, at, plain=event.implicit[0])
            return
        value: Any = event.value
        if event.implicit[0]:
            value = self.resolve(event.value, at)
        elif event.tag not in _PLAIN_TAGS:
            self.note(at, f"YAML tag {event.tag!r} is not used here: remove it")
        place = Place(at)
        self.add(value, place)
        if event.anchor:
            self.anchors[event.anchor] = (value, place, 1)

    def alias(self, event: Any) -> None:
        at = _at(event)
        if event.anchor not in self.anchors:
            self.stop(event, f"alias *{event.anchor} before its anchor &{event.anchor} has ended")
        if self.expects_key():
            self.stop(event, "an alias cannot be a key")
        value, place, size = self.anchors[event.anchor]
        self.nodes += size
        self.copied += size
        if self.copied > MAX_COPIED:
            self.stop(event, f"aliases unfold to more than {MAX_COPIED} values: write them out")
        self.add(value, Place(at, place.parts))

    def resolve(self, text: str, at: int) -> Any:
        """Return the value of a plain scalar; YAML 1.1's traps are noted and stay text."""
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        trap = ""
        if _TRAP_OCTAL.fullmatch(text):
            trap = "YAML reads a leading 0 as octal: leave the 0 away, or quote it as text"
        elif _NUMBER.fullmatch(text):
            return float(text)
        elif _TRAP_BOOL.fullmatch(text):
            trap = f'YAML reads {text} as true or false: write true or false, or quote it "{text}"'
        elif _TRAP_TIME.fullmatch(text):
            trap = f'YAML reads {text} as a number to base 60: quote it "{text}"'
        elif _TRAP_NUMBER.fullmatch(text):
            trap = f"write {text} as a plain decimal number"
        if trap:
            self.note(at, trap)
        return text

    def expects_key(self) -> bool:
        return bool(self.stack) and self.stack[-1].wants_key

    def take_key(self, key: str, at: int, *, plain: bool = False) -> None:
        top = self.stack[-1]
        if plain and _TRAP_BOOL.fullmatch(key):
            self.note(at, f'YAML reads the key {key} as true or false: quote it "{key}"')
        if plain and key == "<<":
            self.note(at, "merge keys (<<) are not used here: use templates and extends")
            top.skip = True
        elif key in top.value:
            first = top.place.parts[key][0] if isinstance(top.place.parts, dict) else 0
            self.note(at, f'key "{key}" stands twice, first on line {first >> 20}')
            top.skip = True
        top.key, top.key_at, top.wants_key = key, at, False

    def add(self, value: Any, place: Place) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            line, column = place.at >> 20, place.at & 0xFFFFF
            said = f"more than {MAX_NODES} values: split the file"
            raise _Stopped(Problem(self.document.name, line, column, "", said))
        if not self.stack:
            self.document.value, self.document.place = value, place
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
            if isinstance(top.place.parts, list):
                top.place.parts.append(place)
            return
        if not top.skip and isinstance(top.place.parts, dict):
            top.value[top.key] = value
            top.place.parts[top.key] = (top.key_at, place)
        top.wants_key, top.skip = True, False

    def note(self, at: int, message: str) -> None:
        self.document.problems.append(
            Problem(self.document.name, at >> 20, at & 0xFFFFF, "", message)
        )

    def stop(self, event: Any, message: str) -> None:
        at = _at(event)
        raise _Stopped(Problem(self.document.name, at >> 20, at & 0xFFFFF, "", message))


def _at(event: Any) -> int:
    line, column = int(event.start_mark.line), int(event.start_mark.column)
    return (line + 1) << 20 | min(column + 1, 0xFFFFF)
