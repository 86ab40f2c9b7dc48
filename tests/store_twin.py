"""Slow, obvious twins of the store: one line a row, and a small registry to write about."""

import math

import numpy as np
from influxdb_client import Point

from rules.judge import JUDGED, LATE
from rules.registry import Assets, Channels, Devices, Registry


def registry(*, quantities=("ch4", "pressure"), district="Zhongyuan", simulation=False, ids=None):
    """A registry of one asset with a channel a quantity."""
    n = len(quantities)
    return Registry(
        content_hash=f"twin-{n}-{simulation}",
        simulation=simulation,
        assets=Assets(
            id=("410100-gas-mh-000001",), site=("s",), domain=("gas",), asset_type=("manhole",),
            name=("Manhole 1",), name_zh=("一号井",), district=(district,), zone=("z",),
            lon=np.array([113.6]), lat=np.array([34.7]), exposed_people=np.array([0]),
            attributes=({},), alive=np.array([True]),
        ),
        devices=Devices(
            id=("410100-gas-gw-000001",), kind=("gateway",), transport=("mqtt",),
            codec=("compact",), asset=np.array([0], np.int32), alive=np.array([True]),
            interval_ns=np.array([60_000_000_000]),
        ),
        channels=Channels(
            id=ids or tuple(f"410100-gas-mh-000001/s{i:02d}/{q}" for i, q in enumerate(quantities)),
            asset=np.zeros(n, np.int32), device=np.zeros(n, np.int32),
            port=np.arange(n, dtype=np.int32), key=tuple(quantities), quantity=tuple(quantities),
            unit=("1",) * n, klass=("safety",) * n, range_lo=np.zeros(n), range_hi=np.full(n, 5.0),
            resolution=np.full(n, 0.01), interval_ns=np.full(n, 60_000_000_000),
            lel_basis=np.full(n, math.nan), fault_codes=((),) * n, tags=({},) * n,
            alive=np.ones(n, np.bool_),
        ),
    )  # fmt: skip


def points(rows, verdict, registry):
    """The Point of influxdb-client for each row that is to be written, one by one."""
    group = {"ch4": "gas", "pressure": "hydraulic", "strain": "structure"}
    for i in range(len(rows)):
        c = int(rows.channel[i])
        if verdict[i] not in (JUDGED, LATE) or not 0 <= c < len(registry.channels.id):
            continue
        if not math.isfinite(rows.value[i]):
            continue
        a = int(registry.channels.asset[c])
        point = Point(group.get(registry.channels.quantity[c], "other"))
        point.tag("channel", registry.channels.id[c]).tag("asset", registry.assets.id[a])
        point.tag("domain", registry.assets.domain[a]).tag("district", registry.assets.district[a])
        point.tag("quantity", registry.channels.quantity[c])
        point.tag("sim", "1" if registry.simulation else None)
        point.tag("late", "1" if verdict[i] == LATE else None)
        failed = not rows.usable[i] or int(rows.qc_flag[i]) == 4
        point.tag("faulty", "1" if failed else None)
        point.field("value", float(rows.value[i]))
        point.field("quality", int(rows.qc_flag[i]) if rows.usable[i] else 4)
        yield point.time(int(rows.judged_ns[i]))
