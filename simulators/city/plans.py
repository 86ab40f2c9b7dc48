"""How many of what a profile's city has, and how often they report.

The totals follow published figures: Hefei about 85 000 devices on eight lifelines and 137 bridges
(Economic Daily, 30 August 2025), Bozhou 1 840 methane monitors in manholes, 333 drainage devices,
304 leak loggers and 17 bridges with 784 sensors. How they divide over kinds is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Counts of assets; ``area`` is the GB/T 2260 code, ``streets`` the blocks' edge each way."""

    area: str
    streets: int
    ducts: int  # of gas manholes in a row, 80 m apart
    manholes: int  # in each
    valve_wells: int
    regulators: int
    users: int  # rooms with a methane detector
    geophones: int  # along gas mains
    bridges: int
    spans: int  # of each
    cables: int  # on each tenth bridge
    tunnels: int
    sections: int  # of each tunnel
    areas: int  # district metered areas
    points: int  # pressure loggers in each
    noise: int  # leak loggers in each
    sewers: int
    sewer_gas: int  # of them with CH4 and H2S
    sewer_flow: int  # of them with a flow meter
    covers: int  # of them with a tilt sensor
    pump_stations: int
    underpasses: int
    heat_stations: int
    heat_manholes: int
    galleries: int
    gallery_sections: int
    env: int
    gas_every: str  # a gas manhole samples so often …
    gas_report: str  # … and reports so often unless it has something to say


PLANS = {
    "bozhou": Plan(
        area="341600",
        streets=17,
        ducts=230,
        manholes=8,
        valve_wells=0,
        regulators=16,
        users=10,
        geophones=8,
        bridges=17,
        spans=3,
        cables=8,
        tunnels=1,
        sections=6,
        areas=12,
        points=5,
        noise=25,
        sewers=140,
        sewer_gas=30,
        sewer_flow=30,
        covers=20,
        pump_stations=6,
        underpasses=16,
        heat_stations=8,
        heat_manholes=16,
        galleries=1,
        gallery_sections=8,
        env=4,
        gas_every="5m",
        gas_report="30m",
    ),
    "hefei": Plan(
        area="340100",
        streets=61,
        ducts=2625,
        manholes=8,
        valve_wells=5000,
        regulators=1500,
        users=1200,
        geophones=800,
        bridges=137,
        spans=8,
        cables=16,
        tunnels=34,
        sections=12,
        areas=400,
        points=8,
        noise=15,
        sewers=4600,
        sewer_gas=750,
        sewer_flow=700,
        covers=3000,
        pump_stations=400,
        underpasses=420,
        heat_stations=640,
        heat_manholes=1000,
        galleries=80,
        gallery_sections=10,
        env=200,
        gas_every="5m",
        gas_report="30m",
    ),
}
