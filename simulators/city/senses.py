"""The kinds of sensor the demo city has: quantity, unit as sent, range, resolution, interval."""

from __future__ import annotations

from simulators.city.builder import Sense


def sense(
    sensor: str,
    channel: str,
    quantity: str,
    unit: str,
    lo: float,
    hi: float,
    resolution: float,
    *,
    klass: str = "safety",
    every: str = "1m",
    lel_basis: float | None = None,
) -> Sense:
    """Return the first sensor of a kind; range and resolution are in ``unit``."""
    return Sense(
        sensor=f"{sensor}-01",
        channel=channel,
        quantity=quantity,
        unit=unit,
        range=(lo, hi),
        resolution=resolution,
        klass=klass,
        every=every,
        lel_basis=lel_basis,
    )


CH4 = sense("ch4", "vol", "ch4", "%{vol}", 0, 5, 0.01)
CH4_LEL = sense("ch4", "lel", "ch4", "%{LEL}", 0, 100, 0.1, lel_basis=5.0)
H2S = sense("h2s", "value", "h2s", "mg/m3", 0, 150, 0.1)
CO = sense("co", "value", "co", "[ppm]", 0, 300, 0.1)
O2 = sense("o2", "vol", "o2", "%{vol}", 0, 25, 0.01)
T_AIR = sense("temp", "air", "temperature", "Cel", -40, 85, 0.1, klass="info")
RH = sense("rh", "value", "humidity", "%{RH}", 0, 100, 0.1, klass="info")
BATTERY = sense("bat", "level", "battery", "%", 0, 100, 0.1, klass="maintenance", every="10m")
RSSI = sense("radio", "rssi", "rssi", "dBm", -150, 0, 1, klass="maintenance", every="10m")
RAIN = sense("rain", "rate", "rain", "mm/h", 0, 240, 0.1)
PONDING = sense("pond", "depth", "ponding", "cm", 0, 200, 0.1)
LEVEL = sense("lvl", "level", "level", "m", 0, 10, 0.01)
WATER_P = sense("p", "mean", "pressure", "kPa", 0, 1600, 0.1)
WATER_Q = sense("q", "mean", "flow", "m3/h", 0, 2000, 0.1)
