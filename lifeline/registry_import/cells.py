"""Cells → values, a column at a time: equal cells are read once, whatever the number of rows."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from rules.durations import format_duration, parse_duration
from rules.problems import nearest
from rules.quantities import QUANTITIES
from rules.units import ucum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lifeline.registry_import.fields import Field
    from lifeline.registry_import.table import Findings, Mapped

CLEAR: Final = "-"
"""A cell that takes away what the present registry says; an empty one leaves it."""


class Cleared:
    """The value of a cell that holds `CLEAR`."""


CLEARED: Final = Cleared()
_NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_UNITS_ZH: Final = {
    "毫秒": "ms", "秒": "s", "分钟": "m", "分": "m", "小时": "h", "时": "h", "天": "d", "日": "d",
}  # fmt: skip
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]00:00(?::00)?)?")
_SLASHED: Final = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})")
_CHINESE: Final = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日")
_DATES: Final = (("2026-03-31", _ISO), ("2026/3/31", _SLASHED), ("2026年3月31日", _CHINESE))
GUESSES: Final = 100  # 'did you mean' is slow: a column of something else must not take minutes
MAX_EXACT: Final = 10**15  # beyond it a spreadsheet has rounded a number's digits away


class Refused(ValueError):  # noqa: N818 - reads as what it says
    """The cell cannot be read; says what is wrong and the remedy."""

    def __init__(
        self, message: str, kind: str, *, text: str = "", known: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self._text, self._known = text, known

    def told(self, *, guess: bool) -> str:
        """Return the message, with the known words near the text if a guess is wanted."""
        return str(self) + (nearest(self._text, self._known) if guess and self._known else "")


def parse(findings: Findings, mapped: Mapped) -> dict[str, list[Any]]:
    """Return field → values by row: None where the cell is empty or was refused."""
    values: dict[str, list[Any]] = {}
    for name, column in mapped.at.items():
        field = mapped.fields[name]
        if field.reads == "date":
            _one_format(findings, column)
        values[name] = _column(findings, column, reader_of(field))
    return values


def reader_of(field: Field) -> Callable[[Any], Any]:
    """Return what reads a cell of a field; it raises Refused."""
    if field.reads == "word":
        return lambda raw: _word(raw, field)
    return _READERS[field.reads]


def _column(findings: Findings, column: int, read: Callable[[Any], Any]) -> list[Any]:
    raw = findings.table.columns[column]
    known: dict[Any, Any] = {(type(None), None): None}
    wrong: dict[Any, Refused] = {}
    for key in {(type(v), v) for v in raw}:
        if key in known:
            continue
        try:
            known[key] = _read(key[1], read)
        except Refused as error:
            known[key], wrong[key] = None, error
    if wrong:
        said = {key: error.told(guess=i < GUESSES) for i, (key, error) in enumerate(wrong.items())}
        for row, v in enumerate(raw):
            if (refused := wrong.get((type(v), v))) is not None:
                findings.note(row, column, said[type(v), v], refused.kind)
    return [known[type(v), v] for v in raw]


def _read(raw: Any, read: Callable[[Any], Any]) -> Any:
    if isinstance(raw, str):
        if raw.startswith("="):
            raise Refused("a formula: paste its value instead", "formula")
        if raw.startswith("#") and raw.endswith(("!", "?", "A")):
            raise Refused("an error of the spreadsheet: mend it there", "spreadsheet error")
        if raw.strip() == CLEAR:
            return CLEARED
        if not raw.strip():
            return None
    return read(raw)


def _narrow(raw: Any) -> str:
    """Return a cell as text: full-width digits and letters become plain ones."""
    if isinstance(raw, bool):
        raise Refused("is true or false, where text is wanted", "text")
    if isinstance(raw, (int, float)):
        return _digits(raw)
    if not isinstance(raw, str):
        raise Refused(f"is a {_called(raw)}, where text is wanted: format the cell as text", "text")
    return unicodedata.normalize("NFKC", raw).strip()


def _digits(number: float) -> str:
    if abs(number) >= MAX_EXACT:
        said = "a number of more than 15 digits, which a spreadsheet rounds: format it as text"
        raise Refused(said, "text")
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def _called(raw: Any) -> str:
    kinds = {date: "date", datetime: "date", time: "time of day", timedelta: "time span"}
    return kinds.get(type(raw), type(raw).__name__)


def _text(raw: Any) -> str:
    if isinstance(raw, str):
        held = raw.strip()
        if _CONTROL.search(held):
            raise Refused("holds a line break or another control character: remove it", "text")
        return held
    return _narrow(raw)


def _id(raw: Any) -> str:
    text = _narrow(raw)
    if any(c.isspace() for c in text):
        raise Refused("holds a space, and an id has none: remove it", "id")
    return text


def _number(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise Refused(f"is a {_called(raw)}, where a number is wanted", "number")
    if isinstance(raw, str):
        text = unicodedata.normalize("NFKC", raw).strip().replace("−", "-")
        if "," in text:
            whole, _, rest = text.partition(",")
            said = f"a comma: write {whole}.{rest.replace(',', '')} if it is the decimal point, "
            raise Refused(said + f"{text.replace(',', '')} if it parts thousands", "number")
        if not _NUMBER.fullmatch(text):
            raise Refused("is not a number: write digits with a point, such as 12.5", "number")
        raw = float(text)
    if not math.isfinite(raw):
        raise Refused("is not a finite number", "number")
    return int(raw) if float(raw).is_integer() and abs(raw) < MAX_EXACT else float(raw)


def _whole(raw: Any) -> int:
    number = _number(raw)
    if not isinstance(number, int):
        raise Refused("is not a whole number", "number")
    return number


def _duration(raw: Any) -> str:
    if isinstance(raw, (timedelta, time)):
        raise Refused("is a time cell: write it as text, such as 5m or 1h30m", "duration")
    text = _narrow(raw).replace(" ", "")
    for name, unit in _UNITS_ZH.items():
        text = text.replace(name, unit)
    text = re.sub(r"(?<=\d)min$", "m", text)
    try:
        return format_duration(parse_duration(text))
    except ValueError as error:
        raise Refused(str(error), "duration") from error


def _date(raw: Any) -> str:
    if isinstance(raw, datetime):
        if (raw.hour, raw.minute, raw.second) != (0, 0, 0):
            raise Refused("has a time of day: leave only the date", "date")
        return raw.date().isoformat()
    if isinstance(raw, date):
        return raw.isoformat()
    if not isinstance(raw, str):
        raise Refused("is a number: format the cell as a date, or write 2026-03-31", "date")
    text = unicodedata.normalize("NFKC", raw).strip()
    found = next((m for _, form in _DATES if (m := form.fullmatch(text))), None)
    try:
        if found is not None:
            return date(*map(int, found.groups())).isoformat()
    except ValueError:
        raise Refused("there is no such day", "date") from None
    raise Refused("is no date: write 2026-03-31", "date")


def _form(raw: Any) -> str:
    if isinstance(raw, date):
        return "a date cell"
    text = unicodedata.normalize("NFKC", raw).strip() if isinstance(raw, str) else ""
    return next((name for name, form in _DATES if form.fullmatch(text)), "")


def _one_format(findings: Findings, column: int) -> None:
    """Refuse a column whose dates are written in several ways: somebody may have swapped some."""
    raw = findings.table.columns[column]
    forms = [_form(v) if v is not None else "" for v in raw]
    rows: dict[str, list[int]] = {}
    for row, form in enumerate(forms):
        if form:
            rows.setdefault(form, []).append(row)
    if len(rows) < 2:
        return
    usual = max(rows, key=lambda form: len(rows[form]))
    first = rows[usual][0]
    example, at = raw[first], findings.table.cell(findings.table.rows[first], column)
    shown = example.isoformat()[:10] if isinstance(example, date) else example
    for form, those in rows.items():
        for row in those if form != usual else ():
            said = f"dates of this column are written in several ways: here like {form}, but "
            said += f'like "{shown}" ({usual}) in {at}; use one'
            findings.note(row, column, said, "date formats mixed")


def _word(raw: Any, field: Field) -> str:
    text = _narrow(raw).casefold()
    for value, others in field.words:
        if text == value or text in others:
            return value
    known = [word for value, others in field.words for word in (value, *others)]
    allowed = ", ".join(value for value, _ in field.words)
    raise Refused(f"no {field.name} of ours: write {allowed}", "word", text=text, known=known)


def _unit(raw: Any) -> str:
    return ucum(_narrow(raw))


def _quantity(raw: Any) -> str:
    text = _narrow(raw)
    lowered = text.casefold()
    for name, quantity in QUANTITIES.items():
        if lowered in (name, quantity.label.casefold(), quantity.label_zh):
            return name
    words = [w for q in QUANTITIES.values() for w in (q.name, q.label_zh)]
    raise Refused("unknown quantity", "quantity", text=text, known=words)


def _json(raw: Any) -> dict[str, Any]:
    try:
        held = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        raise Refused('is no JSON object: write {"depth": 4.2}', "json")
    return held


def _numbers(raw: Any) -> list[float]:
    if not isinstance(raw, str):
        return [_number(raw)]
    parts = [p for p in re.split(r"[;；\s]+", raw.strip().strip("[]")) if p]
    return [_number(p) for p in parts]


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "id": _id, "text": _text, "number": _number, "whole": _whole, "duration": _duration,
    "date": _date, "unit": _unit, "quantity": _quantity, "json": _json, "numbers": _numbers,
}  # fmt: skip
