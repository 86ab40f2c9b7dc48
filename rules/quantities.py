"""What can be measured, and the one canonical unit each quantity is kept in.

The rest is display: admission converts what a device sends, the rule language what a rule says,
both by `factor` and `canonical`. Canonical units are UCUM codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from rules.problems import nearest
from rules.units import Dimension, Unit, UnknownUnit, known_codes, parse, ucum

__all__ = [
    "QUANTITIES", "SITE_LEL_BASIS", "Quantity", "UnknownQuantity", "UnknownUnit", "canonical",
    "exact", "factor", "per_time", "ucum",
]  # fmt: skip

SITE_LEL_BASIS: Final = 5.0
"""%vol of methane at 100 %LEL where rules say %LEL (GB 15322; EN instruments often use 4.4)."""

MOLAR_VOLUME_M3: Final = Fraction("8.314462618") * Fraction("293.15") / 101325
"""Of an ideal gas at 20 °C and 101.325 kPa, m³/mol: 24.055 L/mol, as occupational limits mean."""

OUTDOOR_MOLAR_VOLUME_M3: Final = Fraction("8.314462618") * Fraction("298.15") / 101325
"""The same at 25 °C, 24.465 L/mol: the reference state of outdoor air in GB 3095-2012 (amended in
2018). Carbon monoxide is kept at 20 °C everywhere, 1.7 % above."""


class UnknownQuantity(ValueError):  # noqa: N818 - reads as what it says
    """No such quantity in the table."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A measurable thing: its canonical unit and what people call it."""

    name: str
    unit: str  # canonical, UCUM
    label: str
    label_zh: str
    decimals: int = 2  # shown on pages
    molar_mass: str = ""  # g/mol, of gases: relates volume and mass concentrations
    outdoor: bool = False  # of gases: mass concentrations are those at 25 °C, not at 20 °C
    range: tuple[float, float] | None = None  # canonical; of sensors that state none


_ALL: Final = (
    Quantity("ch4", "%{vol}", "methane", "甲烷", 2, "16.043"),
    Quantity("h2s", "mg/m3", "hydrogen sulphide", "硫化氢", 1, "34.081"),
    Quantity("co", "mg/m3", "carbon monoxide", "一氧化碳", 1, "28.010"),
    Quantity("o2", "%{vol}", "oxygen", "氧气", 1),
    Quantity("pressure", "kPa", "pressure", "压力", 2),
    Quantity("flow", "m3/h", "flow", "流量", 1),
    Quantity("level", "m", "water level", "液位", 2),
    Quantity("ponding", "cm", "ponding depth", "积水深度", 1),
    Quantity("rain", "mm/h", "rain intensity", "雨强", 1),
    Quantity("strain", "um/m", "strain", "应变", 1),
    Quantity("deflection", "mm", "deflection", "挠度", 2),
    Quantity("accel", "m/s2", "acceleration", "加速度", 3),
    Quantity("tilt", "deg", "tilt", "倾角", 3),
    Quantity("temperature", "Cel", "temperature", "温度", 1),
    Quantity("humidity", "%{RH}", "relative humidity", "相对湿度", 0),
    Quantity("visibility", "1/m", "light extinction", "能见度系数", 4),
    Quantity("wind", "m/s", "wind speed", "风速", 1),
    Quantity("makeup", "%", "make-up water share", "补水率", 2),
    Quantity("gvw", "t", "gross vehicle weight", "车辆总重", 1),
    Quantity("turbidity", "{NTU}", "turbidity", "浊度", 2),
    Quantity("chlorine", "mg/L", "free chlorine", "余氯", 2),
    Quantity("conductivity", "uS/cm", "conductivity", "电导率", 0),
    Quantity("leak_noise", "dB", "leak noise", "漏水噪声", 0),
    Quantity("noise", "dB", "sound level", "噪声", 1),
    Quantity("noise_laeq", "dB{A}", "equivalent sound level LAeq", "等效声级", 1),
    Quantity("pm25", "ug/m3", "fine particles PM2.5", "细颗粒物", 0),
    Quantity("pm10", "ug/m3", "particles PM10", "可吸入颗粒物", 0),
    Quantity("tsp", "ug/m3", "total suspended particles", "总悬浮颗粒物", 0),
    Quantity("so2", "ug/m3", "sulphur dioxide", "二氧化硫", 0, "64.063", outdoor=True),
    Quantity("no2", "ug/m3", "nitrogen dioxide", "二氧化氮", 0, "46.005", outdoor=True),
    Quantity("o3", "ug/m3", "ozone", "臭氧", 0, "47.997", outdoor=True),
    Quantity("dose_rate", "uSv/h", "ambient dose rate", "环境剂量率", 2),
    Quantity("soil_moisture", "%{vol}", "soil moisture by volume", "土壤体积含水率", 1),
    Quantity("soil_lead", "mg/kg", "lead in soil", "土壤铅", 0),
    Quantity("soil_cadmium", "mg/kg", "cadmium in soil", "土壤镉", 1),
    Quantity("soil_arsenic", "mg/kg", "arsenic in soil", "土壤砷", 1),
    Quantity("volume", "m3", "metered volume", "累计用量", 1),
    Quantity("settlement", "mm", "settlement", "沉降", 2),
    Quantity("crack", "mm", "crack width", "裂缝宽度", 2),
    Quantity("displacement", "mm", "displacement", "位移", 1),
    Quantity("cable_force", "kN", "cable force", "索力", 0),
    Quantity("vibration", "mm/s", "vibration velocity", "振动速度", 2),
    Quantity("battery", "%", "battery charge", "电池电量", 0),
    Quantity("rssi", "dBm", "received signal strength", "信号强度", 0),
    Quantity("state", "1", "state", "状态", 0),
    Quantity("power", "kW", "power", "功率", 2),
    Quantity("energy", "kW.h", "energy", "电能", 1),
    Quantity("speed", "km/h", "speed", "速度", 0),
    Quantity("ph", "[pH]", "acidity", "酸碱度", 2),
    Quantity("frequency", "Hz", "frequency", "频率", 3),
    Quantity("shape", "1", "shape of a waveform", "波形指标", 2),
    Quantity("heartbeat", "1", "watchdog heartbeat", "看门狗心跳", 0),
)
QUANTITIES: Final[dict[str, Quantity]] = {q.name: q for q in _ALL}

_VOLUME: Final = parse("%{vol}")
_MASS: Final = parse("mg/m3")
_KELVIN: Final[Dimension] = (("K", 1),)


def quantity(name: str) -> Quantity:
    """Return the quantity of that name.

    Raises
    ------
    UnknownQuantity
        With the names near it.
    """
    try:
        return QUANTITIES[name]
    except KeyError:
        raise UnknownQuantity(f"unknown quantity {name!r}{nearest(name, QUANTITIES)}") from None


def factor(name: str, unit: str, *, lel_basis: float = SITE_LEL_BASIS) -> tuple[float, float]:
    """Return (scale, offset): canonical = raw * scale + offset. Each is the nearest float.

    Raises
    ------
    UnknownQuantity, UnknownUnit
        With the names near it.
    """
    scale, offset = _exact(name, unit, lel_basis)
    return float(scale), float(offset)


def exact(name: str, unit: str, *, lel_basis: float = SITE_LEL_BASIS) -> tuple[Fraction, Fraction]:
    """Return what `factor` rounds: for whole columns converted with one rounding."""
    return _exact(name, unit, lel_basis)


@lru_cache(maxsize=4096)  # a city's ranges are few different numbers
def canonical(
    name: str,
    unit: str,
    number: float,
    *,
    difference: bool = False,
    lel_basis: float = SITE_LEL_BASIS,
) -> float:
    """Return ``number`` in the canonical unit, rounded once: 20 %LEL is 1.0 %vol, not 1.0000…2.

    ``difference`` leaves the offset away: a hysteresis of 3 K is 3, not −270.15.
    """
    scale, offset = _exact(name, unit, lel_basis)
    return float(Fraction(repr(float(number))) * scale + (0 if difference else offset))


def per_time(name: str, unit: str) -> tuple[Fraction, int]:
    """Return (scale to canonical, ns) of a unit per time: ``MPa/min`` of pressure → (1000, 6e10).

    Raises
    ------
    UnknownUnit
        It is not a unit of the quantity over a unit of time.
    """
    head, slash, tail = ucum(unit).rpartition("/")
    try:
        time = parse(tail) if slash else None
    except UnknownUnit:
        time = None
    if time is None or time.dimension != (("s", 1),):
        want = quantity(name).unit
        raise UnknownUnit(f"unit {unit!r} is no change of {name} per time: write {want}/min")
    scale, _ = _exact(name, "K" if head == "Cel" and name == "temperature" else head, 5.0)
    return scale, int(time.scale * 10**9)


@lru_cache(maxsize=4096)
def _exact(name: str, unit: str, lel_basis: float) -> tuple[Fraction, Fraction]:
    what = quantity(name)
    want = parse(what.unit)
    try:
        have = parse(unit)
    except UnknownUnit as error:
        raise UnknownUnit(
            f"{error}{nearest(unit, dict.fromkeys((what.unit, *known_codes())))}"
        ) from None
    if have.tag == "LEL":
        return _lel(what, lel_basis) * have.scale / want.scale, Fraction(0)
    if what.unit == "%{vol}" and what.molar_mass and have.scale == want.scale and not have.tag:
        raise UnknownUnit(
            f"unit {unit!r} of {name} is ambiguous: write %{{vol}} or %{{LEL}}, 20-fold apart"
        )
    if _comparable(have, want):
        offset = (have.offset - want.offset) / want.scale
        return have.scale / want.scale, offset
    if what.molar_mass:
        volume = OUTDOOR_MOLAR_VOLUME_M3 if what.outdoor else MOLAR_VOLUME_M3
        molar = Fraction(what.molar_mass) / 1000 / volume  # kg/m³ of the pure gas
        if have.dimension == () and have.tag in ("", "vol") and want.dimension == _MASS.dimension:
            return have.scale * molar / want.scale, Fraction(0)
        if have.dimension == _MASS.dimension and want.tag == "vol":
            return have.scale / molar / want.scale, Fraction(0)
    raise UnknownUnit(
        f"unit {unit!r} does not measure {name}, which is kept in {what.unit}"
        f"{nearest(unit, (what.unit,))}"
    )


def _lel(what: Quantity, lel_basis: float) -> Fraction:
    """Return the share of volume that methane has at 100 %LEL."""
    if what.name != "ch4":
        raise UnknownUnit(f"unit %{{LEL}} is for methane, not for {what.name} ({what.unit})")
    if not 0.1 <= lel_basis <= 100:
        raise UnknownUnit(f"lel_basis {lel_basis} %vol is outside 0.1 … 100")
    return Fraction(repr(float(lel_basis))) / 100


def _comparable(have: Unit, want: Unit) -> bool:
    """Say whether two units measure one thing; percentages of different wholes do not."""
    return have.dimension == want.dimension and have.tag in ("", want.tag)
