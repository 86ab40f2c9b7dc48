"""``resample: 6h``: rows become points on a grid, for kinds that look at long windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import PlainValidator

from rules.durations import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.language.kinds.kind import Found, Warn
    from rules.plan import ChannelRule
    from rules.registry import Registry

POINTS: Final = 128  # what the engine keeps of a window


def read_resample(value: object) -> int:
    """Return ``6h`` or ``6h median`` as nanoseconds."""
    text, _, statistic = str(value).strip().partition(" ")
    if statistic.strip() not in ("", "median"):
        raise ValueError(f"resample takes the median of each bucket: write {text}")
    every = parse_duration(text)
    if every <= 0:
        raise ValueError("resample must be longer than 0s")
    return every


Resample = Annotated[int, PlainValidator(read_resample, json_schema_input_type=str)]


def grid_problems(
    window_ns: int, resample_ns: int, least: int, *, halves: int = 1, key: str = "window"
) -> Iterable[Found]:
    """Check that so many windows hold few enough whole buckets, and each at least ``least``."""
    every = format_duration(resample_ns)
    if window_ns % resample_ns:
        said = f"{key} {format_duration(window_ns)} is no whole number of resample {every}"
        yield ("resample",), said
        return
    points = window_ns // resample_ns
    most = POINTS // halves
    if points > most:
        fits = -(-window_ns // most)
        longer = format_duration(fits)
        yield ("resample",), f"{key} of {points} buckets: {most} are kept; resample: {longer}"
    if points < least:
        yield (key,), f"{key} of {points} buckets never holds min_points {least}"


def gap_ns(body: Any) -> int:
    """Return the least gap that may end a run, where ``max_gap`` is not written: three buckets."""
    resample_ns: int | None = getattr(body, "resample", None)
    return 0 if resample_ns is None or body.max_gap is not None else 3 * resample_ns


def warn_of_grid(warn: Warn, built: ChannelRule, registry: Registry) -> None:
    """Warn of buckets that are often empty, and of gaps that no two points come within."""
    every = built.own["resample_ns"]
    sparse = every < registry.channels.interval_ns[built.channel]
    warn.some(sparse, ("resample",), "resample is shorter than the sampling interval")
    held = (built.hold_ns > 0).any(axis=1) & (built.hold_samples == 0).any(axis=1)
    said = "max_gap is not longer than resample: the hold can never run"
    warn.some(held & (built.max_gap_ns <= every), ("max_gap",), said)
