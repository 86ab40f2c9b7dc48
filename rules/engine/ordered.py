"""Times out of service that a person orders while working on site: Controls ``window``.

A plan's maintenance windows are written beforehand; whoever stands at a sensor with test gas orders
one now. It holds as those of the plan do (`holds.py`), for two hours at most, and ends by itself.
What is not understood holds nothing: the louder side wins. docs/semantics.md section 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rules.plan import Maintenance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.registry import Registry

LONGEST_NS: Final = 2 * 3600 * 10**9
MARK: Final = "work:"
"""Begins the id of every ordered window; no id of a plan has a colon."""
MATCHES: Final = ("asset", "device", "channel")
Order = dict[str, Any]


def read_order(data: Mapping[str, Any]) -> Order | None:
    """Return a window as the engine keeps it, None where the Control's data are none.

    Kept are ``window`` (id), ``match`` (one of MATCHES), ``subject`` (id), ``from_ns``, ``to_ns``,
    ``by`` and ``reason``: whole numbers and texts, so that a snapshot holds them as JSON.
    """
    kept = {name: data.get(name, "") for name in ("window", "match", "subject", "by", "reason")}
    times = [data.get(name) for name in ("from_ns", "to_ns")]
    if not all(isinstance(text, str) for text in kept.values()):
        return None
    if not all(isinstance(ns, int) and not isinstance(ns, bool) for ns in times):
        return None
    from_ns, to_ns = int(times[0] or 0), int(times[1] or 0)
    if not kept["window"].startswith(MARK) or kept["match"] not in MATCHES:
        return None
    if not 0 < to_ns - from_ns <= LONGEST_NS:
        return None
    return kept | {"from_ns": from_ns, "to_ns": to_ns}


def windows_of(orders: Iterable[Order], registry: Registry) -> list[Maintenance]:
    """Return the windows of orders against a registry."""
    return [
        Maintenance(
            window_id=order["window"], from_ns=order["from_ns"], to_ns=order["to_ns"],
            subjects=_subjects(order["match"], order["subject"], registry), by=order["by"],
            reason=order["reason"],
        )
        for order in orders
    ]  # fmt: skip


def _subjects(match: str, subject: str, registry: Registry) -> frozenset[str]:
    """Return what is worked on: a channel, or a device or asset with all that is on it."""
    channels, devices = registry.channels, registry.devices
    if match == "channel":
        return frozenset({subject} & set(registry.channel_row))
    if match == "device":
        row = registry.device_row.get(subject)
        mine: Any = [] if row is None else np.flatnonzero(channels.device == row)
        return frozenset({channels.id[i] for i in mine} | ({subject} if row is not None else set()))
    row = registry.asset_row.get(subject)
    if row is None:
        return frozenset()
    names = {channels.id[i] for i in np.flatnonzero(channels.asset == row)}
    names |= {devices.id[i] for i in np.flatnonzero(devices.asset == row)}
    return frozenset(names | {subject})
