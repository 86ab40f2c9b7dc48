"""The registry as the models see it: per channel its keys, its asset's design values, its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from simulators.city.layout import CENTRE, metres
from simulators.noise import key_of, normal, uniform, wander

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.signals.drivers import Drivers


CELL_M: Final = 2500.0
RAIN_M_S: Final = 8.0  # how fast rain crosses the city


def _metres(registry: Registry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each asset's place, metres from the centre; the centre where none is known."""
    lon = np.where(np.isfinite(registry.assets.lon), registry.assets.lon, CENTRE[0])
    lat = np.where(np.isfinite(registry.assets.lat), registry.assets.lat, CENTRE[1])
    east, north = metres(lon, lat)
    return east, north


def _keys(seed: int, kind: str, names: Sequence[str]) -> NDArray[np.int64]:
    known = {name: key_of(seed, kind, name) for name in set(names)}
    return np.array([known[name] for name in names], np.int64)


@dataclass(frozen=True)
class View:
    """Columns over all channels of a registry, and the noise that belongs to each."""

    registry: Registry
    seed: int
    drivers: Drivers
    own: NDArray[np.int64] = field(init=False)  # noise key of the channel
    asset: NDArray[np.int64] = field(init=False)  # noise key of its asset
    zone: NDArray[np.int64] = field(init=False)  # noise key of its zone
    site: NDArray[np.int64] = field(init=False)  # noise key of its site, a quarter of the city
    cell: NDArray[np.int64] = field(init=False)  # noise key of its square of 2.5 km
    rain_lag: NDArray[np.float64] = field(init=False)  # s that rain comes later than to the centre
    number: NDArray[np.int64] = field(init=False)  # 2 of ``st-02``
    _columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _flags: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        r = self.registry
        assets = [int(a) for a in r.channels.asset]
        east, north = _metres(r)
        cells = [f"{x // CELL_M:.0f} {y // CELL_M:.0f}" for x, y in zip(east, north, strict=True)]
        towards = 2 * np.pi * float(uniform(key_of(self.seed, "rain from"), 0))
        lag = (east * np.cos(towards) + north * np.sin(towards)) / RAIN_M_S
        held: tuple[tuple[str, NDArray[Any]], ...] = (
            ("own", _keys(self.seed, "channel", r.channels.id)),
            ("asset", _keys(self.seed, "asset", [r.assets.id[a] for a in assets])),
            ("zone", _keys(self.seed, "zone", [r.assets.zone[a] for a in assets])),
            ("site", _keys(self.seed, "site", [r.assets.site[a] for a in assets])),
            ("cell", _keys(self.seed, "cell", [cells[a] for a in assets])),
            ("rain_lag", lag[r.channels.asset]),
            ("number", np.array([_number(i) for i in r.channels.id], np.int64)),
        )
        for name, value in held:
            object.__setattr__(self, name, value)

    def design(self, name: str, default: float) -> NDArray[np.float64]:
        """Return an attribute of each channel's asset, ``default`` where it has none."""
        if name not in self._columns:
            held = [attributes.get(name) for attributes in self.registry.assets.attributes]
            per_asset = np.array(
                [float(v) if isinstance(v, int | float) else default for v in held], np.float64
            )
            self._columns[name] = per_asset[self.registry.channels.asset]
        return self._columns[name]

    def flag(self, tag: str) -> NDArray[np.bool_]:
        """Return whether each channel carries a tag that is true."""
        if tag not in self._flags:
            self._flags[tag] = np.array(
                [bool(tags.get(tag)) for tags in self.registry.channels.tags], np.bool_
            )
        return self._flags[tag]

    def slow(
        self, rows: NDArray[np.int32], t_s: NDArray[np.float64], tau_s: float, *, of: str = "own"
    ) -> NDArray[np.float64]:
        """Return unit wander of time constant ``tau_s``, shared by channels of one ``of``."""
        return wander(getattr(self, of)[rows], t_s, tau_s)

    def white(self, rows: NDArray[np.int32], t_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return unit noise, new at every millisecond and channel."""
        return normal(self.own[rows] ^ 0x5A5A5A5A, np.rint(t_s * 1000).astype(np.int64))


def _number(channel_id: str) -> int:
    parts = channel_id.split("/")
    tail = parts[1].rsplit("-", 1)[-1] if len(parts) > 1 else ""
    return int(tail) if tail.isdigit() else 1
