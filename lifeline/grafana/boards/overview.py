"""The whole city: is anything wrong, where, and what comes near to a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.shapes import GREY, Board, Link, Override, Panel, Query, Row
from lifeline.grafana.words import LIFELINES, both, lifeline_word, severity_word

if TYPE_CHECKING:
    from lifeline.grafana.city import City
    from lifeline.grafana.shapes import Properties

OF = ("district", "lifeline")
SEVEN = f'"domain" =~ /^({"|".join(LIFELINES)})$/'


def overview(city: City) -> Board:
    """Return the first dashboard."""
    return Board(
        uid=panels.OVERVIEW,
        title=both("City overview", "全市总览"),
        description=both("Is anything wrong, and where?", "有没有报警，在哪里？"),
        refresh="10s",
        variables=panels.variables(*OF),
        links=tuple(Link(lifeline_word(domain), f"/d/lifeline-{domain}") for domain in LIFELINES),
        rows=(
            panels.state_row(both("Is anything wrong now?", "现在有没有报警？"), city, of=OF),
            Row(
                both("What is open?", "哪些报警未结束？"),
                (
                    panels.open_table(both("Open alarms", "未结束报警"), of=OF, width=17),
                    _by_lifeline(city),
                ),
            ),
            Row(
                both("Where is it worst?", "哪里最严重？"),
                (panels.city_map(of=OF), panels.worst_assets(of=OF)),
            ),
            Row(
                both("What comes near to its limit?", "哪些接近限值？"),
                (_nearest(city, "high"), _nearest(city, "low")),
            ),
        ),
    )


def _by_lifeline(city: City) -> Panel:
    """Return the open alarms of each lifeline by level: the way down to it."""
    colours = tuple(
        Override(
            name=f"{level.name} (sum)",
            properties={
                "displayName": severity_word(level.severity),
                "custom.width": 92,
                "custom.cellOptions": {"type": "color-text"},
                "color": {"mode": "thresholds"},
                "thresholds": panels.steps_from_one(level.colour),
            },
        )
        for level in city.levels
    )
    down = Link(both("Lifeline", "专项"), "/d/lifeline-${__data.fields.domain}?${__url_time_range}")
    names = panels.value_map(panels.lifeline_names())
    added: Properties = {"domain": {"operation": "groupby", "aggregations": []}}
    added |= {
        level.name: {"operation": "aggregate", "aggregations": ["sum"]} for level in city.levels
    }
    return Panel(
        kind="table",
        title=both("By lifeline", "各专项"),
        width=7,
        height=9,
        queries=(Query(queries.counts(city.levels, SEVEN, of=OF, by="domain"), table=True),),
        look_back=panels.KEPT,
        overrides=(
            panels.column("domain", both("lifeline", "专项"), down, mappings=[names]),
            *colours,
        ),
        transformations=(("groupBy", {"fields": added}),),
    )


def _nearest(city: City, side: str) -> Panel:
    """Return the channels whose newest value is nearest to their lowest limit on one side.

    The share is value / limit on the high side, limit / value on the low one: 100 % is the limit.
    """
    first = city.levels[0].name
    columns = ("channel", "asset", "quantity", "value")
    divided = ("value", "limit") if side == "high" else ("limit", "value")
    share: Properties = {
        "mode": "binary",
        "binary": {"left": divided[0], "operator": "/", "right": divided[1]},
        "alias": "share",
    }
    shown = both("share of the limit", "占限值比例")
    word = {"high": both("high limits", "高限"), "low": both("low limits", "低限")}[side]
    return Panel(
        kind="table",
        title=f"{word}: {both('nearest first', '最近者在前')}",
        description=both(
            f"Newest value against the {first} limit; 100 % is the limit.",
            "最新值与最低一级限值之比，100 % 即到限。",
        ),
        width=12,
        height=10,
        queries=(
            Query(queries.newest(columns, of=OF), table=True),
            Query(queries.limits_now(first, side, of=("district", "lifeline")), table=True),
        ),
        transformations=(
            ("joinByField", {"byField": "channel", "mode": "inner"}),
            ("calculateField", share),
            ("sortBy", {"sort": [{"field": "share", "desc": True}]}),
            ("limit", {"limitField": 12}),
            panels.hidden("Time", "Time 1", "Time 2"),
        ),
        overrides=(
            panels.column("channel", both("channel", "测点"), panels.TO_CHANNEL),
            panels.column("asset", both("asset", "设施"), panels.TO_ASSET),
            panels.column(
                "quantity",
                both("quantity", "监测量"),
                mappings=[panels.value_map(panels.quantity_names())],
            ),
            panels.column("value", both("value", "数值"), decimals=3),
            panels.column("limit", both(f"{first} limit", "最低一级限值"), decimals=3),
            panels.column(
                "share",
                shown,
                unit="percentunit",
                decimals=0,
                min=0,
                max=1.2,
                custom__cellOptions={"type": "gauge", "mode": "basic"},
                color={"mode": "fixed", "fixedColor": GREY},
            ),
        ),
        sort=(shown, True),
    )
