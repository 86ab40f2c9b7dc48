"""Pydantic models for files people write: strict, no unknown keys, problems with their place."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from rules.durations import format_duration, parse_duration
from rules.problems import near_or_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.yaml_text import Document


class Strict(BaseModel):
    """No coercion, no unknown keys, no NaN."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def _duration(value: object) -> int:
    return parse_duration(value)


DurationNs = Annotated[int, BeforeValidator(_duration, json_schema_input_type=str)]
"""Written ``5m``, held as nanoseconds."""

_PLAIN: Final = {
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "string_type": "must be text: quote it",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "too_short": "must name at least one",
    "string_too_short": "must say something",
}
"""What pydantic finds, by its type."""
_BOUNDS: Final = {"ge": "at least", "le": "at most", "gt": "above", "lt": "below"}

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


def validated(
    model: type[M],
    value: Any,
    document: Document,
    path: Path,
    *,
    who: str = "",
    noun: str = "rule",
    place: Callable[[Path], Path] | None = None,
) -> M | None:
    """Return ``value`` as ``model``, or None after noting every problem in ``document``.

    ``path`` is where the value stands; ``place`` says it for values put together from several
    places, given the path within the value.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            where: Path = place(found["loc"]) if place else (*path, *found["loc"])
            unknown = found["type"] == "extra_forbidden"
            message = _message(model, found, unknown=unknown)
            document.problem(where, message, who=who, noun=noun, key=unknown)
        return None


def plain_error(error: ValueError) -> str:
    """Return what was found in a line, without pydantic's words round it."""
    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False)[0]
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    return _wanted(found)


def _message(model: type[BaseModel], found: Any, *, unknown: bool) -> str:
    loc: Path = found["loc"]
    words = [str(s) for s in loc if not isinstance(s, int) and s != "[key]"]
    key = words[-1][:64] if words else ""
    if unknown:
        return f'unknown key "{key}"{near_or_known(key, known_keys(model, loc[:-1]))}'
    if found["type"] == "missing":
        return f'key "{key}" is missing'
    if found["type"] == "value_error":
        return f"{key}: {found['ctx']['error']}" if key else str(found["ctx"]["error"])
    given = repr(found["input"]) if found["input"] is not None else "nothing"
    short = given if len(given) <= 60 else f"{given[:57]}..."
    said = f"{_wanted(found)}, not {short}"
    return f"{key}: {said}" if key else said


def _wanted(found: Any) -> str:
    """Return what must stand there, in the words of who writes YAML."""
    plain = _PLAIN.get(found["type"])
    if plain is not None:
        return plain
    for name, word in _BOUNDS.items():
        bound = found.get("ctx", {}).get(name)
        if bound is not None:
            duration = isinstance(found["input"], str) and isinstance(bound, int)
            return f"must be {word} {format_duration(bound) if duration else f'{bound:g}'}"
    return str(found["msg"]).replace("Input should be", "must be")


def known_keys(model: type[BaseModel], loc: Path) -> list[str]:
    """Return the keys allowed at ``loc`` below ``model``; those of every branch of a union."""
    kinds: list[Any] = [model]
    for step in loc:
        kinds = [inner for kind in kinds for inner in _below(kind, step)] or kinds
    return [name for kind in kinds for name in _names(kind)]


def _names(kind: Any) -> list[str]:
    fields = _fields(kind)
    return [f.alias or name for name, f in fields.items()] if fields else []


def _fields(kind: Any) -> dict[str, Any]:
    plain = isinstance(kind, type) and issubclass(kind, BaseModel)
    return dict(kind.model_fields) if plain else {}


def _below(kind: Any, step: str | int) -> list[Any]:
    fields = _fields(kind)
    for name, f in fields.items():
        if step in (name, f.alias):
            return _unwrapped(f.annotation)
    if not fields and get_origin(kind) in (list, dict, tuple):
        return _unwrapped(get_args(kind)[-1])
    return []


def _unwrapped(kind: Any) -> list[Any]:
    if get_origin(kind) is Annotated:
        return _unwrapped(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [inner for arm in get_args(kind) for inner in _unwrapped(arm)]
    return [kind]
