"""Which assets of red risk are protected: by at least one safety channel that works.

An asset's risk stands in its attributes (``risk: red``), as the four-colour risk map has it. A
channel works that is more than planned, judged by a rule of class safety and within its
calibration, and about which no maintenance alarm stands, nor about the device that sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from lifeline.coverage import overdue_channels
from rules.alarms import Condition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lifeline.site import Site
    from rules.alarms import Alarm

RISK: Final = "risk"
RED: Final = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """How many assets of red risk there are, and which of them nothing protects."""

    assets: int
    unprotected: tuple[str, ...]

    @property
    def share(self) -> float | None:
        """Return the share protected, None where no asset is of red risk."""
        return 1 - len(self.unprotected) / self.assets if self.assets else None


def protected(
    site: Site,
    open_alarms: Iterable[Alarm],
    *,
    today: str,
    seen: Callable[[int], bool] | None = None,
) -> Protected:
    """Count them as the site is now; ``seen`` tells of an asset's row whether it may be seen."""
    assets, channels = site.registry.assets, site.registry.channels
    count = len(channels.id)
    safe = np.zeros(count, np.bool_)
    for rule in site.plan.slot_rules:
        if rule.klass == "safety" and not rule.shadow:
            safe[rule.channel[rule.channel < count]] = True
    safe &= channels.alive
    safe[overdue_channels(site.registry, site.plan, today=today)] = False
    troubled = {
        alarm.subject
        for alarm in open_alarms
        if alarm.klass == "maintenance" and alarm.condition is Condition.ACTIVE
    }
    devices = site.registry.devices
    silent = np.array([name in troubled for name in devices.id], np.bool_)
    working = {
        int(channels.asset[row])
        for row in np.flatnonzero(safe).tolist()
        if channels.state[row] != "planned"
        and channels.id[row] not in troubled
        and not silent[channels.device[row]]
    }
    red = [
        row
        for row, attributes in enumerate(assets.attributes)
        if assets.alive[row] and attributes.get(RISK) == RED and (seen is None or seen(row))
    ]
    return Protected(
        assets=len(red), unprotected=tuple(assets.id[r] for r in red if r not in working)
    )
