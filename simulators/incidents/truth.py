"""What an incident is: its ground truth, and the change it makes to quiet signals.

The truth an incident carries is the test bench's: ``deadline_s`` counts from the onset and is the
sum of four parts: the time the physics takes to cross the limit of the level named (solved from
the model without noise), one report interval of the slowest device concerned, the hold (``for``)
of the limit, and how soon after that an alarm is due.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simulators.city.layout import metres
from simulators.wakes import WAKE_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int32]
    Places = NDArray[np.int64]
    Shape = Callable[[Rows, Floats, Floats], Floats]
    Effect = Callable[[Places, Floats, Floats], Floats]

SEVERITY = {"blue": 1, "yellow": 2, "orange": 3, "red": 4}
SECOND_NS = 1_000_000_000
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Onset:
    """When and where an incident begins, with the options its kind takes (SI units, seconds)."""

    id: str
    place: str  # asset id, or device id for a silence
    begin_ns: int
    lasts_s: float
    options: dict[str, float] = field(default_factory=dict)

    def option(self, name: str, default: float) -> float:
        """Return an option or its default."""
        return float(self.options.get(name, default))


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """The ground truth of one incident, and how it changes the signals (signals.Change)."""

    id: str
    kind: str
    place: str
    name: str
    name_zh: str
    at: tuple[float, float]  # lon, lat
    begin_ns: int
    end_ns: int  # the cause is gone; values may take longer to recover
    fades_s: float  # after which nothing of it is left
    deadline_s: float  # city seconds from begin_ns to the alarm
    why: str  # the parts of the deadline in words
    severity: int  # of the alarm at least, 1 blue … 4 red
    channels: NDArray[np.int32]  # whose alarms belong to it
    silenced: NDArray[np.int32]  # devices that stop speaking
    shape: Shape = field(repr=False)  # (rows, seconds since begin, quiet) → values
    told_by: tuple[str, ...] = ()  # quantities whose alarm is expected; () any of its channels

    @property
    def begin_s(self) -> float:
        """Return the onset in Unix seconds."""
        return self.begin_ns / 1e9

    def active(self, begin_s: float, end_s: float) -> bool:
        """Return whether anything changes between two Unix times."""
        return end_s >= self.begin_s and begin_s <= self.end_ns / 1e9 + self.fades_s

    def apply(self, rows: Rows, t_s: Floats, quiet: Floats) -> Floats:
        """Return the values under the incident; before its onset they are the quiet ones."""
        since = t_s - self.begin_s
        return np.where(since >= 0, self.shape(rows, np.maximum(since, 0.0), quiet), quiet)

    def subjects(self, registry: Registry) -> list[str]:
        """Return the ids (channels, devices) whose alarms are expected from it."""
        held = [registry.channels.id[int(row)] for row in self.channels]
        return held + [registry.devices.id[int(row)] for row in self.silenced]


class Misplaced(ValueError):  # noqa: N818 - reads as what it says
    """An incident cannot happen where it was put; the text says why and where it can."""


@dataclass(frozen=True, slots=True)
class Part:
    """Channels that change in one way: ``effect(i, since, quiet)``, ``i`` places in ``rows``."""

    rows: Rows  # rising
    effect: Effect


def laid(parts: Sequence[Part]) -> Shape:
    """Return the change of several parts; a channel in two of them feels both, in order."""

    def shape(at: Rows, since: Floats, quiet: Floats) -> Floats:
        held = quiet.copy()
        for part in parts:
            if not len(part.rows):
                continue
            place = np.minimum(np.searchsorted(part.rows, at), len(part.rows) - 1)
            mine = part.rows[place] == at
            if mine.any():
                held[mine] = part.effect(place[mine], since[mine], held[mine])
        return held

    return shape


def eased(since: Floats, lasts_s: float, up_s: float, down_s: float) -> Floats:
    """Return 0…1: it comes with time constant ``up_s``, goes with ``down_s`` once it is mended."""
    reached = 1 - np.exp(-np.minimum(since, lasts_s) / up_s)
    held: Floats = reached * np.exp(-np.maximum(since - lasts_s, 0) / down_s)
    return held


def grown(since: Floats, growth_s: float, lasts_s: float, down_s: float = 600.0) -> Floats:
    """Return 0…1: it grows evenly over ``growth_s`` and is mended after ``lasts_s``."""
    reached = np.minimum(np.minimum(since, lasts_s) / growth_s, 1.0)
    held: Floats = reached * np.exp(-np.maximum(since - lasts_s, 0) / down_s)
    return held


def during(since: Floats, lasts_s: float) -> NDArray[np.bool_]:
    """Return whether it still lasts."""
    on: NDArray[np.bool_] = since <= lasts_s
    return on


def asset_of(registry: Registry, onset: Onset, domain: str, *kinds: str) -> int:
    """Return the row of the place; Misplaced where it is not of the kinds that can have it."""
    row = registry.asset_row.get(onset.place, -1)
    a = registry.assets
    if row < 0 or a.domain[row] != domain or a.asset_type[row] not in kinds:
        fit = [
            a.id[i] for i in range(len(a.id)) if a.domain[i] == domain and a.asset_type[i] in kinds
        ]
        what = "no such asset" if row < 0 else f"a {a.domain[row]} {a.asset_type[row]}"
        raise Misplaced(f"{what}; it can happen at a {domain} {' or '.join(kinds)}: "
                        f"{', '.join(fit[:8])}")  # fmt: skip
    return row


def attribute(registry: Registry, asset: int, name: str, default: float) -> float:
    """Return a design value of an asset."""
    held = registry.assets.attributes[asset].get(name, default)
    return float(held) if isinstance(held, int | float) else default


def design(registry: Registry, rows: Rows, name: str, default: float) -> Floats:
    """Return a design value of each channel's asset."""
    return np.array(
        [attribute(registry, int(registry.channels.asset[r]), name, default) for r in rows],
        np.float64,
    )


def rows_of(registry: Registry, assets: Sequence[int], *quantities: str, word: str = "") -> Rows:
    """Return channels of assets by quantity, rising; ``word`` stands in their ids."""
    c = registry.channels
    wanted = np.isin(c.asset, np.asarray(assets, np.int32)) & c.alive
    return np.array(
        [
            r
            for r in np.flatnonzero(wanted)
            if c.quantity[r] in quantities and word in c.id[r].partition("/")[2]
        ],
        np.int32,
    )


def assets_near(
    registry: Registry, asset: int, *, within_m: float, domain: str = "", zone: bool = False
) -> tuple[list[int], Floats]:
    """Return assets near one and their distances, m; of a domain, or its own; of its zone."""
    a = registry.assets
    x, y = metres(a.lon[asset], a.lat[asset])
    east, north = metres(a.lon, a.lat)
    distance = np.hypot(east - x, north - y)
    wanted = domain or a.domain[asset]
    near = [
        int(i)
        for i in np.flatnonzero(distance <= within_m)
        if a.domain[i] == wanted and (not zone or a.zone[i] == a.zone[asset])
    ]
    return near, distance[near]


def reported_s(registry: Registry, rows: Rows) -> float:
    """Return the longest time from an instant to a report that holds a later sample, s.

    A module that wakes by itself reports each sample that matters at once.
    """
    c, d = registry.channels, registry.devices
    waits = [
        float(c.interval_ns[r])
        + (
            0.0
            if c.quantity[r] in WAKE_AT and d.transport[int(c.device[r])] == "coap"
            else float(d.interval_ns[int(c.device[r])])
        )
        for r in rows
    ]
    return max(waits, default=0.0) / SECOND_NS + 10.0


def made(
    registry: Registry,
    onset: Onset,
    asset: int,
    *,
    parts: tuple[float, float, float, float],
    **truth: Any,
) -> Incident:
    """Return the incident at an asset; ``parts`` of its deadline as the module says, s."""
    a = registry.assets
    crossing, report, hold, within = parts
    why = (
        f"{crossing:.0f} s to the limit + {report:.0f} s to the next report"
        f" + {hold:.0f} s hold + {within:.0f} s to the alarm"
    )
    truth.setdefault("silenced", np.zeros(0, np.int32))
    return Incident(
        id=onset.id,
        place=onset.place,
        name=a.name[asset],
        name_zh=a.name_zh[asset],
        at=(float(a.lon[asset]), float(a.lat[asset])),
        begin_ns=onset.begin_ns,
        end_ns=onset.begin_ns + int(onset.lasts_s * SECOND_NS),
        deadline_s=sum(parts),
        why=why,
        **truth,
    )


def crosses(onset: Onset, after_s: float, what: str) -> float:
    """Return when a limit is crossed; Misplaced where that is never, or after the end."""
    if not np.isfinite(after_s):
        raise Misplaced(f"never reaches {what}")
    if after_s > onset.lasts_s:
        raise Misplaced(f"crosses {what} after {after_s:.0f} s, but lasts {onset.lasts_s:g}")
    return float(after_s)
