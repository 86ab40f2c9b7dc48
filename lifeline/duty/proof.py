"""Which safety channels are due for a proof test, and which failed their last one.

An interval holds for a quantity (``[[proof_test]]`` of city.toml) and all its channels of class
safety that are more than planned. A calibration counts as a test: it applies test gas too. What
was never tested is due since ever.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from lifeline import metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lifeline.ledger import ProofTested
    from lifeline.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One channel: its last test or calibration, and when the next is due; 0 = never, Unix ns."""

    channel: str
    asset: str
    name: str
    name_zh: str
    domain: str
    quantity: str
    every_ns: int
    last_ns: int
    due_ns: int
    passed: bool | None  # None: it was never tested
    by: str
    note: str

    def state(self, now_ns: int) -> str:
        """Return failed, overdue or good."""
        if self.passed is False:
            return "failed"
        return "overdue" if now_ns >= self.due_ns else "good"

    def told(self, now_ns: int) -> dict[str, Any]:
        """Return plain values; times in Unix ms, None where there is none."""
        return {
            "channel": self.channel,
            "asset": self.asset,
            "name": {"en": self.name, "zh": self.name_zh},
            "domain": self.domain,
            "quantity": self.quantity,
            "every_s": self.every_ns // 10**9,
            "last_ms": self.last_ns // 10**6 or None,
            "due_ms": self.due_ns // 10**6 or None,
            "state": self.state(now_ns),
            "by": self.by,
            "note": self.note,
        }


def due_tests(
    site: Site,
    newest: Mapping[str, ProofTested],
    every_ns: Mapping[str, int],
    *,
    zone: str,
    seen: Callable[[int], bool] | None = None,
) -> list[Due]:
    """Return every channel that is to be tested, failed ones first, then the longest overdue."""
    channels, assets = site.registry.channels, site.registry.assets
    found = []
    for row, quantity in enumerate(channels.quantity):
        if not _is_tested(site, row, every_ns) or not (seen is None or seen(row)):
            continue
        test = newest.get(channels.id[row])
        calibrated_ns = _midnight(channels.calibrated_on[row], zone)
        last_ns = max(test.at_ns if test else 0, calibrated_ns)
        asset = int(channels.asset[row])
        found.append(
            Due(
                channel=channels.id[row],
                asset=assets.id[asset],
                name=assets.name[asset],
                name_zh=assets.name_zh[asset],
                domain=assets.domain[asset],
                quantity=quantity,
                every_ns=every_ns[quantity],
                last_ns=last_ns,
                due_ns=last_ns + every_ns[quantity] if last_ns else 0,
                passed=test.passed if test else None,
                by=test.by if test else "",
                note=test.note if test else "",
            )
        )
    return sorted(found, key=lambda due: (due.passed is not False, due.due_ns, due.channel))


def proven_by(site: Site, every_ns: Mapping[str, int], match: str, subject: str) -> str:
    """Return the safety channel that a calibration of a subject tries out, "" where it is no one.

    ``match`` says what the subject is: asset, device or channel. Where it has several such
    channels one result cannot tell which answered: the channel is to be named then.
    """
    channels, registry = site.registry.channels, site.registry
    if match == "channel":
        rows = [registry.channel_row[subject]] if subject in registry.channel_row else []
    else:
        of = channels.device if match == "device" else channels.asset
        known = registry.device_row if match == "device" else registry.asset_row
        rows = np.flatnonzero(of == known.get(subject, -1)).tolist()
    wanted = [row for row in rows if _is_tested(site, row, every_ns)]
    return channels.id[wanted[0]] if len(wanted) == 1 else ""


def _is_tested(site: Site, row: int, every_ns: Mapping[str, int]) -> bool:
    channels = site.registry.channels
    return bool(
        channels.quantity[row] in every_ns
        and channels.alive[row]
        and channels.klass[row] == "safety"
        and channels.state[row] != "planned"
    )


def _midnight(day: str, zone: str) -> int:
    if not day:
        return 0
    at = datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone))
    return int(at.timestamp()) * 10**9


def gauge(site: Site, dues: Iterable[Due], now_ns: int) -> None:
    """Tell ``lifeline_proof_tests``, 0 too."""
    counts = Counter((due.domain, due.state(now_ns)) for due in dues)
    for domain in sorted(set(site.registry.assets.domain)):
        for state in ("overdue", "failed"):
            metrics.PROOF_TESTS_DUE.labels(domain, state).set(counts[domain, state])
