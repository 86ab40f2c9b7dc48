"""The registry as admission needs it: arrays by channel row, and lookups by what a device says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ingest.conversion import IDENTITY, Factors, factors
from ingest.key_index import KeyIndex
from ingest.overload import shed_from
from rules.quantities import SITE_LEL_BASIS, UnknownUnit
from rules.readings import HEARD_ONLY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rules.registry import Registry

PORT_BITS = 17  # ports are u16; −1 (rows named by key) must stay apart from all of them

_SENML_UNITS = {"%RH": "%{RH}", "%EL": "%", "/": "1", "count": "1", "": ""}
"""Units of the SenML registry that UCUM writes differently."""


class ChannelTable:
    """Lookups and per-channel columns of one registry. Tombstones are not found."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        channels = registry.channels
        n = len(channels.id)
        alive = np.asarray(channels.alive, np.bool_)
        speaking = alive & np.asarray(registry.devices.alive, np.bool_)[channels.device]
        speaking[[bool(derived) for derived in channels.derived]] = False  # the engine's own
        rows = np.flatnonzero(speaking & (np.asarray(channels.port) >= 0)).astype(np.int32)
        codes = _codes(channels.device[rows], channels.port[rows])
        order = np.argsort(codes, kind="stable")
        self._codes, self._rows = codes[order], rows[order]
        self._by_key = {
            (int(channels.device[row]), channels.key[row]): int(row)
            for row in np.flatnonzero(speaking)
            if channels.key[row]
        }
        self.factors = np.array(
            [self._factors(row, channels.unit[row]) for row in range(n)], np.float64
        ).reshape(n, 4)
        self.shed_from = np.array([shed_from(klass) for klass in channels.klass], np.int8)
        self.device_shed_from = np.zeros(len(registry.devices.id), np.int8)
        """The step from which nothing of a device is kept; NEVER where something always is."""
        np.maximum.at(self.device_shed_from, channels.device[speaking], self.shed_from[speaking])
        self.canonical = (self.factors == IDENTITY).all(axis=1)
        self._key_index = KeyIndex(self._by_key)
        self.named_before: dict[int, tuple[bytes, NDArray[np.int32]]] = {}
        """Keys of a device's last long message as bytes of their words, and their channels."""
        self.range_lo = np.asarray(channels.range_lo, np.float64)
        self.range_hi = np.asarray(channels.range_hi, np.float64)
        widest = max((len(codes) for codes in channels.fault_codes), default=0)
        self.fault_codes = np.full((n, widest), np.nan)
        for row, faults in enumerate(channels.fault_codes):
            self.fault_codes[row, : len(faults)] = faults
        self._units: dict[tuple[int, str], Factors | None] = {}

    def device(self, identity: str) -> int | None:
        """Return the row of a living device, or None."""
        row = self.registry.device_row.get(identity)
        return row if row is not None and self.registry.devices.alive[row] else None

    def of_ports(self, device: NDArray[np.int32], port: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return channel rows of (device row, port) pairs, HEARD_ONLY where there is none."""
        if not len(self._codes):
            return np.full(len(port), HEARD_ONLY, np.int32)
        codes = _codes(device, port)
        at = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        return np.where(self._codes[at] == codes, self._rows[at], HEARD_ONLY).astype(np.int32)

    def of_keys(self, device: int, keys: list[str]) -> NDArray[np.int32]:
        """Return channel rows of a device's keys, HEARD_ONLY where there is none."""
        find = self._by_key.get
        return np.array([find((device, key), HEARD_ONLY) for key in keys], np.int32)

    def of_key_words(
        self, device: NDArray[np.int32], words: NDArray[np.uint64]
    ) -> NDArray[np.int32]:
        """Return channel rows of (device row, key as two words) pairs; see json_bulk.key_words."""
        return self._key_index.find(device, words)

    def stated_unit(self, channel: int, unit: str) -> Factors | None:
        """Return the factors of a unit the payload states, or None if it cannot be."""
        asked = channel, unit
        if asked not in self._units:
            if len(self._units) > 100_000:  # an attacker's inventions must not fill the memory
                self._units.clear()
            try:
                self._units[asked] = self._factors(channel, _SENML_UNITS.get(unit, unit))
            except UnknownUnit:
                self._units[asked] = None
        return self._units[asked]

    def _factors(self, channel: int, unit: str) -> Factors:
        channels = self.registry.channels
        own = float(channels.lel_basis[channel])
        basis = SITE_LEL_BASIS if math.isnan(own) else own
        return factors(channels.quantity[channel], unit, lel_basis=basis)


def _codes(device: NDArray[np.int32], port: NDArray[np.int32]) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = (device.astype(np.int64) << PORT_BITS) + (port.astype(np.int64) + 1)
    return codes
