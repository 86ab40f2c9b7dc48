"""What the rules threshold, as points: so a chart shows the limits that really hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.store.points import point
from ingest.store.schema import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ingest.store.site_at import SiteAt
    from rules.plan import ChannelRule


class Limits:
    """A line a rule, side and channel; made once a site and given out with any time."""

    def __init__(self, site: SiteAt) -> None:
        self._site = site
        self._heads: list[bytes] | None = None

    def forget(self) -> None:
        """Registry or rules are others now."""
        self._heads = None

    def at(self, time_ns: int) -> Iterator[bytes]:
        """Yield the lines, all of one time."""
        if self._heads is None:
            fixed = [rule for rule in self._rules() if not rule.schedules]
            self._heads = list(self._lines(fixed))
        tail = b" %d\n" % time_ns
        for head in self._heads:
            yield head + tail
        yield from self._by_hours(time_ns, [rule for rule in self._rules() if rule.schedules])

    def switched(self, from_ns: int, to_ns: int) -> Iterator[bytes]:
        """Yield the lines of limits that became others by the hour in (from, to], at that time."""
        moments: dict[int, list[ChannelRule]] = {}
        known = self._site.warnings
        for rule in self._rules():
            times = {t for each in rule.schedules for t in each.switches(from_ns, to_ns, known)}
            for time_ns in times:
                moments.setdefault(time_ns, []).append(rule)
        for time_ns, rules in sorted(moments.items()):
            yield from self._by_hours(time_ns, rules)

    def warned(self, time_ns: int) -> Iterator[bytes]:
        """Yield the lines of limits that an official warning may move."""
        rules = [rule for rule in self._rules() if any(each.warned for each in rule.schedules)]
        yield from self._by_hours(time_ns, rules)

    def _by_hours(self, time_ns: int, rules: Iterable[ChannelRule]) -> Iterator[bytes]:
        tail = b" %d\n" % time_ns
        for head in self._lines(each for rule in rules for each in self._held(rule, time_ns)):
            yield head + tail

    def _held(self, rule: ChannelRule, time_ns: int) -> Iterator[ChannelRule]:
        """Yield a rule as it is at a moment: where warnings count, on each of its assets."""
        if not any(each.warned for each in rule.schedules):
            yield rule.at(time_ns)
            return
        asset = self._site.registry.channels.asset[rule.channel]
        for row in np.unique(asset).tolist():
            mine = rule.taken(np.flatnonzero(asset == row))
            yield mine.at(time_ns, self._site.warnings, row)

    def _rules(self) -> Sequence[ChannelRule]:
        plan = self._site.plan
        return () if plan is None else [rule for rule in plan.channel_rules if not rule.shadow]

    def _lines(self, rules: Iterable[ChannelRule]) -> Iterator[bytes]:
        """Yield the lines up to their time."""
        if self._site.plan is None:
            return
        levels = [level.name for level in self._site.plan.levels]
        for rule in rules:
            said = {
                "kind": rule.kind,
                "of": "value" if rule.kind == "threshold" else "score",
                "rule": rule.rule_id,
                "side": "high" if rule.side > 0 else "low",
            }
            for line in _of_rule(self._site, rule, levels, said):
                yield line.removesuffix(b" 0\n")


def _of_rule(
    site: SiteAt, rule: ChannelRule, levels: list[str], said: dict[str, str]
) -> Iterator[bytes]:
    names = site.registry.channels.id
    where = {"source": rule.source, "approved_by": rule.approved_by}
    for row, at in zip(rule.channel.tolist(), rule.raise_at.tolist(), strict=True):
        tagged = {**site.tags(names[row]), **said, "channel": names[row]}
        yield point(LIMITS, tagged, dict(zip(levels, at, strict=True)) | where, 0)
