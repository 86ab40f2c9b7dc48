"""The points themselves: can they be read back, are their fields of the right type, how many."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from lifeline.doctor import Finding
from lifeline.influx.fields import wanted_type
from lifeline.influx.layout import quoted
from lifeline.influx.server import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifeline.influx.layout import Layout
    from lifeline.influx.server import Server

MANY_SERIES: Final = 1_000_000
READ_BACK_S: Final = 10.0
_LOOK_S: Final = 0.2


def round_trip(server: Server, bucket: str) -> Finding:
    """Write one point of ``lifeline_check`` and read it back by InfluxQL."""
    stamp = time.time_ns()
    try:
        server.write(bucket, f"lifeline_check stamp={stamp}i {stamp}\n".encode())
        until = time.monotonic() + READ_BACK_S
        while time.monotonic() < until:
            text = 'SELECT "stamp" FROM "lifeline_check" ORDER BY time DESC LIMIT 1'
            series = server.influxql(bucket, text)
            if series and series[0]["values"][0][1] == stamp:
                return Finding("ok", "points", "one was written and read back by InfluxQL")
            time.sleep(_LOOK_S)
    except Refusal as error:
        remedy = f"let the token read bucket {bucket}: lifeline influx setup makes one that may"
        return Finding("trouble", "points", f"cannot be read back ({error})", remedy)
    said = f"one was taken and cannot be read back after {READ_BACK_S:.0f} s"
    remedy = f"does database {bucket} lead to bucket {bucket}, and is the server overloaded?"
    return Finding("trouble", "points", said, remedy)


def examine_points(server: Server, layout: Layout) -> Iterator[Finding]:
    """Tell fields that have another type than the schema's, and too many series."""
    for bucket in layout.buckets:
        try:
            yield from _field_types(server, bucket.name, sampled=not bucket.written)
        except Refusal as error:
            yield Finding("note", f"fields of {bucket.name}", f"cannot be checked ({error})")
    yield _cardinality(server, layout)


def _field_types(server: Server, bucket: str, *, sampled: bool) -> Iterator[Finding]:
    known = 0
    for series in server.influxql(bucket, "SHOW FIELD KEYS"):
        types: dict[str, set[str]] = {}
        for field, kind in series["values"]:
            types.setdefault(field, set()).add(kind)
        for field, kinds in types.items():
            wanted = wanted_type(series["name"], field, sampled=sampled)
            if not wanted:
                continue
            known += 1
            if kinds != {wanted}:
                yield _changed_type(bucket, series["name"], field, kinds, wanted)
    yield Finding("ok", f"fields of {bucket}", f"{known} fields of the schema examined")


def _changed_type(
    bucket: str, measurement: str, field: str, kinds: set[str], wanted: str
) -> Finding:
    said = f'field "{field}" of "{measurement}" is {" and ".join(sorted(kinds))}, the schema says '
    said += f"{wanted}: points of the other type are dropped until the shard ends"
    remedy = "find who else writes there (the store never changes a type); write elsewhere, or "
    remedy += f"delete that measurement from bucket {bucket}: the archive has the readings"
    return Finding("trouble", f"fields of {bucket}", said, remedy)


def _cardinality(server: Server, layout: Layout) -> Finding:
    counted, buckets = 0, 0
    for bucket in layout.buckets:
        try:
            counted += _series(server, bucket.name)
        except Refusal as error:
            if bucket == layout.main:
                return Finding("note", "series", f"cannot be counted ({error})")
        else:
            buckets += 1
    said = f"{counted:,} in {buckets} buckets"
    if counted < MANY_SERIES:
        return Finding("ok", "series", said)
    remedy = "look for a tag that changes with every point: influxdb.cardinality by measurement "
    remedy += "names it; the schema has one series a channel"
    return Finding("trouble", "series", f"{said}: InfluxDB gets slow and large", remedy)


def _series(server: Server, bucket: str) -> int:
    if server.version().startswith("1."):
        (found,) = server.influxql(bucket, "SHOW SERIES CARDINALITY")
        return int(found["values"][0][0])
    text = f'import "influxdata/influxdb"\ninfluxdb.cardinality(bucket: {quoted(bucket)}, '
    return sum(int(row["_value"]) for row in server.flux(text + "start: time(v: 0))"))
