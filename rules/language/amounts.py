"""The small values of a rule: ``50 %LEL``, ``3x``, ``{samples: 2, or: 30s}``, level maps of them.

Each reader takes what stood in the YAML and raises ValueError with the remedy.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar

from pydantic import PlainValidator

from rules.durations import parse_duration, parse_multiple
from rules.plan import NEVER_NS
from rules.problems import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

_AMOUNT: Final = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(.*)", re.ASCII)
_HOLD_KEYS: Final = ("samples", "or")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, with its unit if one was written."""

    number: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A duration, or so many of the registered intervals."""

    duration_ns: int = 0
    times: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a breach must last: time, or samples, or whichever comes first."""

    hold_ns: int = 0
    samples: int = 0  # 0: only time counts


@dataclass(frozen=True, slots=True)
class PerLevel(Generic[T]):
    """One value for all levels, or one a level."""

    each: T | None = None
    by_level: tuple[tuple[str, T], ...] = ()

    def of(self, level: str, default: T) -> T:
        """Return the value for ``level``."""
        if self.each is not None:
            return self.each
        return dict(self.by_level).get(level, default)


def read_amount(value: object) -> Amount:
    """Return ``50``, ``"50 %LEL"`` or ``"-10 kPa/min"`` as an Amount."""
    if isinstance(value, bool):
        raise ValueError(f"{value} is not a number")  # noqa: TRY004 - pydantic wants ValueError
    if isinstance(value, int | float):
        number, unit = float(value), ""
    else:
        found = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f'{_short(value)} is not a number: write 50 or "50 %LEL"')
        number, unit = float(found[1]), found[2]
    if not math.isfinite(number):
        raise ValueError(f"{_short(value)} is not a finite number")
    return Amount(number, unit)


def read_span(value: object) -> Span:
    """Return ``5m`` or ``3x`` as a Span."""
    times = parse_multiple(value)
    if times is not None:
        return Span(times=times)
    try:
        return Span(parse_duration(value))
    except ValueError as error:
        raise ValueError(f"{error}, or 3x for three of its intervals") from None


def read_hold(value: object) -> Hold:
    """Return ``1m`` or ``{samples: 2, or: 30s}`` as a Hold."""
    if not isinstance(value, dict):
        return Hold(parse_duration(value))
    if "segments" in value:
        raise ValueError("segments are for kind modal: write {samples: 2, or: 30s}")
    unknown = [key for key in value if key not in _HOLD_KEYS]
    if unknown:
        raise ValueError(f'unknown key "{unknown[0]}"{nearest(unknown[0], _HOLD_KEYS)}')
    samples = value.get("samples")
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 1000:
        raise ValueError(f"samples must be 1 … 1000, not {_short(samples)}")
    return Hold(parse_duration(value["or"]) if "or" in value else int(NEVER_NS), samples)


def _per_level(read: Callable[[object], T]) -> Callable[[object], PerLevel[T]]:
    def reader(value: object) -> PerLevel[T]:
        if not isinstance(value, dict) or "samples" in value or "segments" in value:
            return PerLevel(each=read(value))
        if not value:
            raise ValueError("names no level")
        return PerLevel(by_level=tuple(_mapped(value, read).items()))

    return reader


def _level_map(read: Callable[[object], T]) -> Callable[[object], dict[str, T]]:
    def reader(value: object) -> dict[str, T]:
        if not isinstance(value, dict) or not value:
            raise ValueError(f"must be a map of levels, such as {{red: 50}}, not {_short(value)}")
        return _mapped(value, read)

    return reader


def _mapped(value: dict[Any, Any], read: Callable[[object], T]) -> dict[str, T]:
    result = {}
    for level, item in value.items():
        try:
            result[str(level)] = read(item)
        except ValueError as error:
            raise ValueError(f"{level}: {error}") from None
    return result


def _short(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 40 else f"{said[:37]}..."


Written = int | float | str  # 50, or "50 %LEL"
AmountValue = Annotated[Amount, PlainValidator(read_amount, json_schema_input_type=Written)]
SpanValue = Annotated[Span, PlainValidator(read_span, json_schema_input_type=str)]
Limits = Annotated[
    dict[str, Amount],
    PlainValidator(_level_map(read_amount), json_schema_input_type=dict[str, Written]),
]
Spans = Annotated[
    dict[str, Span], PlainValidator(_level_map(read_span), json_schema_input_type=dict[str, str])
]
Holds = Annotated[
    PerLevel[Hold],
    PlainValidator(_per_level(read_hold), json_schema_input_type=str | dict[str, Any]),
]
Keeps = Annotated[
    PerLevel[int],
    PlainValidator(_per_level(parse_duration), json_schema_input_type=str | dict[str, str]),
]
Hysteresis = Annotated[
    PerLevel[Amount],
    PlainValidator(_per_level(read_amount), json_schema_input_type=Written | dict[str, Written]),
]
