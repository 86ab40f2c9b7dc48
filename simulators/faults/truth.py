"""What a fault is: its ground truth, and the changes it lays over samples and messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.stream.laid import LinkFault, SensorFault

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]
    Times = NDArray[np.int64]
    # (rows' places among the fault's own, seconds since its begin, value, usable) → in place
    Hit = Callable[[NDArray[np.int64], Floats, Floats, NDArray[np.bool_]], None]

SECOND_NS = 1_000_000_000
FOREVER_NS = 1 << 62


class Unfit(ValueError):  # noqa: N818 - reads as what it says
    """A fault cannot happen where it was put; the text says why and where it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """When and where a fault begins: ``place`` is a channel, sensor (asset/sensor) or device id."""

    id: str
    kind: str
    place: str
    begin_ns: int
    lasts_s: float
    options: dict[str, float] = field(default_factory=dict)

    @property
    def end_ns(self) -> int:
        """Return when it is mended."""
        return self.begin_ns + int(self.lasts_s * SECOND_NS)

    def option(self, name: str, default: float) -> float:
        """Return an option or its default."""
        return float(self.options.get(name, default))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The ground truth of one fault, and its parts (stream.laid)."""

    id: str
    kind: str
    place: str
    begin_ns: int
    end_ns: int
    channels: Rows
    devices: Rows
    parts: tuple[SensorFault | LinkFault, ...]
    fails_loud: bool = False
    """Whether an alarm of safety is right although nothing happened: beyond the range, or a first
    dangerous sample of a detector, cannot be told from the real thing."""


def places_of(
    held: NDArray[np.int32], wanted: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the wanted numbers stand in a rising column, and which one stands there.

    Costs as much as is found: a city has thousands of faults and millions of samples.
    """
    first = np.searchsorted(held, wanted, side="left")
    counts = np.searchsorted(held, wanted, side="right") - first
    which = np.repeat(np.arange(len(wanted)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(first, counts) + within, which


def truth_of_faults(faults: list[Fault], registry: Registry) -> list[dict[str, Any]]:
    """Return the ground truth as plain data, for whoever judges a run."""
    return [
        {
            "id": f.id,
            "kind": f.kind,
            "place": f.place,
            "begin_ns": f.begin_ns,
            "end_ns": f.end_ns,
            "fails_loud": f.fails_loud,
            "subjects": [registry.channels.id[int(r)] for r in f.channels]
            + [registry.devices.id[int(r)] for r in f.devices],
        }
        for f in faults
    ]


def channels_at(registry: Registry, place: str) -> Rows:
    """Return the channels of a channel, sensor, asset or device id, rising.

    Raises
    ------
    Unfit
        There is none of that name.
    """
    c = registry.channels
    if place in registry.channel_row:
        return np.array([registry.channel_row[place]], np.int32)
    if place in registry.device_row:
        found = np.flatnonzero((c.device == registry.device_row[place]) & c.alive)
    else:
        head = f"{place}/"
        asset = registry.asset_row.get(place.partition("/")[0], -1)
        its = np.flatnonzero((c.asset == asset) & c.alive)
        found = np.array([r for r in its if c.id[r].startswith(head)], np.int64)
    if not len(found):
        raise Unfit(f"{place!r} is no channel, sensor, asset or device of this city")
    return found.astype(np.int32)


def device_at(registry: Registry, place: str) -> int:
    """Return the device of a device or channel id.

    Raises
    ------
    Unfit
        There is none of that name.
    """
    if place in registry.device_row:
        return registry.device_row[place]
    return int(registry.channels.device[channels_at(registry, place)[0]])
