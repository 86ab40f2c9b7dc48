"""What an alarm is about, coarser than a quantity: causes are told apart by it.

A leak shows as methane and as oxygen that goes, a burst as pressure and as flow: quantities that
one cause moves are of one nature, and only alarms of one nature (and one lifeline) can have one
cause. The side counts where it says what failed: pressure that is too high is the work of a
regulator, pressure that falls that of a pipe.

How far a nature spreads, and for how long an incident waits for more of it, is physics, with
margins; ``docs/incidents.md`` says where each comes from. The figures are ours (estimates).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a cause of a nature is felt from where it was felt before.

    The same asset is always within reach. ``within_ns`` bounds the time between the onset of an
    alarm and the newest onset of the incident it may join.
    """

    zone: bool = False  # anywhere in the zone of a member
    hops: int = 0  # along the network of assets
    metres: float = 0.0  # as the crow flies, of the same nature
    zone_metres: float = 0.0  # within the zone of a member, as the crow flies
    within_ns: int = 2 * HOUR_NS
    strikes: bool = False
    """What begins everywhere in a zone within seconds has one cause: lightning, a supply."""


ANY: Final = ""
"""The nature of what is not known by a quantity, such as a vote over a zone: fits every other."""
SILENCE: Final = "silence"
SYSTEM: Final = "system"

_AIR: Final = ("ch4", "co", "h2s", "o2", "visibility", "smoke")
_WATER: Final = ("level", "ponding", "rain", "flow")
_STRUCTURE: Final = (
    "strain", "deflection", "accel", "tilt", "displacement", "crack", "settlement", "frequency",
    "gvw", "cable_force", "shape",
)  # fmt: skip
_QUALITY: Final = ("turbidity", "chlorine", "ph", "conductivity")


def _all(quantities: tuple[str, ...], nature: str) -> dict[str, str]:
    return dict.fromkeys(quantities, nature)


_NATURES: Final[dict[str, dict[str, str]]] = {
    "gas": {
        **_all(_AIR, "air"), "pressure": "pressure", "flow": "pressure", "vibration": "digging",
    },
    "bridge": _all(_STRUCTURE, "structure"),
    "tunnel": {
        **_all((*_AIR, "temperature", "no2"), "air"), "level": "water",
        **_all(_STRUCTURE, "structure"),
    },
    "water": {
        **_all(("pressure", "flow", "shape"), "pressure"), "leak_noise": "leak",
        **_all(_QUALITY, "quality"),
    },
    "drain": {**_all(_WATER, "water"), **_all(_AIR, "air"), **_all(_QUALITY, "quality")},
    "heat": _all(("pressure", "flow", "makeup", "temperature", "humidity"), "pipe"),
    "gallery": {
        **_all((*_AIR, "temperature", "humidity"), "air"), "level": "water", "state": "entry",
    },
}  # fmt: skip

_REACHES: Final[dict[tuple[str, str], Reach]] = {
    ("gas", "air"): Reach(hops=2, zone_metres=200, within_ns=3 * HOUR_NS),
    ("gas", "pressure low"): Reach(metres=5_000, within_ns=10 * MINUTE_NS),
    ("bridge", "structure"): Reach(zone=True, within_ns=12 * HOUR_NS),
    ("tunnel", "air"): Reach(zone=True),
    ("tunnel", "structure"): Reach(hops=2, within_ns=12 * HOUR_NS),
    ("water", "pressure"): Reach(zone=True, within_ns=HOUR_NS),
    ("water", "leak"): Reach(zone_metres=300, within_ns=7 * 24 * HOUR_NS),
    ("water", "quality"): Reach(zone=True, within_ns=6 * HOUR_NS),
    ("drain", "water"): Reach(zone=True, hops=10, within_ns=6 * HOUR_NS),
    ("drain", "rain"): Reach(metres=8_000, within_ns=HOUR_NS),
    ("drain", "air"): Reach(hops=2),
    ("drain", "quality"): Reach(zone=True),
    ("heat", "pipe"): Reach(zone=True, within_ns=3 * HOUR_NS),
    ("gallery", "air"): Reach(hops=1, within_ns=HOUR_NS, strikes=True),
    ("gallery", "water"): Reach(hops=1),
}
_SILENT: Final = Reach(metres=300, within_ns=10 * MINUTE_NS)
_USUAL: Final = Reach()
STORM_METRES: Final = 3_000.0
"""So far from a gauge that rains its water may stand in a sewer or an underpass."""
STORM_NS: Final = 3 * HOUR_NS
AT_ONCE_NS: Final = 15_000_000_000
"""What begins within it begins at once."""


def nature_of(domain: str, quantity: str, side: int) -> str:
    """Return the nature of a quantity in a lifeline; one of a site's own is its own nature."""
    known = _NATURES.get(domain, {}).get(quantity)
    if known is None:
        return quantity
    if known == "pressure" and domain == "gas":
        low = (side < 0) == (quantity == "pressure")  # what a break takes from pressure, it adds
        return "pressure low" if low else "pressure high"  # to the flow
    if quantity == "rain":
        return "rain"
    return known


def reach_of(domain: str, nature: str) -> Reach:
    """Return how far a cause of this nature is felt."""
    if nature == SILENCE:
        return _SILENT
    return _REACHES.get((domain, nature), _USUAL)
