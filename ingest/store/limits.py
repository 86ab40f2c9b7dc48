"""What the rules threshold, as points: so a chart shows the limits that really hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.store.points import point
from ingest.store.schema import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

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
            self._heads = [line.removesuffix(b" 0\n") for line in _lines(self._site)]
        tail = b" %d\n" % time_ns
        for head in self._heads:
            yield head + tail


def _lines(site: SiteAt) -> Iterator[bytes]:
    if site.plan is None:
        return
    levels = [level.name for level in site.plan.levels]
    for rule in (rule for rule in site.plan.channel_rules if not rule.shadow):
        said = {
            "kind": rule.kind,
            "of": "value" if rule.kind == "threshold" else "score",
            "rule": rule.rule_id,
            "side": "high" if rule.side > 0 else "low",
        }
        yield from _of_rule(site, rule, levels, said)


def _of_rule(
    site: SiteAt, rule: ChannelRule, levels: list[str], said: dict[str, str]
) -> Iterator[bytes]:
    names = site.registry.channels.id
    where = {"source": rule.source, "approved_by": rule.approved_by}
    for row, at in zip(rule.channel.tolist(), rule.raise_at.tolist(), strict=True):
        tagged = {**site.tags(names[row]), **said, "channel": names[row]}
        yield point(LIMITS, tagged, dict(zip(levels, at, strict=True)) | where, 0)
