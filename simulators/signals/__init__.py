"""Signals of a whole city: values of any channels at any instants, pure in (registry, seed, time).

A device asks for its few samples, a recording for a day of all channels: the same function, the
same numbers. Incidents lay their changes over the quiet values.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rules.quantities import QUANTITIES, SITE_LEL_BASIS, factor
from simulators.signals.channels import View
from simulators.signals.drivers import Drivers
from simulators.signals.models import (
    anywhere,
    bridge,
    drain,
    env,
    gallery,
    gas,
    heat,
    tunnel,
    water,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rules.registry import Registry
    from simulators.signals.models import Model

__all__ = ["Change", "Signals"]

# (domain, quantity) or (domain, quantity, sensor/channel start) → model; the longer key wins
MODELS: dict[tuple[str, ...], Model] = {
    ("gas", "ch4"): gas.space,
    ("gas", "ch4", "regulator"): gas.room,
    ("gas", "ch4", "user_point"): gas.kitchen,
    ("gas", "pressure", "pmp"): gas.medium,
    ("gas", "pressure", "plp"): gas.low,
    ("gas", "flow"): gas.flow,
    ("gas", "vibration"): gas.shaking,
    ("gas", "temperature"): anywhere.below_ground,
    ("bridge", "strain", "peak"): bridge.strain_peak,
    ("bridge", "strain", "mean"): bridge.strain_mean,
    ("bridge", "deflection"): bridge.deflection_peak,
    ("bridge", "accel"): bridge.accel_rms,
    ("bridge", "frequency"): bridge.first_frequency,
    ("bridge", "displacement"): bridge.opening,
    ("bridge", "tilt"): bridge.tilt,
    ("bridge", "gvw"): bridge.trucks,
    ("bridge", "wind"): bridge.wind,
    ("bridge", "cable_force"): bridge.cable,
    ("bridge", "crack"): bridge.crack,
    ("bridge", "temperature"): anywhere.air_temperature,
    ("bridge", "temperature", "struct"): bridge.deck_temperature,
    ("tunnel", "co"): tunnel.co,
    ("tunnel", "visibility"): tunnel.visibility,
    ("tunnel", "wind"): tunnel.wind,
    ("tunnel", "temperature"): tunnel.heat,
    ("tunnel", "level"): tunnel.seepage,
    ("water", "pressure"): water.pressure,
    ("water", "flow"): water.flow,
    ("water", "volume"): water.volume,
    ("water", "leak_noise"): water.noise,
    ("water", "turbidity"): water.turbidity,
    ("water", "chlorine"): water.chlorine,
    ("water", "ph"): water.acidity,
    ("water", "conductivity"): water.conductivity,
    ("drain", "level"): drain.level,
    ("drain", "flow"): drain.flow,
    ("drain", "ch4"): drain.methane,
    ("drain", "h2s"): drain.h2s,
    ("drain", "rain"): drain.gauge,
    ("drain", "ponding"): drain.puddle,
    ("drain", "tilt"): drain.cover,
    ("drain", "ph"): drain.acidity,
    ("drain", "conductivity"): drain.conductivity,
    ("heat", "temperature"): anywhere.below_ground,
    ("heat", "temperature", "supply"): heat.supplied,
    ("heat", "temperature", "return"): heat.back,
    ("heat", "pressure", "supply"): heat.pressure_supply,
    ("heat", "pressure", "return"): heat.pressure_return,
    ("heat", "flow"): heat.flow,
    ("heat", "makeup"): heat.makeup,
    ("heat", "humidity"): heat.humidity,
    ("gallery", "o2"): gallery.oxygen,
    ("gallery", "ch4"): gallery.methane,
    ("gallery", "co"): gallery.co,
    ("gallery", "h2s"): gallery.h2s,
    ("gallery", "temperature"): anywhere.below_ground,
    ("gallery", "temperature", "cable"): gallery.cable,
    ("gallery", "humidity"): gallery.humidity,
    ("gallery", "level"): gallery.floor,
    ("gallery", "state"): anywhere.still,
    ("env", "pm25"): env.pm25,
    ("env", "pm10"): env.pm10,
    ("env", "noise_laeq"): env.laeq,
}
ANYWHERE: dict[str, Model] = {
    "battery": anywhere.battery,
    "heartbeat": anywhere.heartbeat,
    "rssi": anywhere.signal_strength,
}


class Change(Protocol):
    """What an incident does to quiet values; ``rows``, ``t_s`` and ``quiet`` have one length."""

    @property
    def channels(self) -> NDArray[np.int32]:
        """The channels it touches."""
        ...

    def active(self, begin_s: float, end_s: float) -> bool:
        """Return whether anything changes between two Unix times."""
        ...

    def apply(
        self, rows: NDArray[np.int32], t_s: NDArray[np.float64], quiet: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the values under the incident."""
        ...


class Signals:
    """Values of the channels of a registry for one seed, and of the incidents laid over it."""

    def __init__(
        self,
        registry: Registry,
        *,
        seed: int,
        changes: Sequence[Change] = (),
        offset_h: float = 8.0,
    ) -> None:
        self.registry = registry
        self.changes: tuple[Change, ...] = ()
        self._view = View(registry, seed, Drivers(seed, offset_h))
        self._models: list[Model] = []
        self._model = self._resolve()
        self._touched: list[NDArray[np.bool_]] = []
        self._lay(changes)
        c = registry.channels
        factors = [
            _factor(q, u, b) for q, u, b in zip(c.quantity, c.unit, c.lel_basis, strict=True)
        ]
        self._scale = np.array([f[0] for f in factors], np.float64)
        self._offset = np.array([f[1] for f in factors], np.float64)

    def under(self, changes: Sequence[Change]) -> Signals:
        """Return the same signals with other incidents laid over them."""
        other = copy(self)
        other._lay(changes)  # noqa: SLF001 - its own class
        return other

    def _lay(self, changes: Sequence[Change]) -> None:
        self.changes = tuple(changes)
        n = len(self.registry.channels.id)
        self._touched = [np.isin(np.arange(n), change.channels) for change in self.changes]

    @property
    def drivers(self) -> Drivers:
        """The city's weather and habits."""
        return self._view.drivers

    def _resolve(self) -> NDArray[np.int32]:
        """Return the number of each channel's model, filling the list of models."""
        numbers: dict[Model, int] = {}
        r = self.registry
        held = np.zeros(len(r.channels.id), np.int32)
        for row, (identifier, quantity) in enumerate(
            zip(r.channels.id, r.channels.quantity, strict=True)
        ):
            asset = int(r.channels.asset[row])
            model = _model_of(
                r.assets.domain[asset], r.assets.asset_type[asset], quantity, identifier
            )
            if model not in numbers:
                numbers[model] = len(self._models)
                self._models.append(model)
            held[row] = numbers[model]
        return held

    def quiet(self, rows: NDArray[np.int32], t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return values without incidents, canonical, not quantised; ``rows``, ``t_ns`` [n]."""
        t_s = t_ns / 1e9
        values = np.empty(len(rows), np.float64)
        of = self._model[rows]
        for number in np.unique(of):
            at = np.flatnonzero(of == number)
            values[at] = self._models[number](self._view, rows[at], t_s[at])
        return values

    def sample(self, rows: NDArray[np.int32], t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what sensors show, canonical units: incidents, resolution and range applied."""
        values = self.quiet(rows, t_ns)
        if len(rows) and self.changes:
            t_s = t_ns / 1e9
            begin_s, end_s = float(t_s.min()), float(t_s.max())
            for change, touched in zip(self.changes, self._touched, strict=True):
                if not change.active(begin_s, end_s):
                    continue
                at = np.flatnonzero(touched[rows])
                if len(at):
                    values[at] = change.apply(rows[at], t_s[at], values[at])
        c = self.registry.channels
        step = np.where(c.resolution[rows] > 0, c.resolution[rows], 1e-6)
        shown = np.rint(values / step) * step
        lo, hi = c.range_lo[rows], c.range_hi[rows]
        shown = np.where(np.isfinite(lo), np.maximum(shown, lo), shown)
        return np.where(np.isfinite(hi), np.minimum(shown, hi), shown)

    def raw(self, rows: NDArray[np.int32], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return canonical values in the units the devices send."""
        return (values - self._offset[rows]) / self._scale[rows]

    def raw_step(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return each channel's resolution in its device's unit; 1e-6 where none is known."""
        step = self.registry.channels.resolution[rows]
        return np.where(step > 0, step, 1e-6) / np.abs(self._scale[rows])


def _model_of(domain: str, asset_type: str, quantity: str, identifier: str) -> Model:
    if quantity in ANYWHERE:
        return ANYWHERE[quantity]
    parts = identifier.split("/")
    sensor = parts[1].split("-")[0] if len(parts) > 1 else ""
    for word in (parts[-1], sensor, asset_type):
        if (domain, quantity, word) in MODELS:
            return MODELS[domain, quantity, word]
    return MODELS.get((domain, quantity), anywhere.steady)


def _factor(quantity: str, unit: str, basis: float) -> tuple[float, float]:
    if quantity not in QUANTITIES:
        return 1.0, 0.0
    return factor(quantity, unit, lel_basis=SITE_LEL_BASIS if np.isnan(basis) else float(basis))
