"""Times as vendors write them, to Unix nanoseconds."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest.frame import MAX_EVENT_MS

_UNITS = {"unix_s": 10**9, "unix_ms": 10**6, "unix_us": 10**3, "unix_ns": 1}
_LIMIT_NS = MAX_EVENT_MS * 1_000_000
_WHOLE = re.compile(r"-?\d{1,30}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeFormat:
    """One way to write a time: ``unix_s|ms|us|ns``, ``iso8601``, or a strptime pattern.

    Raises
    ------
    ValueError
        The format or the zone is not known.
    """

    def __init__(self, text: str, *, zone: str = "UTC") -> None:
        if text not in _UNITS and text != "iso8601" and "%" not in text:
            known = ", ".join([*_UNITS, "iso8601"])
            raise ValueError(f"time format {text!r}: wanted {known} or a pattern like %Y%m%d%H%M%S")
        try:
            self.zone = UTC if zone == "UTC" else ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"time zone {zone!r} is not known (Asia/Shanghai, UTC, …)") from error
        self.text = text

    def to_ns(self, raw: Any) -> int:
        """Return Unix ns, cut where int64 would overflow.

        Raises
        ------
        ValueError
            ``raw`` is not written in this format.
        """
        found = self._counted(raw) if self.text in _UNITS else self._written(raw)
        return max(-_LIMIT_NS, min(_LIMIT_NS, found))

    def _counted(self, raw: Any) -> int:
        unit = _UNITS[self.text]
        if isinstance(raw, str) and _WHOLE.fullmatch(raw):
            raw = int(raw)
        if type(raw) is int:
            return raw * unit
        if type(raw) is float and math.isfinite(raw):
            # to the microsecond: a double of today's seconds resolves no more
            limit = _LIMIT_NS / unit
            return round(max(-limit, min(limit, raw)) * unit / 1000) * 1000
        raise ValueError(f"{str(raw)[:40]!r} is no {self.text}")

    def _written(self, raw: Any) -> int:
        if not isinstance(raw, str):
            raise ValueError(f"{str(raw)[:40]!r} is no text, format {self.text}")  # noqa: TRY004
        try:
            if self.text == "iso8601":
                moment = datetime.fromisoformat(raw)
            else:
                moment = datetime.strptime(raw, self.text)  # noqa: DTZ007 - the zone comes next
        except ValueError as error:
            raise ValueError(f"{raw[:40]!r} is not written as {self.text}") from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        try:
            since = moment - _EPOCH
        except OverflowError as error:  # a year-1 date in a zone ahead of UTC
            raise ValueError(f"{raw[:40]!r} is outside the calendar") from error
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
