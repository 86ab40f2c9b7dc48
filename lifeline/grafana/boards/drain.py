"""Rain and drainage: how hard it rains, how full it is, and when it will be too full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.boards.lifelines import limit_steps, trend_panel
from lifeline.grafana.shapes import GREY, Board, Override, Panel, Query, Row
from lifeline.grafana.words import both, where_from

if TYPE_CHECKING:
    from lifeline.grafana.city import City
    from lifeline.grafana.shapes import Properties

OF = panels.PLACE
HERE = "\"domain\" = 'drain'"


def rain_and_drainage(city: City) -> Board:
    """Return the dashboard of rain, levels, ponding and their forecast."""
    groups = [
        (quantity, trend_panel(city, group))
        for quantity in ("rain", "ponding", "level")
        for group in city.groups.get("drain", ())
        if group.quantity == quantity
    ]
    rows = (
        panels.state_row(
            both("Is water where it should not be?", "有没有积水或溢流？"),
            city,
            of=OF,
            condition=HERE,
        ),
        Row(
            both("How hard does it rain, and how full is it?", "雨多大，水多深？"),
            tuple(panel for _, panel in groups),
        ),
        Row(
            both("When will the limit be reached?", "何时达到限值？"),
            (*_forecasts(city), _soonest()),
        ),
        Row(
            both("What is open in drainage?", "排水有哪些报警？"),
            (panels.open_table(both("Open alarms", "未结束报警"), of=OF, condition=HERE),),
        ),
    )
    return Board(
        uid="lifeline-drain-forecast",
        title=both("Rain and drainage", "降雨与排水"),
        description=both(
            "Rain, levels, ponding and when limits will be reached.",
            "雨强、液位、积水及到限时间预测。",
        ),
        variables=panels.variables(*OF),
        links=(panels.BACK,),
        marks=((both("alarms", "报警"), queries.marks(HERE, of=OF), "orange"),),
        rows=rows,
    )


def _forecasts(city: City) -> tuple[Panel, ...]:
    """Return the band of each forecast rule: from the early bound to the late one."""
    held = []
    for rule in city.rules_of("forecast", domain="drain"):
        here = f"\"rule\" = '{rule.rule_id}'"
        names = ("eta_p10_s", "eta_p50_s", "eta_p90_s")
        asked = tuple(
            Query(
                queries.score(name, here, of=OF, source="forecast"),
                f"{name.split('_')[1]} $tag_channel",
            )
            for name in names
        )
        quiet: Properties = {"color": {"mode": "fixed", "fixedColor": GREY}}
        thin: Properties = {"custom.lineStyle": {"fill": "dash", "dash": [4, 4]}}
        held.append(
            Panel(
                kind="series",
                title=f"{both('Time to the limit', '到限时间')} ({rule.rule_id}) — "
                f"{where_from([rule])}",
                description=both(
                    "Early, middle and late bound; 8 in 10 crossings lie between p10 and p90.",
                    "早、中、晚三条界线；十次中有八次落在 p10 与 p90 之间。",
                ),
                width=8,
                queries=asked,
                unit="s",
                lowest=0,
                colour="text",
                steps=limit_steps(city, (rule,)),
                lines=True,
                legend=False,
                overrides=(Override(regex="/^p(10|90) /", properties=quiet | thin),),
                gap_ms=1_800_000,
            )
        )
    return tuple(held)


def _soonest() -> Panel:
    """Return the newest forecast of each channel, the soonest first."""
    shown = '"channel", "asset", "rule", "value", "eta_p10_s", "eta_p50_s", "eta_p90_s"'
    inner = (
        'SELECT last("eta_p10_s") AS "eta_p10_s", "eta_p50_s", "eta_p90_s", "value" FROM "forecast"'
        f' {queries.where(HERE, of=OF)} GROUP BY "rule", "channel", "asset"'
    )
    early = both("early", "最早")
    return Panel(
        kind="table",
        title=both("Soonest", "最早到限"),
        width=8,
        queries=(Query(f"SELECT {shown} FROM ({inner})", table=True),),
        overrides=(
            panels.column("Time", both("foretold", "预测于"), unit="dateTimeFromNow"),
            panels.column("channel", both("channel", "测点"), panels.TO_CHANNEL),
            panels.column("eta_p10_s", early, unit="s"),
            panels.column("eta_p50_s", both("middle", "居中"), unit="s"),
            panels.column("eta_p90_s", both("late", "最晚"), unit="s"),
        ),
        transformations=(panels.hidden("asset", "rule", "value"),),
        sort=(early, False),
    )
