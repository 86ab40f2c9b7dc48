"""Civil time without a time zone database: a fixed offset, or a POSIX TZ text with its summer time.

``CET-1CEST,M3.5.0,M10.5.0/3`` says it all (POSIX.1-2017, 8.3): the same rules mean the same on
every machine. Offsets are what is added to UTC: the text's own sign is the other way round.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.problems import nearest
from rules.zones import ZONES

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS
FIRST_YEAR, LAST_YEAR = 1970, 2200
_NAME: Final = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>|[A-Za-z])"
_TIME: Final = r"[-+]?\d{1,3}(?::\d{2}(?::\d{2})?)?"
_RULE: Final = rf"(?:J\d{{1,3}}|\d{{1,3}}|M\d{{1,2}}\.\d\.\d)(?:/{_TIME})?"
_TEXT: Final = re.compile(
    rf"{_NAME}(?P<std>{_TIME})(?:{_NAME}(?P<dst>{_TIME})?,(?P<start>{_RULE}),(?P<end>{_RULE}))?"
)
_OFFSET: Final = re.compile(r"([-+])(\d{2}):?(\d{2})")
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)")
_MOMENTS_S: Final = range(946_684_800, 4_102_444_800)  # 2000 … 2099
_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


@dataclass(frozen=True, slots=True)
class Zone:
    """Offsets between changes: ``offset_ns[i]`` holds from ``change_ns[i − 1]`` (UTC) on."""

    change_ns: NDArray[np.int64]  # [m] rising
    offset_ns: NDArray[np.int64]  # [m + 1]

    def local(self, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return local time of UTC times, ns since 1970-01-01 00:00 on the local clock."""
        if not len(self.change_ns):
            fixed: NDArray[np.int64] = t + self.offset_ns[0]
            return fixed
        local: NDArray[np.int64] = t + self.offset_ns[np.searchsorted(self.change_ns, t, "right")]
        return local


@lru_cache(maxsize=256)
def zone_of(text: str) -> Zone:
    """Return the zone of ``+08:00``, of a POSIX TZ text, or of an IANA name.

    Raises
    ------
    ValueError
        It is none of these; with what to write.
    """
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if int(offset[3]) > 59 or minutes > 24 * 60:
            raise ValueError(f"{text!r} is no offset from UTC: write +08:00")
        sign = -1 if offset[1] == "-" else 1
        return _zone([], [sign * minutes * 60])
    found = _TEXT.fullmatch(ZONES.get(text, text))
    if found is None:
        raise ValueError(
            f"{text[:64]!r} is no time zone known here{nearest(text, ZONES, count=1)}:"
            ' write Asia/Shanghai, +08:00, or with summer time "CET-1CEST,M3.5.0,M10.5.0/3"'
        )
    standard = -_seconds(found["std"])
    if found["start"] is None:
        return _zone([], [standard])
    summer = -_seconds(found["dst"]) if found["dst"] else standard + 3600
    changes: dict[int, int] = {}
    for year in range(FIRST_YEAR, LAST_YEAR):
        changes[_moment(found["start"], year) - standard] = summer
        changes[_moment(found["end"], year) - summer] = standard
    when = sorted(changes)
    first = standard if changes[when[0]] == summer else summer
    return _zone(when, [first, *(changes[at] for at in when)])


def _zone(change_s: list[int], offset_s: list[int]) -> Zone:
    return Zone(np.array(change_s, np.int64) * SECOND_NS, np.array(offset_s, np.int64) * SECOND_NS)


def _seconds(text: str) -> int:
    """Read ``-8`` or ``5:45:30``."""
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = (*(int(p) for p in text.strip("+-").split(":")), 0, 0)[:3]
    if hours > 167 or minutes > 59 or seconds > 59:
        raise ValueError(f"{text!r} is no time of a zone: write hours up to 167, minutes, seconds")
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _moment(rule: str, year: int) -> int:
    """Return when a rule's change comes in a year, on the clock before it; seconds since 1970."""
    date, _, time = rule.partition("/")
    at = _seconds(time) if time else 7200
    first = days_from_civil(year, 1, 1)
    if date[0] == "J":
        day = int(date[1:])
        if not 1 <= day <= 365:
            raise ValueError(f"{rule!r} is no day of a year: write J1 … J365")
        return (first + day - 1 + int(day >= 60 and _leap(year))) * 86_400 + at
    if date[0] != "M":
        if int(date) > 365:
            raise ValueError(f"{rule!r} is no day of a year: write 0 … 365")
        return (first + int(date)) * 86_400 + at
    month, week, weekday = (int(p) for p in date[1:].split("."))
    if not (1 <= month <= 12 and 1 <= week <= 5 and weekday <= 6):
        raise ValueError(
            f"{rule!r} is no day of a year: write"
            " M<month 1-12>.<week 1-5, 5 the last>.<weekday 0-6, 0 Sunday>"
        )
    begin = days_from_civil(year, month, 1)
    after = days_from_civil(year + month // 12, month % 12 + 1, 1)
    day = begin + (weekday - (begin + 4)) % 7 + 7 * (week - 1)  # 1970-01-01 was a Thursday, 4
    return (day - 7 if day >= after else day) * 86_400 + at


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return days since 1970-01-01 of a date of the Gregorian calendar (Hinnant 2013)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def read_moment(value: object) -> int:
    """Return Unix nanoseconds of ``2026-11-20T08:00:00+08:00``.

    Raises
    ------
    ValueError
        It is no moment of 2000 to 2099 with its zone.
    """
    found = _MOMENT.fullmatch(str(value)[:64])
    date, zone = (found[1], found[2]) if found else ("no date", "Z")
    try:
        ahead = 0 if zone == "Z" else int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[4:]))
        local = np.datetime64(date.replace(" ", "T"), "s").astype(np.int64)
        if int(local) not in _MOMENTS_S:
            raise ValueError  # noqa: TRY301 - one way to say what is wrong
        return (int(local) - ahead * 60) * SECOND_NS
    except ValueError:
        said = f"{str(value)[:64]!r} is no time of 2000 to 2099 with its zone"
        raise ValueError(f'{said}: write "2026-11-20T08:00:00+08:00"') from None


def month_day(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return month × 100 + day of days since 1970-01-01 (Hinnant 2013)."""
    shifted = days + 719_468
    of_era = shifted % 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted_month = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted_month + 2) // 5 + 1
    month = np.where(shifted_month < 10, shifted_month + 3, shifted_month - 9)
    found: NDArray[np.int64] = month * 100 + day
    return found


def day_number(text: str) -> int:
    """Return days since 1970-01-01 of ``2026-10-01``.

    Raises
    ------
    ValueError
        There is no such date.
    """
    found = _DATE.fullmatch(text)
    if found is not None:
        year, month, day = (int(part) for part in found.groups())
        if 1 <= month <= 12 and day >= 1:
            first = days_from_civil(year, month, 1)
            number = first + day - 1
            if number < days_from_civil(year + month // 12, month % 12 + 1, 1):
                return number
    raise ValueError(f"{text[:40]!r} is no date: write 2026-10-01")
