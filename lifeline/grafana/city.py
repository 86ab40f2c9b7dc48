"""What the dashboards are made from: a site's channels, laid together by what judges them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from rules.plan import ChannelRule, Level, Plan
    from rules.registry import Registry

STATISTICAL: Final = (
    "ewma", "zscore", "cusum", "seasonal", "neighbour", "trend", "step", "modal", "stuck", "count",
)  # fmt: skip
"""Kinds whose score is drawn as it is; a rate is drawn as a derivative, a forecast by its times."""
BUCKET: Final = "lifeline"  # unless the site's file names another
_NUMBER: Final = re.compile(r"-[0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Channels of one lifeline and quantity that the same rules judge: one panel."""

    domain: str
    quantity: str
    patterns: tuple[str, ...]  # regular expressions of channel ids, rising
    rules: tuple[ChannelRule, ...]  # sides of their rules, in the order of the plan
    channels: int
    interval_ns: int  # the longest of them
    label: str  # what tells it from other groups of the quantity, "" if it is alone

    @property
    def regex(self) -> str:
        """Return a regular expression for InfluxQL that matches its channels and no others."""
        return f"/({'|'.join(self.patterns)})$/"

    def of_kind(self, *kinds: str) -> tuple[ChannelRule, ...]:
        """Return the sides of its rules of these kinds."""
        return tuple(rule for rule in self.rules if rule.kind in kinds)

    @property
    def aggregate(self) -> str:
        """Return what of an interval is drawn: the side that is dangerous must not be averaged."""
        sides = {rule.side for rule in self.of_kind("threshold")}
        return {frozenset({1}): "max", frozenset({-1}): "min"}.get(frozenset(sides), "mean")


@dataclass(frozen=True)
class City:
    """A registry and the plan compiled against it."""

    registry: Registry
    plan: Plan
    bucket: str = BUCKET

    @property
    def levels(self) -> tuple[Level, ...]:
        """Return the site's levels, by severity rising."""
        return self.plan.levels

    @cached_property
    def groups(self) -> dict[str, list[Group]]:
        """Return the groups of each lifeline: safety quantities first, by name, then the others."""
        by_pattern = self._by_pattern()
        held: dict[tuple[str, str, tuple[int, ...]], list[tuple[str, list[int]]]]
        held = defaultdict(list)
        for (domain, quantity, pattern), rows in by_pattern.items():
            rules = tuple(sorted({n for row in rows for n in self._judged_by.get(row, ())}))
            held[domain, quantity, rules].append((pattern, rows))
        groups: dict[str, list[Group]] = defaultdict(list)
        for (domain, quantity, rules), members in sorted(held.items()):
            alone = sum(key[:2] == (domain, quantity) for key in held) == 1
            rows = [row for _, some in members for row in some]
            groups[domain].append(
                Group(
                    domain=domain,
                    quantity=quantity,
                    patterns=tuple(sorted(pattern for pattern, _ in members)),
                    rules=tuple(self.plan.channel_rules[n] for n in rules),
                    channels=len(rows),
                    interval_ns=int(self.registry.channels.interval_ns[rows].max()),
                    label="" if alone else self._label(rows),
                )
            )
        return {
            domain: sorted(some, key=lambda group: (not group.rules, group.quantity, group.label))
            for domain, some in groups.items()
        }

    @cached_property
    def _judged_by(self) -> dict[int, list[int]]:
        held: dict[int, list[int]] = defaultdict(list)
        for number, rule in enumerate(self.plan.channel_rules):
            for row in rule.channel.tolist():
                held[row].append(number)
        return held

    def _by_pattern(self) -> dict[tuple[str, str, str], list[int]]:
        channels, assets = self.registry.channels, self.registry.assets
        held: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for row in np.flatnonzero(channels.alive).tolist():
            quantity = channels.quantity[row]
            if quantity in QUANTITIES and quantity != "heartbeat":
                domain = assets.domain[int(channels.asset[row])]
                held[domain, quantity, _pattern(channels.id[row])].append(row)
        return held

    def _label(self, rows: list[int]) -> str:
        """Return the assets' types and the sensors, such as ``regulator plp``."""
        channels, assets = self.registry.channels, self.registry.assets
        types = sorted({assets.asset_type[int(channels.asset[row])] for row in rows})
        sensors = sorted({_NUMBER.sub("", channels.id[row].split("/")[1]) for row in rows})
        return f"{', '.join(types)} {', '.join(sensors)}".replace("_", " ")

    def zones(self, domain: str) -> dict[str, list[str]]:
        """Return the assets with channels of each zone of a lifeline, zones by name."""
        registry = self.registry
        held: dict[str, set[str]] = defaultdict(set)
        for asset in set(registry.channels.asset[registry.channels.alive].tolist()):
            if registry.assets.domain[asset] == domain and registry.assets.zone[asset]:
                held[registry.assets.zone[asset]].add(registry.assets.id[asset])
        return {zone: sorted(some) for zone, some in sorted(held.items())}

    def rules_of(self, *kinds: str, domain: str = "", quantity: str = "") -> list[ChannelRule]:
        """Return the sides of rules of these kinds that judge such channels, in the plan's order.

        "" stands for any lifeline, any quantity.
        """
        assets, channels = self.registry.assets, self.registry.channels

        def judges(rule: ChannelRule) -> bool:
            return any(
                domain in ("", assets.domain[int(channels.asset[row])])
                and quantity in ("", channels.quantity[row])
                for row in rule.channel.tolist()
            )

        return [rule for rule in self.plan.channel_rules if rule.kind in kinds and judges(rule)]

    @cached_property
    def telling_channel(self) -> str:
        """Return the channel that most rules judge, the first of equals: what a page begins with.

        Limits of the value and a statistical score come first, so that each panel shows something.
        """

        def worth(row: int) -> tuple[int, int, int]:
            kinds = [self.plan.channel_rules[n].kind for n in self._judged_by.get(row, ())]
            expected = any(kind in ("modal", "neighbour", "seasonal") for kind in kinds)
            return (expected + ("threshold" in kinds), len(set(kinds)), -row)

        rows = np.flatnonzero(self.registry.channels.alive).tolist()
        return self.registry.channels.id[max(rows, key=worth)] if rows else ""


def common_limits(rules: tuple[ChannelRule, ...]) -> list[tuple[int, float, int]]:
    """Return (severity by place from 0, limit, side) that all channels share at all hours.

    Those that hold under an official warning only are left out: the series ``limits`` has them.
    """
    held = []
    for rule in rules:
        warned = sum(1 << i for i, each in enumerate(rule.schedules) if each.warned is not None)
        usual = [each for m, each in enumerate(rule.at_hours()) if not m & warned]
        for level in range(rule.raise_at.shape[1]):
            limits = np.unique([each.raise_at[:, level] for each in usual])
            if len(limits) == 1 and np.isfinite(limits[0]):
                held.append((level, float(limits[0]), rule.side))
    return held


def _pattern(channel: str) -> str:
    r"""Return what a channel has in common with its like: ``-mh-[0-9]+\/ch4(-[0-9]+)?\/vol``."""
    asset, sensor, name = channel.split("/")
    code = re.escape(asset.split("-")[2])
    stem = re.escape(_NUMBER.sub("", sensor)).replace("\\-", "-")
    tail = "-[0-9]+" if _NUMBER.search(sensor) else ""
    return rf"-{code}-[0-9]+\/{stem}{tail}\/{re.escape(name)}".replace("\\-", "-")
