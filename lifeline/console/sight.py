"""What an actor may see of the city: the one place that decides it, for every answer of the page.

An alarm belongs to the asset of its channel or device, or to the assets of its zone: whoever may
see one of these sees it. An asset's owner stands in its attributes (``owner: gas-firm``). What
belongs to no asset is the program's own.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from lifeline.people.roles import Actor, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lifeline.ledger.incidents import Incident
    from lifeline.site import Site
    from rules.alarms import Alarm
    from rules.registry import Assets

OWNER: Final = "owner"
MOST_KEPT: Final = 64
Scopes = tuple[Scope, ...]


class Sight:
    """What these scopes hold of one site; ``whole`` = all of the city."""

    def __init__(self, actor: Actor, site: Site | None) -> None:
        self.scopes: Scopes = actor.scopes
        self.whole = actor.whole
        self._system = actor.system
        self._site = site
        self._assets = _mask(actor, site.registry.assets) if site is not None else None
        self._zones = _zones(self._assets, site.registry.assets) if site is not None else set()

    def asset(self, row: int) -> bool:
        """Tell whether an asset row is seen."""
        if self.whole:
            return True
        return self._assets is not None and 0 <= row < len(self._assets) and bool(self._assets[row])

    def channel(self, row: int) -> bool:
        """Tell whether a channel row is seen."""
        if self.whole or self._site is None:
            return self.whole
        return self.asset(int(self._site.registry.channels.asset[row]))

    def channels(self) -> NDArray[np.bool_]:
        """Return which channels of the site are seen, [n]; none where there is no site."""
        if self._site is None or self._assets is None:
            return np.zeros(0, np.bool_)
        of = self._site.registry.channels.asset
        return np.ones(len(of), np.bool_) if self.whole else self._assets[of]

    def named(self, channel: str) -> bool:
        """Tell whether a channel is seen, by its id; one that nobody knows is not."""
        row = self._site.registry.channel_row.get(channel) if self._site is not None else None
        return self.whole or (row is not None and self.channel(row))

    def subject(self, subject: str) -> bool:
        """Tell whether what an alarm is about is seen: a channel, device, asset, zone, or us."""
        if self.whole:
            return True
        if self._site is None:
            return False  # nobody knows whose it is: whoever sees the whole city does
        row = self._site.asset_of(subject)
        if row >= 0:
            return self.asset(row)
        if subject in self._site.zones:
            return subject in self._zones
        return self._system

    def alarm(self, alarm: Alarm) -> bool:
        """Tell whether an alarm is seen, and by that may be handled by who has the role."""
        return self.subject(alarm.subject)

    def part(self, incident: Incident) -> Incident | None:
        """Return an incident with those of its alarms that are seen, None where none is."""
        if self.whole:
            return incident
        group = incident.group
        seen = tuple(m for m in group.members if self.subject(m.place.subject))
        return replace(incident, group=replace(group, members=seen)) if seen else None


def _mask(actor: Actor, assets: Assets) -> NDArray[np.bool_]:
    rows = range(len(assets.id))
    if actor.whole:
        return np.ones(len(rows), np.bool_)
    held = (
        actor.holds(
            domain=assets.domain[row],
            district=assets.district[row],
            owner=str(assets.attributes[row].get(OWNER, "")),
        )
        for row in rows
    )
    return np.fromiter(held, np.bool_, len(rows))


def _zones(seen: NDArray[np.bool_] | None, assets: Assets) -> set[str]:
    if seen is None:
        return set()
    return {assets.zone[row] for row in np.flatnonzero(seen).tolist() if assets.zone[row]}


class Sights:
    """Sights by scope, kept while the site is the same: of 85 000 assets one costs 50 ms."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._site: Site | None = None
        self._kept: dict[Scopes, Sight] = {}

    def of(self, actor: Actor, site: Site | None) -> Sight:
        """Return what an actor sees of a site."""
        with self._lock:
            if site is not self._site or len(self._kept) >= MOST_KEPT:
                self._site, self._kept = site, {}
            found = self._kept.get(actor.scopes)
            if found is None:
                found = self._kept[actor.scopes] = Sight(actor, site)
            return found
