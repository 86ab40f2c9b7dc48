"""Every bound of the ingest process in one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.overload import OverloadLimits

_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """What bounds ingest. ``reserve_bytes`` keeps alarms going on a full disk."""

    queue_bytes: int = 32 << 20
    group_bytes: int = 4 << 20
    segment_bytes: int = 64 << 20
    reserve_bytes: int = 16 << 20
    raw_bytes: int = 2 << 30
    raw_age_ns: int = 72 * _HOUR_NS
    quarantine_bytes: int = 1 << 30
    full_retry_s: float = 1.0
    overload: OverloadLimits = field(default_factory=OverloadLimits)
