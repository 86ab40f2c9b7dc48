"""Which official warnings hold, by the words of docs/semantics.md: every message looked at anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.bulletins import Bulletin, bulletin_of

if TYPE_CHECKING:
    from rules.registry import Registry
    from rules.schedule import Schedule, Warned


@dataclass
class NaiveWarnings:
    """The messages said so far, in the order they came."""

    registry: Registry
    said: list[Bulletin] = field(default_factory=list)

    def take(self, data: dict[str, Any]) -> None:
        bulletin = bulletin_of(data)
        if all(old.key != bulletin.key for old in self.said):
            self.said.append(bulletin)

    def end_ns(self, warning: Bulletin) -> int:
        ends = [warning.expires_ns]
        for other in self.said:
            names_it = other.sender == warning.sender and warning.key in other.references
            if other is warning or not names_it or other.kind == "alert" or other.exercise:
                continue
            ends.append(other.sent_ns if other.kind == "cancel" else 0)
            if other.kind == "update":
                ends[-1] = max(other.sent_ns, other.onset_ns)
        return min(ends)

    def holding(self, warned: Warned, channel: int, t_ns: int) -> list[Bulletin]:
        return [
            each
            for each in self.said
            if each.kind != "cancel"
            and not each.exercise
            and (not warned.hazards or each.hazard in warned.hazards)
            and (each.severity == 0 or each.severity >= warned.at_least)
            and each.onset_ns <= t_ns < self.end_ns(each)
            and self.covers(each, channel)
        ]

    def covers(self, warning: Bulletin, channel: int) -> bool:
        """One asset at a time; of names only those that are written alike."""
        assets, row = self.registry.assets, int(self.registry.channels.asset[channel])
        told: list[bool | None] = []  # of what must be believed: inside, outside, unknown
        code = assets.id[row][:6]
        if warning.polygons:
            lon, lat = float(assets.lon[row]), float(assets.lat[row])
            inside = any(holds_point(ring, lon, lat) for ring in warning.polygons)
            told.append(inside)
        if warning.codes:
            told.append(by_code(code, warning.codes))
        if warning.areas:
            mine = assets.district[row]
            known = set(assets.district)
            named = True if mine in warning.areas else None
            if named is None and all(area in known for area in warning.areas):
                named = False
            told.append(named)
        if any(each is True for each in told):
            return True
        counts = [len(x) for x in (warning.polygons, warning.codes, warning.areas) if x]
        whole = [t for t, n in zip(told, counts, strict=True) if n >= len(warning.areas)]
        return all(each is not False for each in whole)

    def cited(self, schedules: list[Schedule], channel: int, t_ns: int) -> dict[str, Any] | None:
        found = [
            each
            for schedule in schedules
            if schedule.warned is not None
            for each in self.holding(schedule.warned, channel, t_ns)
        ]
        if not found:
            return None
        worst = min(found, key=lambda b: (-b.severity, -b.sent_ns, b.key))
        en, zh = worst.issuer
        return {
            "key": worst.key,
            "hazard": worst.hazard,
            "severity": worst.severity,
            "issuer": en or zh,
            "issuer_zh": zh or en,
            "sent_ns": worst.sent_ns,
        }


def by_code(own: str, codes: tuple[str, ...]) -> bool | None:
    """410105 lies in 4101xx of 410100; of 410100 nobody knows whether it is 410105."""
    if not own.isdigit():
        return None
    mine = own[:2] if own.endswith("0000") else own[:4] if own.endswith("00") else own
    unknown = False
    for code in codes:
        wide = code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
        if mine.startswith(wide):
            return True
        unknown |= wide.startswith(mine)
    return None if unknown else False


def holds_point(ring: tuple[tuple[float, float], ...], x: float, y: float) -> bool:
    crossed = 0
    for i, (x0, y0) in enumerate(ring):
        x1, y1 = ring[(i + 1) % len(ring)]
        if (y0 > y) == (y1 > y):
            continue
        if x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            crossed += 1
    return crossed % 2 == 1
