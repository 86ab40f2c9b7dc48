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

# of the larger cities: what the demo has none of
USER_CH4 = sense("ch4", "lel", "ch4", "%{LEL}", 0, 100, 0.1, lel_basis=5.0, every="30s")
PRESSURE_MP = sense("pmp", "mean", "pressure", "MPa", 0, 0.6, 0.0001)
PRESSURE_LP = sense("plp", "mean", "pressure", "kPa", 0, 10, 0.01)
GAS_Q = sense("q", "mean", "flow", "m3/h", 0, 5000, 1)
VIB = sense("vib", "peak", "vibration", "mm/s", 0, 100, 0.01)
CABLE_FORCE = sense("cf", "mean", "cable_force", "kN", 0, 10_000, 1, every="10m")
CRACK = sense("cr", "mean", "crack", "mm", -5, 5, 0.001, klass="info", every="10m")
LEAK_NOISE = sense("ln", "min", "leak_noise", "dB", 0, 120, 0.1, every="1d")
VELOCITY_Q = sense("fl", "mean", "flow", "L/s", 0, 5000, 1, klass="info", every="5m")
COVER = sense("cover", "tilt", "tilt", "deg", 0, 180, 1, every="5m")
TURBIDITY = sense("tu", "value", "turbidity", "{NTU}", 0, 20, 0.01, every="5m")
CHLORINE = sense("cl", "value", "chlorine", "mg/L", 0, 5, 0.01, every="5m")
ACIDITY = sense("ph", "value", "ph", "[pH]", 0, 14, 0.01, klass="info", every="5m")
CONDUCTIVITY = sense("ec", "value", "conductivity", "uS/cm", 0, 5000, 1, klass="info", every="5m")
HEAT_STATION = (
    sense("ts", "supply", "temperature", "Cel", 0, 150, 0.1),
    sense("tr", "return", "temperature", "Cel", 0, 150, 0.1),
    sense("ps", "supply", "pressure", "MPa", 0, 2.5, 0.001),
    sense("pr", "return", "pressure", "MPa", 0, 2.5, 0.001),
    sense("q", "mean", "flow", "m3/h", 0, 5000, 1),
    sense("mu", "mean", "makeup", "%", 0, 10, 0.01),
)
HEAT_AIR = sense("temp", "air", "temperature", "Cel", -20, 120, 0.1, every="15m")
HEAT_RH = sense("rh", "value", "humidity", "%{RH}", 0, 100, 0.1, klass="info", every="15m")
TUNNEL = (
    sense("co", "value", "co", "[ppm]", 0, 300, 0.1, every="30s"),
    sense("vis", "k", "visibility", "1/m", 0, 0.015, 0.00001, every="30s"),
    sense("wd", "mean", "wind", "m/s", -20, 20, 0.1, klass="info", every="30s"),
    sense("ft", "max", "temperature", "Cel", -20, 120, 0.1, every="30s"),
)
SUMP = sense("lvl", "level", "level", "m", 0, 5, 0.01)
GALLERY_SECTION = (
    O2,
    CH4,
    H2S,
    sense("co", "value", "co", "mg/m3", 0, 230, 0.1),
    T_AIR,
    RH,
    sense("lvl", "level", "level", "m", 0, 3, 0.001),
    sense("cable", "max", "temperature", "Cel", -20, 120, 0.1),
)
GALLERY = (
    *GALLERY_SECTION,
    sense("door", "open", "state", "1", 0, 1, 1, klass="info"),
    sense("fan", "on", "state", "1", 0, 1, 1, klass="info"),
    sense("pump", "on", "state", "1", 0, 1, 1, klass="info"),
)
ENV = (
    sense("pm25", "value", "pm25", "ug/m3", 0, 1000, 1, klass="info"),
    sense("pm10", "value", "pm10", "ug/m3", 0, 1000, 1, klass="info"),
    sense("laeq", "value", "noise_laeq", "dB{A}", 30, 130, 0.1, klass="info"),
)
SPAN = (
    *(sense("st", "peak", "strain", "um/m", -1500, 1500, 0.1).numbered(n) for n in (1, 2, 3, 4)),
    *(
        sense("st", "mean", "strain", "um/m", -1500, 1500, 0.1, klass="info").numbered(n)
        for n in (1, 2, 3, 4)
    ),
    sense("df", "peak", "deflection", "mm", -500, 500, 0.01),
    sense("ac", "rms", "accel", "m/s2", 0, 20, 0.0001),
    sense("ts", "struct", "temperature", "Cel", -40, 80, 0.1, klass="info"),
    sense("fq", "f1", "frequency", "Hz", 0.2, 20, 0.001, every="10m"),
)
BRIDGE = (
    sense("jt", "mean", "displacement", "mm", 0, 300, 0.1),
    sense("jt", "mean", "displacement", "mm", 0, 300, 0.1).numbered(2),
    sense("tl", "mean", "tilt", "deg", -15, 15, 0.001),
    sense("tl", "mean", "tilt", "deg", -15, 15, 0.001).numbered(2),
    sense("wim", "max", "gvw", "t", 0, 200, 0.1),
    sense("wd", "mean", "wind", "m/s", 0, 60, 0.1),
    CRACK,
    T_AIR,
)
# battery modules of the larger cities sample and report less often
T_WELL = sense("temp", "air", "temperature", "Cel", -40, 85, 0.1, klass="info", every="1h")
BATTERY_SLOW = sense("bat", "level", "battery", "%", 0, 100, 0.1, klass="maintenance", every="6h")
BATTERY_DAILY = sense("bat", "level", "battery", "%", 0, 100, 0.1, klass="maintenance", every="1d")
WATER_P_SLOW = sense("p", "mean", "pressure", "kPa", 0, 1600, 0.1, every="5m")
VOLUME = sense("vol", "total", "volume", "m3", 0, 1e9, 1, klass="info", every="15m")
DMA_Q = sense("q", "mean", "flow", "m3/h", 0, 10_000, 0.1)
QUALITY = (TURBIDITY, CHLORINE, ACIDITY, CONDUCTIVITY)
LEVEL_SLOW = sense("lvl", "level", "level", "m", 0, 10, 0.01, every="5m")
CH4_SLOW = sense("ch4", "vol", "ch4", "%{vol}", 0, 5, 0.01, every="5m")
H2S_SLOW = sense("h2s", "value", "h2s", "mg/m3", 0, 150, 0.1, every="5m")
SEWAGE = (ACIDITY, CONDUCTIVITY)
