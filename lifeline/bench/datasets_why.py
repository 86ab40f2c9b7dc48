"""Why rules raise what they do on public data sets, as found by looking; silence is a surprise."""

from __future__ import annotations

from typing import Final

CITY_LIMITS: Final = "limits of a city's mains beside"
WHY: Final[dict[tuple[str, str], str]] = {
    ("", "usual"): "six robust sigma: bursts, regimes that change, series that mostly stand at one "
    "value, whose scatter is then next to nothing; not only what is wrong",
    ("nab", "gateway-silent"): "the series have holes: 18 of 58 lack lines for more than three "
    "intervals, traffic counts for up to three days, a temperature for a week",
    ("nab", "still"): "counters of a machine at rest: nothing written to a disk for hours",
    ("skab", "water-pressure-low"): f"{CITY_LIMITS} a rig's 0.05 bar",
    ("skab", "water-pressure-drop"): f"{CITY_LIMITS} a rig whose pressure swings by 0.3 bar",
    ("batadal", "water-pressure-low"): "J280 is a pump's suction side and stands at 3 m by "
    "design; five others fall below a city's limits at times, to 15 m",
    ("batadal", "still"): "pumps that stand by show a flow of 0 for months",
    ("lro", "gateway-silent"): "seven holes of 45 minutes to three hours in TonyGrove",
    ("lro", "still"): "water at the freezing point shows the same for up to five days",
    ("oddwater", "gateway-silent"): "the logger lacks 20 hours to 28 days four times",
    (
        "oddwater",
        "still",
    ): "a lowland river between rains: its level shows the same for up to 24 days",
    ("uci_airquality", "env-co"): "CO above 10 mg/m3: five hours of one November beside a road",
    ("uci_airquality", "env-no2"): "NO2 above 200 ug/m3: 386 hours, up to 340",
    (
        "xai4heat",
        "gateway-silent",
    ): "61 holes of more than three hours, the longest of eighteen days",
    ("munich_bridge", "still"): "at 100 Hz a hundred intervals are a second: the force shows the "
    "same for one",
    ("munich_bridge", "usual"): "at 100 Hz it knows ten seconds: each coming and going of the test "
    "load is unusual; the shift itself is judged below",
    ("xai4heat", "usual"): "an outdoor sensor that shows -39.9 Cel for 32 lines of 2019; heating "
    "that begins, ends and rests at night",
    ("xai4heat", "still"): "out of the heating season nothing moves",
    ("uci_gas_drift", "usual"): "each line is another gas at another concentration, in no order: "
    "that is the data, not a fault",
}


def why(name: str, rule: str) -> str:
    """Return what was found, of the set or of the rule on any set; empty if nobody looked."""
    return WHY.get((name, rule), WHY.get(("", rule), ""))
