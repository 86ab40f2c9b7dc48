"""Collect devices and assets into registry documents, numbering ids, ports and keys."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulators.city.layout import lonlat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulators.city.layout import Point

AREA = "410100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sense:
    """One channel to be: ``sensor`` and ``channel`` as in its id, the unit as its device sends."""

    sensor: str
    channel: str
    quantity: str
    unit: str
    range: tuple[float, float]  # in ``unit``
    resolution: float  # in ``unit``
    every: str = "1m"
    klass: str = "safety"
    lel_basis: float | None = None

    def numbered(self, number: int) -> Sense:
        """Return the same for the sensor of another number (``st-01`` → ``st-02``)."""
        return Sense(
            sensor=f"{self.sensor.rsplit('-', 1)[0]}-{number:02d}",
            channel=self.channel,
            quantity=self.quantity,
            unit=self.unit,
            range=self.range,
            resolution=self.resolution,
            every=self.every,
            klass=self.klass,
            lel_basis=self.lel_basis,
        )


@dataclass(slots=True)
class Builder:
    """A registry under construction; ``documents`` gives it as plain data, a file a domain.

    ``area`` is the GB/T 2260 code all ids begin with.
    """

    area: str = AREA
    devices: list[dict[str, Any]] = field(default_factory=list)
    assets: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    _serials: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _ports: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def new_id(self, domain: str, code: str) -> str:
        """Return the next id ``area-domain-code-serial``."""
        self._serials[f"{domain}-{code}"] += 1
        return f"{self.area}-{domain}-{code}-{self._serials[f'{domain}-{code}']:06d}"

    def gateway(
        self, domain: str, at: Point, name: tuple[str, str], *, codec: str, every: str = "60s"
    ) -> str:
        """Add an MQTT gateway and its cabinet; return its id."""
        identifier = self.new_id(domain, "gw")
        self.devices.append(
            {
                "id": identifier,
                "kind": "gateway",
                "transport": "mqtt",
                "codec": codec,
                "asset": identifier,
                "every": every,
            }
        )
        self.place(domain, "gateway", identifier, at, name, zone=f"z-{domain}-01", sensors=())
        return identifier

    def module(self, asset: str, *, every: str) -> str:
        """Add the NB-IoT module of an asset, compact frames over CoAP; return its id."""
        domain = asset.split("-")[1]
        identifier = self.new_id(domain, "nb")
        self.devices.append(
            {
                "id": identifier,
                "kind": "module",
                "transport": "coap",
                "codec": "compact",
                "asset": asset,
                "every": every,
            }
        )
        return identifier

    def place(
        self,
        domain: str,
        kind: str,
        identifier: str,
        at: Point,
        name: tuple[str, str],
        *,
        zone: str,
        sensors: Sequence[tuple[str, Sense]],
        attributes: dict[str, Any] | None = None,
        tags: dict[str, Any] | None = None,
        exposed_people: int = 0,
    ) -> None:
        """Add an asset with its channels; each goes with the device that speaks for it."""
        district = 1 + (at[0] > 0) + 2 * (at[1] > 0)
        self.assets[domain].append(
            {
                "id": identifier,
                "type": kind,
                "site": f"{self.area}-st-{district:06d}",
                "name": name[0],
                "name_zh": name[1],
                "district": DISTRICTS[district - 1][0],
                "zone": zone,
                "at": lonlat(at),
                "exposed_people": exposed_people,
                "attributes": attributes or {},
                "tags": tags or {},
                "sensors": self._sensors(identifier, sensors),
            }
        )

    def _sensors(self, asset: str, sensors: Sequence[tuple[str, Sense]]) -> list[dict[str, Any]]:
        held: dict[tuple[str, str], dict[str, Any]] = {}
        for device, sense in sensors:
            self._ports[device] += 1
            short = asset.split("-")[2] + str(int(asset.rsplit("-", 1)[1]))
            channel: dict[str, Any] = {
                "id": sense.channel,
                "quantity": sense.quantity,
                "unit": sense.unit,
                "port": self._ports[device],
                "key": f"{short}_{sense.sensor.replace('-', '')}_{sense.channel}",
                "range": list(sense.range),
                "resolution": sense.resolution,
                "every": sense.every,
                "class": sense.klass,
                "fault_codes": [-9999],
            }
            if sense.lel_basis is not None:
                channel["lel_basis"] = sense.lel_basis
            sensor = held.setdefault(
                (sense.sensor, device), {"id": sense.sensor, "device": device, "channels": []}
            )
            sensor["channels"].append(channel)
        return list(held.values())

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return file stem → registry document; merged by the loader."""
        sites = [
            {"id": f"{self.area}-st-{i + 1:06d}", "name": name, "name_zh": zh}
            for i, (name, zh) in enumerate(DISTRICTS)
        ]
        held: dict[str, dict[str, Any]] = {
            "city": {"version": 1, "simulation": True, "sites": sites, "devices": self.devices}
        }
        for domain, assets in self.assets.items():
            held[domain] = {"version": 1, "assets": assets}
        return held


DISTRICTS = (
    ("Southwest", "西南区"),
    ("Southeast", "东南区"),
    ("Northwest", "西北区"),
    ("Northeast", "东北区"),
)
