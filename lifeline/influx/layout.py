"""The buckets, mappings, tasks and rights that City Lifeline wants in InfluxDB, as data.

docs/influxdb.md tells users the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.store.schema import GROUPS, OTHER

if TYPE_CHECKING:
    from lifeline.settings.config import InfluxEntry

SCHEMA: Final = 2
"""The version of the layout; 1 was a single bucket without a mark."""
POLICY: Final = "autogen"
READINGS: Final = (*GROUPS, OTHER)
"""The measurements that hold readings."""

_MARK: Final = re.compile(r"City Lifeline schema (\d+)")
_SECOND_NS: Final = 10**9


@dataclass(frozen=True, slots=True)
class WantedBucket:
    """A bucket; ``keep_s`` is its retention, ``written`` says that the store writes to it."""

    name: str
    keep_s: int
    holds: str
    written: bool


@dataclass(frozen=True, slots=True)
class WantedTask:
    """A task that runs each ``every_s`` seconds."""

    name: str
    every_s: int
    flux: str


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is wanted; the first bucket is the one of the readings and carries the mark."""

    org: str
    buckets: tuple[WantedBucket, ...]
    tasks: tuple[WantedTask, ...]

    @property
    def main(self) -> WantedBucket:
        """Return the bucket of readings and alarms."""
        return self.buckets[0]


def wanted_layout(entry: InfluxEntry) -> Layout:
    """Return what the table ``[influx]`` asks for."""
    name = entry.bucket
    written = [
        (name, entry.keep, "readings, what the rules say, alarms"),
        (f"{name}_features", entry.features_keep, "what is computed from waveforms"),
    ]
    if entry.waveforms:
        written.append((f"{name}_waveforms", entry.waveforms_keep, "waveforms, sample by sample"))
    sampled = [
        (f"{name}_1m", entry.minutes_keep, "readings by the minute"),
        (f"{name}_1h", entry.hours_keep, "readings by the hour"),
    ]
    buckets = [
        WantedBucket(bucket, keep_ns // _SECOND_NS, holds, written=stored)
        for group, stored in ((written, True), (sampled, False))
        for bucket, keep_ns, holds in group
    ]
    tasks = (
        WantedTask(f"{name}_1m", 300, _sampling(name, "1m", every="5m", lag="30s", back="10m")),
        WantedTask(f"{name}_1h", 3600, _sampling(name, "1h", every="1h", lag="5m", back="2h")),
    )
    return Layout(entry.org, tuple(buckets), tasks if entry.down_sample else ())


def marked(description: str, holds: str) -> str:
    """Return a bucket's description with the mark of this version; the owner's words stay."""
    mark = f"City Lifeline schema {SCHEMA}"
    if _MARK.search(description):
        return _MARK.sub(mark, description)
    return f"{description} ({mark})" if description else f"{mark}: {holds}"


def mark_of(description: str) -> int | None:
    """Return the layout's version a description names, None where it names none."""
    found = _MARK.search(description)
    return int(found[1]) if found else None


_TASK: Final = """\
import "date"

option task = {{name: {name}, every: {every}, offset: {lag}}}

stop = date.truncate(t: now(), unit: {unit})
start = date.sub(d: {back}, from: stop)

"""
_OVER: Final = """\
start = {start}
stop = {stop}

"""
_READINGS: Final = """\
readings = () =>
    from(bucket: {source})
        |> range(start: start, stop: stop)
        |> filter(fn: (r) => {measurements})
        |> filter(fn: (r) => r._field == "value")
        |> filter(fn: (r) => not exists r.late and not exists r.faulty)

"""
_AGGREGATE: Final = """\
readings()
    |> aggregateWindow(every: {unit}, fn: {fn}, createEmpty: false, timeSrc: "_start")
    |> set(key: "_field", value: "{fn}")
    |> to(bucket: {target})
"""
_COUNTED: Final = """\
    |> group()
    |> count()
    |> yield(name: "{fn}")
"""
AGGREGATES: Final = ("min", "mean", "max", "last", "count")


def _sampling(bucket: str, unit: str, *, every: str, lag: str, back: str) -> str:
    """Return the task's Flux: each run makes the windows of the last ``back`` once more.

    So rows that arrive some minutes late still count; a point written again takes the place of the
    one before. Late and faulty rows are told by tags, so the storage aggregates by itself: joining
    two fields in Flux took four times the memory and did not end for a large city.
    """
    head = _TASK.format(name=quoted(f"{bucket}_{unit}"), every=every, lag=lag, unit=unit, back=back)
    return head + _aggregates(bucket, unit, "\n")


def sampling_over(bucket: str, unit: str, *, start: str, stop: str) -> str:
    """Return Flux that makes the windows of a task between two times once more, RFC 3339.

    Both must be whole windows. The answer is one row an aggregate: how many points it has.
    """
    counted = _COUNTED + "\n"
    return _OVER.format(start=start, stop=stop) + _aggregates(bucket, unit, counted)


def _aggregates(bucket: str, unit: str, after: str) -> str:
    head = _READINGS.format(
        source=quoted(bucket),
        measurements=" or ".join(f"r._measurement == {quoted(m)}" for m in READINGS),
    )
    target = quoted(f"{bucket}_{unit}")
    each = _AGGREGATE + after
    return head + "".join(each.format(unit=unit, fn=fn, target=target) for fn in AGGREGATES)


def quoted(text: str) -> str:
    """Return ``text`` as a string of Flux."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")
