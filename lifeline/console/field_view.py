"""What the field page is told of an asset, and field entries as every answer has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lifeline.console.incident_view import shown
from lifeline.console.live import channel_row
from lifeline.console.view import alarm_json
from lifeline.ledger.field import Did, FieldBook
from lifeline.ledger.incidents import Incidents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lifeline.console.desk import Desk
    from lifeline.console.sight import Sight
    from lifeline.ledger.field import Entry
    from lifeline.photos import Photos
    from lifeline.site import Site

MS_NS: Final = 1_000_000
MOST_CHANNELS, MOST_ENTRIES = 50, 30
CALIBRATING: Final = "calibrating"
"""The quality of a channel that somebody works on."""


def here_json(desk: Desk, site: Site, row: int, sight: Sight, book: FieldBook) -> dict[str, Any]:
    """Return what is open at an asset, what it says now, and what was done there."""
    asset_id, now_ns = site.registry.assets.id[row], desk.clock.now_ns()
    held = [a for a in desk.stand_in.current.open_alarms() if site.asset_of(a.subject) == row]
    channels = site.registry.channels
    rows = np.flatnonzero(channels.alive & (channels.asset == row))[:MOST_CHANNELS].tolist()
    zone, simulation = desk.settings.zone, desk.keeper.simulation
    work = [each for each in book.running() if each.asset_id == asset_id]
    return {
        "now_ms": now_ns // MS_NS,
        "zone": zone,
        "simulation": simulation,
        "alarms": [alarm_json(a, site, zone=zone, simulation=simulation) for a in held],
        "incidents": _incidents(desk, site, row, sight),
        "channels": overlaid([channel_row(desk, site, c, now_ns) for c in rows], work, site),
        "work": [entry_json(each, desk.photos) for each in work],
        "entries": [
            entry_json(each, desk.photos) for each in book.of_asset(asset_id, limit=MOST_ENTRIES)
        ],
    }


def _incidents(desk: Desk, site: Site, row: int, sight: Sight) -> list[dict[str, Any]]:
    incidents = Incidents(desk.ledger)
    here = [
        (part, each)
        for each in incidents.list(limit=None)
        if any(site.asset_of(m.place.subject) == row for m in each.group.members)
        and (part := sight.part(each)) is not None
    ]
    return shown(desk, incidents, here, {})


def entry_json(entry: Entry, photos: Photos) -> dict[str, Any]:
    """Return one entry; ``photo`` is None where it is kept no longer."""
    said = {k: v for k, v in entry.said.items() if k not in ("until_ns", "photo")}
    if entry.did is Did.PHOTO:
        photo = entry.said["photo"]
        kept = photos.path(photo["hash"]) is not None
        size = {"width": photo["width"], "height": photo["height"]}
        said["photo"] = {"href": f"/api/photos/{entry.entry_id}", **size} if kept else None
    if entry.did is Did.CALIBRATE:
        said["until_ms"] = entry.said["until_ns"] // MS_NS
    return {
        "id": entry.entry_id,
        "asset": entry.asset_id,
        "incident": entry.incident_id,
        "did": entry.did.value,
        "at_ms": entry.at_ns // MS_NS,
        "got_ms": entry.got_ns // MS_NS,
        "by": entry.by,
        **said,
    }


def overlaid(
    channels: list[dict[str, Any]], work: Iterable[Entry], site: Site
) -> list[dict[str, Any]]:
    """Return channels of which those that somebody works on say so: their quality."""
    held = [(each.said["match"], each.said["subject"]) for each in work]
    return [
        channel | {"quality": CALIBRATING} if any(_on(site, channel, *of) for of in held)
        else channel
        for channel in channels
    ]  # fmt: skip


def _on(site: Site, channel: dict[str, Any], match: str, subject: str) -> bool:
    registry = site.registry
    if match == "channel":
        return bool(channel["id"] == subject)
    if match == "device":
        row = registry.channel_row[channel["id"]]
        return int(registry.channels.device[row]) == registry.device_row.get(subject, -1)
    return bool(channel["asset"] == subject)
