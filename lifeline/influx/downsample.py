"""Minutes and hours of a time that is over, made once more: for rows that came after the tasks.

A task makes the last ten minutes or two hours anew and no more; what is filled in later (a gateway
that was dark for a day, frames fed again) stands in the bucket of readings only. Here the Flux of
the task runs over a time that is given. A point made again takes the place of the one before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from lifeline.errors import Failure, Missing
from lifeline.influx.layout import sampling_over, wanted_layout
from lifeline.influx.server import Refusal, Server
from lifeline.influx.tokens import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifeline.settings.config import CityConfig, InfluxEntry

STEPS: Final = (("1m", 60, timedelta(hours=1)), ("1h", 3600, timedelta(days=1)))
"""Unit, its seconds, and how much a query makes: a server has little memory for one."""


@dataclass(frozen=True, slots=True)
class Made:
    """One query's work: points of each aggregate in a bucket, from start to stop."""

    bucket: str
    start: datetime
    stop: datetime
    points: int

    def __str__(self) -> str:
        """Return the line."""
        span = f"{self.start:%Y-%m-%dT%H:%MZ} to {self.stop:%Y-%m-%dT%H:%MZ}"
        return f"bucket {self.bucket}: {span}: {self.points:,} windows"


def downsample(
    config: CityConfig,
    entry: InfluxEntry,
    admin_token_file: Path,
    *,
    begin: datetime,
    end: datetime,
    now: datetime,
) -> Iterator[Made]:
    """Make and tell each piece; windows that are cut by begin or end are made whole.

    A window that is not over at ``now`` is the task's.

    Raises
    ------
    Failure
        There is nothing to make, the server does not answer, or a right or bucket is missing.
    """
    if not wanted_layout(entry).tasks:
        raise Missing(f"{config.folder}: [influx] says down_sample = false: there are no minutes")
    kept_from = now - timedelta(seconds=entry.keep / 1e9)
    if entry.keep and begin < kept_from:
        raise Failure(
            f"--from {begin.isoformat()}: the readings before {kept_from:%Y-%m-%dT%H:%MZ} are gone "
            f"from {entry.bucket} (keep), and windows made of what is left would be poorer than "
            "those there are: begin later"
        )
    spans = [(unit, step, *_whole(begin, min(end, now), now, s)) for unit, s, step in STEPS]
    if all(start >= stop for _, _, start, stop in spans):
        raise Failure(f"--from {begin.isoformat()} --to {end.isoformat()}: no whole minute is over")
    server = Server.of(config, read_token(admin_token_file))
    try:
        for unit, step, start, stop in spans:
            for number in range(math.ceil((stop - start) / step)):
                first = start + number * step
                last = min(first + step, stop)
                text = sampling_over(entry.bucket, unit, start=_flux(first), stop=_flux(last))
                counts = [int(row["_value"]) for row in server.flux(text)]
                yield Made(f"{entry.bucket}_{unit}", first, last, max(counts, default=0))
    except Refusal as error:
        said = f"{error}; "
        if error.of_rights:
            said += f"the token in {admin_token_file} must be an all-access token of the org"
        else:
            said += "what was made before stands; lifeline influx check says what is missing"
        raise Failure(said) from error
    finally:
        server.close()


def _whole(begin: datetime, end: datetime, now: datetime, unit_s: int) -> tuple[datetime, datetime]:
    """Return begin and end moved apart to whole windows, none of them still open."""
    first = int(begin.timestamp()) // unit_s * unit_s
    last = min(-(-end.timestamp() // unit_s), now.timestamp() // unit_s) * unit_s
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)


def _flux(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
