"""A lifeline: what is open, where, and each quantity beside its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.city import STATISTICAL, common_limits
from lifeline.grafana.shapes import Board, Panel, Query, Row
from lifeline.grafana.units import grafana_unit
from lifeline.grafana.words import both, lifeline_word, quantity_word, where_from
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from lifeline.grafana.city import City, Group
    from rules.plan import ChannelRule

OF = panels.PLACE
SERVICE = ("battery", "rssi")  # of the devices: the dashboard of data quality has them


def lifeline(city: City, domain: str) -> Board:
    """Return the dashboard of one lifeline."""
    word = lifeline_word(domain)
    here = f"\"domain\" = '{domain}'"
    groups = [g for g in city.groups.get(domain, ()) if g.quantity not in SERVICE]
    judged = [trend_panel(city, g) for g in groups if g.of_kind("threshold")]
    rates = [rate_panel(city, g) for g in groups if g.of_kind("rate")]
    scores = [score_panel(city, rules) for rules in _statistical(city, domain)]
    others = [trend_panel(city, g) for g in groups if not g.of_kind("threshold")]
    rows = (
        panels.state_row(
            both(f"Is anything wrong in {word.partition(' · ')[0]}?", "本专项有没有报警？"),
            city,
            of=OF,
            condition=here,
        ),
        Row(
            both("What is open, and where?", "哪些报警未结束，在哪里？"),
            (
                panels.open_table(both("Open alarms", "未结束报警"), of=OF, condition=here),
                panels.city_map(of=OF[:2], condition=here),
                panels.worst_assets(of=OF[:2], condition=here),
            ),
        ),
        Row(both("How near are the values to their limits?", "数值离限值多远？"), tuple(judged)),
        Row(both("Does anything change unusually?", "有没有异常变化？"), (*rates, *scores)),
        Row(both("What else is measured?", "还测了什么？"), tuple(others)),
    )
    return Board(
        uid=f"lifeline-{domain}",
        title=word,
        description=both("One lifeline: what is wrong, and where?", "单个专项：哪里有问题？"),
        variables=panels.variables(*OF),
        links=(panels.BACK,),
        marks=((both("alarms", "报警"), queries.marks(here, of=OF), "orange"),),
        rows=tuple(row for row in rows if row.panels),
    )


def trend_panel(city: City, group: Group, *, width: int = 8) -> Panel:
    """Return a group's readings over time, the limits its channels share as lines."""
    what = QUANTITIES[group.quantity]
    here = f'"domain" = \'{group.domain}\' AND "channel" =~ {group.regex}'
    limits = group.of_kind("threshold")
    value = f'{group.aggregate}("value")'
    told = where_from(limits)
    return Panel(
        kind="series",
        title=_named(quantity_word(group.quantity), group.label, told),
        description=_explained(limits, value),
        width=width,
        queries=(Query(queries.trend(group.quantity, here, of=OF, value=value), "$tag_channel"),),
        unit=grafana_unit(what.unit),
        decimals=what.decimals,
        steps=limit_steps(city, limits),
        lines=True,
        legend=group.channels <= 4,  # more would scroll: the tooltip names them
        gap_ms=3 * group.interval_ns // 1_000_000,
        links=(panels.SERIES_TO_CHANNEL,),
    )


def rate_panel(city: City, group: Group, *, width: int = 8) -> Panel:
    """Return how fast a group's readings change, beside the limits of its rate rules."""
    rules = group.of_kind("rate")
    here = f'"domain" = \'{group.domain}\' AND "channel" =~ {group.regex}'
    change = both("change", "变化率")
    return Panel(
        kind="series",
        title=_named(f"{change}: {quantity_word(group.quantity)}", group.label, where_from(rules)),
        description=_explained(rules, "derivative by the minute"),
        width=width,
        queries=(Query(queries.rate_per_minute(group.quantity, here, of=OF), "$tag_channel"),),
        unit=grafana_unit(f"{QUANTITIES[group.quantity].unit}/min"),
        decimals=2,
        steps=limit_steps(city, rules),
        lines=True,
        legend=False,
        gap_ms=3 * group.interval_ns // 1_000_000,
        links=(panels.SERIES_TO_CHANNEL,),
    )


def score_panel(city: City, rules: tuple[ChannelRule, ...], *, width: int = 8) -> Panel:
    """Return what a statistical rule makes of its channels, beside its limits."""
    first = rules[0]
    here = f"\"rule\" = '{first.rule_id}'"
    return Panel(
        kind="series",
        title=_named(both("score", "评分"), f"{first.rule_id} ({first.kind})", where_from(rules)),
        description=_explained(rules, 'mean("score")'),
        width=width,
        queries=(Query(queries.score("score", here, of=OF), "$tag_channel"),),
        unit=grafana_unit(first.unit),
        decimals=1,
        steps=limit_steps(city, rules),
        lines=True,
        legend=False,
        gap_ms=3_600_000,
        links=(panels.SERIES_TO_CHANNEL,),
    )


def _statistical(city: City, domain: str) -> list[tuple[ChannelRule, ...]]:
    """Return the sides of each statistical rule of a lifeline, a tuple a rule."""
    held: dict[str, tuple[ChannelRule, ...]] = {}
    for rule in city.rules_of(*STATISTICAL, domain=domain):
        held[rule.rule_id] = (*held.get(rule.rule_id, ()), rule)
    return list(held.values())


def _named(what: str, label: str, told: str) -> str:
    return f"{what}{f' ({label})' if label else ''}{f' — {told}' if told else ''}"


def _explained(rules: tuple[ChannelRule, ...], drawn: str) -> str:
    """Return which rules the lines are of, and what is drawn of an interval."""
    names = ", ".join(sorted({rule.rule_id for rule in rules}))
    lines = (
        f"Lines: limits of {names}, as all its channels share them. · 限值线：{names}。\n"
        if names
        else ""
    )
    return f"{lines}Drawn: {drawn}. · 绘制：{drawn}。"


def limit_steps(city: City, rules: tuple[ChannelRule, ...]) -> tuple[tuple[float | None, str], ...]:
    """Return the limits as steps, rising; of two at one value the worse one's colour stands."""
    held: dict[float, int] = {}
    for level, limit, _ in common_limits(rules):
        held[limit] = max(held.get(limit, 0), level)
    return tuple((limit, city.levels[level].colour) for limit, level in sorted(held.items()))
