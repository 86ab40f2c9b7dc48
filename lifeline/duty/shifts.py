"""When shifts begin and end, in the city's own time: a day with a change of clocks has its length.

A shift is named by the local day and time it begins: ``2026-11-29T08:00``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
USUAL: Final = ("08:00", "20:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One shift: its name, and from when (inclusive) to when (exclusive), Unix ns."""

    name: str
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Shifts:
    """The shifts of a site."""

    begins: tuple[time, ...]
    zone: ZoneInfo

    @classmethod
    def of(cls, begins: Sequence[str], zone: str) -> Shifts:
        """Return the shifts that begin at these times, ``08:00`` and so on.

        Raises
        ------
        ValueError
            No such time, or they do not follow each other.
        """
        times = []
        for text in begins:
            if not _TIME.fullmatch(text):
                raise ValueError(f'"{text}" is no time of day; write it as 08:00')
            times.append(time.fromisoformat(text))
        if sorted(set(times)) != times:
            raise ValueError(f"{', '.join(begins)}: write each once, in the order of the day")
        return cls(tuple(times), ZoneInfo(zone))

    def at(self, ns: int) -> Shift:
        """Return the shift that a moment lies in."""
        day = datetime.fromtimestamp(ns // 10**9, UTC).astimezone(self.zone).date()
        starts = list(self._starts(day - timedelta(days=2), days=5))
        held = max(at for at, _ in starts if at <= ns)
        return self._from(starts, held)

    def named(self, name: str) -> Shift:
        """Return a shift by its name.

        Raises
        ------
        ValueError
            No shift begins then.
        """
        try:
            local = datetime.strptime(name, "%Y-%m-%dT%H:%M")  # noqa: DTZ007 - local, by its name
        except ValueError as error:
            raise ValueError(
                f'shift "{name}": write the time it begins: 2026-11-29T08:00'
            ) from error
        if local.time() not in self.begins or not date(1971, 1, 1) <= local.date() < date(
            2200, 1, 1
        ):
            there = ", ".join(f"{at:%H:%M}" for at in self.begins)
            raise ValueError(f'shift "{name}": none begins then; shifts begin at {there}')
        starts = list(self._starts(local.date(), days=3))
        return self._from(starts, next(at for at, named in starts if named == name))

    def before(self, shift: Shift) -> Shift:
        """Return the shift before one."""
        return self.at(shift.from_ns - 1)

    def _starts(self, day: date, *, days: int) -> Iterator[tuple[int, str]]:
        for n in range(days):
            for begin in self.begins:
                local = datetime.combine(day + timedelta(days=n), begin, self.zone)
                yield round(local.timestamp()) * 10**9, f"{local:%Y-%m-%dT%H:%M}"

    @staticmethod
    def _from(starts: Sequence[tuple[int, str]], from_ns: int) -> Shift:
        name = next(named for at, named in starts if at == from_ns)
        to_ns = min(at for at, _ in starts if at > from_ns)
        return Shift(name=name, from_ns=from_ns, to_ns=to_ns)
