"""How many times faster than real time a city of each profile is generated, on one core."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from simulators.city import PROFILES
from simulators.stream import City

if TYPE_CHECKING:
    from collections.abc import Callable

WANTED = 200  # times real time, of scalars
BEGIN_NS = 1_773_100_800_000_000_000  # 2026-03-10T08:00:00+08:00, a morning peak
HOUR_NS = 3_600_000_000_000


def measure(
    profiles: tuple[str, ...] = PROFILES,
    *,
    hours: int = 2,
    tell: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Return a row a profile: channels, readings, CPU seconds, times real time.

    The first window is not counted: it fills the day's tables of weather and demand.
    """
    rows: list[dict[str, Any]] = []
    for profile in profiles:
        began = time.process_time()
        city = City(profile, seed=1)
        made_s = time.process_time() - began
        city.window(BEGIN_NS - HOUR_NS // 6, BEGIN_NS)
        began, count = time.process_time(), 0
        for hour in range(hours):
            begin_ns = BEGIN_NS + hour * HOUR_NS
            count += len(city.window(begin_ns, begin_ns + HOUR_NS))
        spent_s = time.process_time() - began
        rows.append(
            {
                "profile": profile,
                "devices": len(city.registry.devices.id),
                "channels": len(city.registry.channels.id),
                "registry_s": round(made_s, 2),
                "readings": count,
                "cpu_s": round(spent_s, 3),
                "ns_reading": round(spent_s / count * 1e9),
                "times_real_time": round(hours * 3600 / spent_s),
            }
        )
        tell("  ".join(f"{name} {value}" for name, value in rows[-1].items()))
    return rows
