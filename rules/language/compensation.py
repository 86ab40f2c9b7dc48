"""``compensate: {by: temperature}``: whose course is taken off, and how late it acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from pydantic import PlainValidator, model_validator

from rules.durations import format_duration, parse_duration
from rules.language.amounts import SpanValue
from rules.language.kinds.kind import spans_of
from rules.language.nearby import Nearby, Where
from rules.registry_models import KnownQuantity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from rules.language.kinds.kind import Columns, Found, Matched

MOST_LAGS: Final = 48
NOTHING: Final = -1  # of channels without a companion: they are judged as they are


def _lag(value: object) -> tuple[int, int]:
    """Read ``[0h, 6h]`` or ``2h`` as nanoseconds."""
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2:
        raise ValueError("a lag is a duration, or the least and the greatest: [0h, 6h]")
    first, last = (parse_duration(str(end)) for end in ends)
    if not 0 <= first <= last:
        raise ValueError("a lag goes from 0s upwards: [0h, 6h]")
    return first, last


class Beside(Where):
    """Where to look for a channel that goes along, such as the temperature of the same asset."""

    by: KnownQuantity

    @model_validator(mode="before")
    @classmethod
    def _of_the_asset(cls, raw: object) -> object:
        """Look within the asset where nothing is said."""
        if isinstance(raw, dict) and not raw.keys() & {"near", "network", "hops", "scope"}:
            return {**raw, "scope": "asset"}
        return raw


class Compensate(Beside):
    """What a channel's values go with, and how much later."""

    lag: Annotated[
        tuple[int, int], PlainValidator(_lag, json_schema_input_type=str | list[str])
    ] = (0, 0)
    max_age: SpanValue | None = None


def lag_problems(compensate: Compensate, resample_ns: int) -> Iterable[Found]:
    """Check that lags are whole buckets, and not too many."""
    first, last = compensate.lag
    every = format_duration(resample_ns)
    if first % resample_ns or last % resample_ns:
        yield ("compensate", "lag"), f"lag: must be whole numbers of resample {every}"
    elif (last - first) // resample_ns >= MOST_LAGS:
        said = f"lag: more than {MOST_LAGS} steps of resample {every}: narrow it"
        yield ("compensate", "lag"), said


def nearest_of(beside: Beside, matched: Matched) -> NDArray[np.int64]:
    """Return the nearest channel that goes along with each, of the same sensor if there is one."""
    channels = matched.registry.channels
    quantity = np.array(channels.quantity, object)
    candidates = np.flatnonzero((quantity == beside.by) & channels.alive)
    near = Nearby(matched.registry, candidates).of(matched.rows, beside)
    found = np.full(len(near), NOTHING, np.int64)
    for i, (row, others) in enumerate(zip(matched.rows.tolist(), near, strict=True)):
        sensor = channels.id[row].rpartition("/")[0] + "/"
        same = [other for other in others if channels.id[other].startswith(sensor)]
        found[i] = next(iter([*same, *others]), NOTHING)
    return found


def companions_of(compensate: Compensate, resample_ns: int, matched: Matched) -> Columns:
    """Return the companion of each channel or -1, how old it may be, and its lags in buckets."""
    companion = nearest_of(compensate, matched)
    interval_ns = matched.registry.channels.interval_ns[companion]
    return {
        "companion": companion,
        "max_age_ns": spans_of(compensate.max_age, interval_ns, 3.0),
        "lag_first": matched.whole(compensate.lag[0] // resample_ns),
        "lag_last": matched.whole(compensate.lag[1] // resample_ns),
    }
