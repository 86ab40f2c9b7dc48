"""How fast points become text: our encoder beside the client's Point and a plain f-string loop.

    lifeline bench store --json FILE

All take turns on the same rows in one run; the figure is the best of the turns, in lines a
second of one core.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from influxdb_client.client.write.point import Point

from ingest.store.lines import LineEncoder
from ingest.store.schema import MEASUREMENT, prefix
from rules.readings import Readings
from rules.registry import Assets, Channels, Devices, Registry

if TYPE_CHECKING:
    from collections.abc import Callable

POINT: Any = Point  # the client has no types
QUANTITIES = ("ch4", "pressure", "strain", "temperature", "level")


def city(channels: int) -> Registry:
    """Return a made-up registry of ``channels`` channels, four an asset."""
    assets = (channels + 3) // 4
    numbers = np.arange(channels)
    of_asset = tuple(f"410100-gas-mh-{a:06d}" for a in range(assets))
    quantity = tuple(QUANTITIES[c % len(QUANTITIES)] for c in range(channels))
    return Registry(
        content_hash="bench",
        assets=Assets(
            id=of_asset,
            site=("410100-st-000001",) * assets,
            domain=("gas",) * assets,
            asset_type=("manhole",) * assets,
            name=of_asset,
            name_zh=of_asset,
            district=tuple(("Zhongyuan", "Erqi", "Jinshui")[a % 3] for a in range(assets)),
            zone=("z",) * assets,
            lon=np.full(assets, 113.6),
            lat=np.full(assets, 34.7),
            exposed_people=np.zeros(assets, np.int64),
            attributes=({},) * assets,
            alive=np.ones(assets, np.bool_),
        ),
        devices=Devices(
            id=("gw",),
            kind=("gateway",),
            transport=("mqtt",),
            codec=("compact",),
            asset=np.zeros(1, np.int32),
            interval_ns=np.ones(1, np.int64),
            alive=np.ones(1, np.bool_),
        ),
        channels=Channels(
            id=tuple(f"{of_asset[c // 4]}/s{c % 4:02d}/{quantity[c]}" for c in range(channels)),
            asset=(numbers // 4).astype(np.int32),
            device=np.zeros(channels, np.int32),
            port=numbers.astype(np.int32),
            key=quantity,
            quantity=quantity,
            unit=("1",) * channels,
            klass=("safety",) * channels,
            range_lo=np.zeros(channels),
            range_hi=np.full(channels, 100.0),
            resolution=np.full(channels, 0.01),
            interval_ns=np.full(channels, 60_000_000_000),
            lel_basis=np.full(channels, np.nan),
            fault_codes=((),) * channels,
            tags=({},) * channels,
            alive=np.ones(channels, np.bool_),
        ),
    )


def rows_of(channels: int, n: int) -> Readings:
    """Return n rows with two decimals, channels in turn, a second apart."""
    random = np.random.default_rng(7)
    return Readings.of(
        {
            "channel": np.arange(n) % channels,
            "judged_ns": 1_700_000_000_000_000_000 + np.arange(n) // channels * 1_000_000_000,
            "value": np.round(random.normal(20, 5, n), 2),
        }
    )


def columns(rows: Readings, registry: Registry) -> Callable[[], int]:
    """Return our encoder over all rows, 10 000 a batch, as the store writer does."""
    encoder = LineEncoder(registry)
    verdict = np.zeros(len(rows), np.uint8)
    step = 10_000

    def run() -> int:
        cuts = range(0, len(rows), step)
        return sum(
            len(encoder.encode(rows.take(slice(i, i + step)), verdict[i : i + step]).body)
            for i in cuts
        )

    return run


def named_rows(rows: Readings, registry: Registry) -> list[tuple[Any, ...]]:
    """Return what a loop over rows needs of each: names, quality, value and time."""
    channels, assets = registry.channels, registry.assets
    return [
        (
            MEASUREMENT[channels.quantity[c]],
            assets.id[a := int(channels.asset[c])],
            channels.id[c],
            assets.district[a],
            assets.domain[a],
            channels.quantity[c],
            q,
            v,
            t,
        )
        for c, q, v, t in zip(
            rows.channel.tolist(),
            rows.qc_flag.tolist(),
            rows.value.tolist(),
            rows.judged_ns.tolist(),
            strict=True,
        )
    ]


def f_strings_cached(rows: Readings, registry: Registry) -> Callable[[], int]:
    """Return the better loop: a prefix a channel, escaped once."""
    channel, prefixes = rows.channel.tolist(), {}
    for c in set(channel):
        prefixes[c] = prefix(registry, c, quality=1, late=False).decode()
    value, time_ns = rows.value.tolist(), rows.judged_ns.tolist()

    def run() -> int:
        each = zip(channel, value, time_ns, strict=True)
        return len("".join(f"{prefixes[c]}{v} {t}\n" for c, v, t in each).encode())

    return run


def f_strings(rows: Readings, registry: Registry) -> Callable[[], int]:
    """Return a plain loop without escaping: what one writes first, wrong for some names."""
    named = named_rows(rows, registry)

    def run() -> int:
        return len(
            "".join(
                f"{m},asset={a},channel={c},district={d},domain={o},quantity={k} "
                f"quality={q}i,value={v} {t}\n"
                for m, a, c, d, o, k, q, v, t in named
            ).encode()
        )

    return run


def points(rows: Readings, registry: Registry) -> Callable[[], int]:
    """Return the client's own way: a Point a row."""
    named = named_rows(rows, registry)

    def run() -> int:
        return len(
            "\n".join(
                POINT(m)
                .tag("asset", a)
                .tag("channel", c)
                .tag("district", d)
                .tag("domain", o)
                .tag("quantity", k)
                .field("quality", q)
                .field("value", v)
                .time(t)
                .to_line_protocol()
                for m, a, c, d, o, k, q, v, t in named
            ).encode()
        )

    return run


def measure(*, rows: int, channels: int, turns: int) -> list[dict[str, Any]]:
    """Return one row an encoder: {encoder, lines_per_s, times_point}; the encoders take turns."""
    registry, readings = city(channels), rows_of(channels, rows)
    few = readings.take(slice(0, max(rows // 10, 1)))  # Point is slow: a tenth of the rows does
    contestants = {
        "columns": (columns(readings, registry), rows),
        "f-string, cached prefix": (f_strings_cached(readings, registry), rows),
        "f-string": (f_strings(readings, registry), rows),
        "influxdb_client.Point": (points(few, registry), len(few)),
    }
    best = dict.fromkeys(contestants, 0.0)
    for run, _ in contestants.values():
        run()  # prefixes are made and caches filled once
    for _ in range(turns):
        for name, (run, n) in contestants.items():
            began = time.process_time()
            run()
            best[name] = max(best[name], n / (time.process_time() - began))
    slowest = best["influxdb_client.Point"]
    return [
        {"encoder": name, "lines_per_s": round(rate), "times_point": round(rate / slowest, 1)}
        for name, rate in best.items()
    ]
