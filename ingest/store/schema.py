"""What stands in InfluxDB: measurements, tags and fields, and how their text is escaped.

docs/influxdb.md tells the same to users. Tags and fields stand in the order of the alphabet, as
the server sorts them anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rules.readings import QC_FAIL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.registry import Registry

EVENTS: Final = "alarm_state"
LIMITS: Final = "limits"
SCORE: Final = "score"
FORECAST: Final = "forecast"
ASSET_STATE: Final = "asset_state"
KPI: Final = "kpi"
PIPELINE: Final = "pipeline"
WAVEFORM: Final = "waveform"
OTHER: Final = "other"
LEVELS: Final = ("blue", "yellow", "orange", "red")  # by severity 1 to 4

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "gas": ("ch4", "h2s", "co", "o2"),
    "hydraulic": ("pressure", "flow", "level", "ponding", "rain", "makeup", "leak_noise"),
    "water_quality": ("turbidity", "chlorine", "conductivity", "ph"),
    "structure": (
        "strain", "deflection", "accel", "tilt", "settlement", "crack", "displacement",
        "cable_force", "vibration", "gvw", "speed",
    ),
    "climate": ("temperature", "humidity", "visibility", "wind", "noise", "pm25"),
    "device": ("battery", "rssi", "state", "power", "energy", "heartbeat"),
}  # fmt: skip
"""Measurements and the quantities in them; a quantity that is in none is written to OTHER."""

MEASUREMENT: Final[dict[str, str]] = {q: group for group, qs in GROUPS.items() for q in qs}

QUALITIES: Final = 10  # qc flags 0…9
UNUSABLE: Final = QC_FAIL  # the quality written for a value its device called faulty

_TAG: Final = str.maketrans(
    {",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"}
)
_STRING: Final = str.maketrans({'"': r"\"", "\\": r"\\"})


def escape_tag(text: str) -> str:
    """Return a tag's value as line protocol wants it, the same as influxdb-client's Point.

    A backslash at the end would escape what follows, so a space stands after it.
    """
    escaped = text.translate(_TAG)
    return escaped + " " if escaped.endswith("\\") else escaped


def escape_string(text: str) -> str:
    """Return a string field's text between its quotes."""
    return text.translate(_STRING)


def tags(values: Mapping[str, str]) -> str:
    """Return ``,name=value`` for each tag that has a value, by name."""
    return "".join(f",{k}={escape_tag(v)}" for k, v in sorted(values.items()) if v)


def prefix(registry: Registry, channel: int, *, quality: int, late: bool) -> bytes:
    """Return a line of ``channel`` up to its value: measurement, tags and ``quality``.

    ``late`` is a tag, not a field: a late row may carry the time of a judged one, and as a point
    of the same series it would take that one's place. A row that is no measurement (quality 4)
    has the tag ``faulty``, so that means leave it out without looking at a second field.
    """
    channels, assets = registry.channels, registry.assets
    asset = int(channels.asset[channel])
    quantity = channels.quantity[channel]
    named = {
        "asset": assets.id[asset],
        "channel": channels.id[channel],
        "district": assets.district[asset],
        "domain": assets.domain[asset],
        "faulty": "1" if quality == QC_FAIL else "",
        "late": "1" if late else "",
        "quantity": quantity,
        "sim": "1" if registry.simulation else "",
    }
    measurement = MEASUREMENT.get(quantity, OTHER)
    return f"{measurement}{tags(named)} quality={quality}i,value=".encode()
