"""Pydantic models for files people write: strict, no unknown keys, problems with their place."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from rules.durations import parse_duration
from rules.problems import nearest

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


def _message(model: type[BaseModel], found: Any, *, unknown: bool) -> str:
    loc: Path = found["loc"]
    words = [str(s) for s in loc if not isinstance(s, int)]
    key = words[-1] if words else ""
    if unknown:
        return f'unknown key "{key}"{nearest(key, known_keys(model, loc[:-1]))}'
    if found["type"] == "missing":
        return f'key "{key}" is missing'
    if found["type"] == "value_error":
        return f"{key}: {found['ctx']['error']}" if key else str(found["ctx"]["error"])
    said = found["msg"].replace("Input should be", "must be")
    given = repr(found["input"])
    short = given if len(given) <= 60 else f"{given[:57]}..."
    return f"{key}: {said}, not {short}" if key else f"{said}, not {short}"


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
