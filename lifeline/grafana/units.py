"""Units of the city as Grafana writes them; every quantity and every rule's score has one."""

from __future__ import annotations

from typing import Final

from lifeline.console.sentences import unit_word

_KNOWN: Final = {
    "kPa": "pressurekpa",
    "mg/m3": "conmgm3",
    "ug/m3": "conμgm3",
    "mm": "lengthmm",
    "m/s": "velocityms",
    "m/s2": "accMS2",
    "km/h": "velocitykmh",
    "Cel": "celsius",
    "%": "percent",
    "deg": "degree",
    "dB": "dB",
    "dBm": "dBm",
    "Hz": "hertz",
    "t": "masst",
    "s": "s",
    "1": "none",
}
"""UCUM → Grafana's unit; not its metre, which turns 0.02 m into 20 mm beside limits in m."""


def grafana_unit(unit: str) -> str:
    """Return Grafana's id of a UCUM unit, or ``suffix:`` where it has none."""
    return _KNOWN.get(unit) or f"suffix: {unit_word(unit)}"
