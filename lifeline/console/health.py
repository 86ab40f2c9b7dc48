"""The health strip: how many sensors are late or bad, and how far judging lags behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.lag import engine_now

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.lag import Lag
    from lifeline.site import Site

FRESH_S: Final = 2.0  # asking a reader's place reads the disk


class LagWatch:
    """How far the engine is behind what was received, asked at most every other second.

    From the disk alone, so that a ledger that does not answer holds up no page.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made_s = -1e9
        self._held: Lag | None = None

    def seconds(self, desk: Desk) -> float | None:
        """Return for how long the oldest record that is not judged has waited; None = unknown."""
        with self._lock:
            if time.monotonic() - self._made_s > FRESH_S:
                self._held = engine_now(desk.data)
                self._made_s = time.monotonic()
            lag = self._held
        if lag is None or lag.trouble:
            return None
        if not (lag.behind and lag.since_ns):
            return 0.0
        return round(desk.clock.wall_s(max(0, desk.clock.now_ns() - lag.since_ns)), 1)


def strip(desk: Desk, sight: Sight | None) -> dict[str, Any]:
    """Return ``late`` and ``bad`` channels in number, and ``lag_s``; None = not known."""
    site = desk.keeper.site
    late = bad = 0
    if site is not None:
        seen, resting = seen_channels(site, sight), silent_devices(desk, site)
        late, bad = desk.sensors.counts(site, desk.clock.now_ns(), seen, resting)
    return {"late": late, "bad": bad, "lag_s": desk.lag.seconds(desk)}


def seen_channels(site: Site, sight: Sight | None) -> NDArray[np.bool_]:
    """Return which channels are seen, [n]."""
    if sight is None or sight.whole:
        return np.ones(len(site.registry.channels.id), np.bool_)
    return sight.channels()


def silent_devices(desk: Desk, site: Site) -> NDArray[np.bool_]:
    """Return the devices about which a dead-man alarm stands, of those on the screens."""
    resting = np.zeros(len(site.registry.devices.id), np.bool_)
    for _, drawn in list(desk.drawn.values()):
        for alarm in drawn["alarms"]:
            if alarm["active"] and alarm["rule"] in site.deadman:
                row = site.registry.device_row.get(alarm["subject"])
                if row is not None:
                    resting[row] = True
    return resting
