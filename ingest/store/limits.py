"""What the rules threshold, as points: so a chart shows the limits that really hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.store.points import point
from ingest.store.schema import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ingest.store.site_at import SiteAt
    from rules.plan import ChannelRule


def limit_points(site: SiteAt, time_ns: int) -> Iterator[bytes]:
    """Yield a line a rule, side and channel, all of one time."""
    if site.plan is None:
        return
    levels = [level.name for level in site.plan.levels]
    for rule in site.plan.channel_rules:
        said = {
            "kind": rule.kind,
            "of": "value" if rule.kind == "threshold" else "score",
            "rule": rule.rule_id,
            "side": "high" if rule.side > 0 else "low",
        }
        yield from _of_rule(site, rule, levels, said, time_ns)


def _of_rule(
    site: SiteAt, rule: ChannelRule, levels: list[str], said: dict[str, str], time_ns: int
) -> Iterator[bytes]:
    names = site.registry.channels.id
    where = {"source": rule.source, "approved_by": rule.approved_by}
    for row, at in zip(rule.channel.tolist(), rule.raise_at.tolist(), strict=True):
        tagged = {**site.tags(names[row]), **said, "channel": names[row]}
        yield point(LIMITS, tagged, dict(zip(levels, at, strict=True)) | where, time_ns)
