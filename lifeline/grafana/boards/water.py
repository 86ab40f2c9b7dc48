"""Metered areas of the water supply: which one loses water, and where a main burst."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.boards.lifelines import limit_steps, rate_panel
from lifeline.grafana.shapes import Board, Panel, Query, Row
from lifeline.grafana.units import grafana_unit
from lifeline.grafana.words import both, where_from
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifeline.grafana.city import City
    from rules.plan import ChannelRule

OF = panels.PLACE
OPEN_ROWS = 6  # areas further down are unfolded by a click: they ask nothing until then
HERE = "\"domain\" = 'water'"


def metered_areas(city: City) -> Board:
    """Return the dashboard of metered areas: a row each."""
    falls = [
        rate_panel(city, group, width=12)
        for group in city.groups.get("water", ())
        if group.quantity == "pressure" and group.of_kind("rate")
    ]
    rows = [
        panels.state_row(
            both("Is water being lost?", "有没有漏损或爆管？"), city, of=OF, condition=HERE
        ),
        Row(
            both("Where does the pressure fall, and how fast?", "哪里压力下降，多快？"),
            (
                *falls,
                panels.open_table(
                    both("Open alarms", "未结束报警"), of=OF, condition=HERE, width=12
                ),
            ),
        ),
    ]
    inlets = _assets_with(city, "flow")
    areas = [(zone, assets) for zone, assets in city.zones("water").items() if inlets & set(assets)]
    for number, (zone, assets) in enumerate(areas):
        rows.append(_area(city, zone, assets, collapsed=number >= OPEN_ROWS))
    return Board(
        uid="lifeline-water-areas",
        title=both("Metered areas and bursts", "计量分区与爆管"),
        description=both(
            "Inflow, pressure and fall of pressure of each metered area.",
            "各计量区的流入量、压力与压降速率。",
        ),
        variables=panels.variables(*OF),
        links=(panels.BACK,),
        marks=((both("alarms", "报警"), queries.marks(HERE, of=OF), "orange"),),
        rows=tuple(rows),
    )


def _assets_with(city: City, quantity: str) -> set[str]:
    channels, assets = city.registry.channels, city.registry.assets
    return {
        assets.id[int(channels.asset[row])]
        for row, name in enumerate(channels.quantity)
        if name == quantity and channels.alive[row]
    }


def _area(city: City, zone: str, assets: list[str], *, collapsed: bool) -> Row:
    """Return inflow, pressures and their fall of one area."""
    condition = f'"asset" =~ /^({"|".join(assets)})$/'
    limits = city.rules_of("threshold", domain="water", quantity="pressure")
    rates = city.rules_of("rate", domain="water", quantity="pressure")

    def panel(
        title: str, quantity: str, text: str, unit: str, rules: Sequence[ChannelRule] = ()
    ) -> Panel:
        told = where_from(rules)
        return Panel(
            kind="series",
            title=f"{title} — {told}" if told else title,
            width=8,
            steps=limit_steps(city, tuple(rules)),
            lines=True,
            queries=(Query(text, "$tag_channel"),),
            unit=grafana_unit(unit),
            decimals=QUANTITIES[quantity].decimals,
            legend=False,
            gap_ms=1_800_000,
            links=(panels.SERIES_TO_CHANNEL,),
        )

    flow = queries.trend("flow", condition, of=OF)
    lowest = queries.trend("pressure", condition, of=OF, value='min("value")')
    fall = queries.rate_per_minute("pressure", condition, of=OF)
    return Row(
        f"{zone}: {both('is it losing water?', '是否漏水？')}",
        (
            panel(both("Inflow", "流入量"), "flow", flow, "m3/h"),
            panel(both("Pressure", "压力"), "pressure", lowest, "kPa", limits),
            panel(both("Change of pressure", "压力变化率"), "pressure", fall, "kPa/min", rates),
        ),
        collapsed=collapsed,
    )
