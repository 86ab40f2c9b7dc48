"""The registry as the models see it: per channel its keys, its asset's design values, its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from simulators.noise import key_of, normal, wander

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.signals.drivers import Drivers


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
    number: NDArray[np.int64] = field(init=False)  # 2 of ``st-02``
    _columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        r = self.registry
        assets = [int(a) for a in r.channels.asset]
        for name, value in (
            ("own", _keys(self.seed, "channel", r.channels.id)),
            ("asset", _keys(self.seed, "asset", [r.assets.id[a] for a in assets])),
            ("zone", _keys(self.seed, "zone", [r.assets.zone[a] for a in assets])),
            ("number", np.array([_number(i) for i in r.channels.id], np.int64)),
        ):
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
