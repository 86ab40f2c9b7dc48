"""The type each field has, so that one which changed is found: InfluxDB then drops its points."""

from __future__ import annotations

from typing import Final

from ingest.store.schema import EVENTS
from lifeline.influx.layout import READINGS

_FLOAT, _INTEGER, _STRING, _BOOLEAN = "float", "integer", "string", "boolean"


def _of(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


_READING: Final = {"value": _FLOAT, "quality": _INTEGER}
_SAMPLED: Final = _of(_FLOAT, "min mean max last") | {"count": _INTEGER}

TYPES: Final[dict[str, dict[str, str]]] = {
    **dict.fromkeys(READINGS, _READING),
    EVENTS: _of(_INTEGER, "severity previous onset_ns receive_ns")
    | _of(_STRING, "alarm text text_zh")
    | _of(_FLOAT, "value score limit")
    | _of(_BOOLEAN, "confirmed announce"),
    "limits": _of(_STRING, "source approved_by"),
    "asset_state": _of(_INTEGER, "severity open unacked exposed")
    | _of(_FLOAT, "lat lon")
    | _of(_STRING, "name name_zh"),
    "kpi": _of(
        _INTEGER,
        "raised escalated cleared acked blue yellow orange red open unacked standing chattering "
        "flood",
    )
    | {"ack_s": _FLOAT},
    "pipeline": _of(
        _INTEGER, "lag_records lines refused dropped late duplicates conflicts not_finite unknown"
    )
    | {"lag_s": _FLOAT},
    "waveform": {"value": _FLOAT},
}
"""By measurement; what is named neither here nor in ALL_FLOAT is not ours."""

ALL_FLOAT: Final = ("limits", "score", "forecast")
"""Measurements whose other fields, named by levels and rules, are all floats."""


def wanted_type(measurement: str, field: str, *, sampled: bool) -> str:
    """Return the type a field must have, "" for one we do not write."""
    if sampled:
        return _SAMPLED.get(field, "") if measurement in READINGS else ""
    default = _FLOAT if measurement in ALL_FLOAT else ""
    return TYPES.get(measurement, {}).get(field, default)
