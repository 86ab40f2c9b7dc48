"""One asset and one channel: what happens there, and whether the number is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.shapes import GREY, Board, Override, Panel, Query, Row, Variable
from lifeline.grafana.units import grafana_unit
from lifeline.grafana.words import both, where_from
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from lifeline.grafana.city import City

OF = panels.ALL
EXPECTED = {  # kind → fields of its score that say what was expected
    "modal": ("expected",),
    "neighbour": ("median",),
    "seasonal": ("median", "median + 3 sigma", "median - 3 sigma"),
}
LATE = "\"late\" = '1'"
SEASONAL_BAND = {
    "median + 3 sigma": 'mean("median") + 3 * mean("sigma")',
    "median - 3 sigma": 'mean("median") - 3 * mean("sigma")',
}


def asset(city: City) -> Board:
    """Return the dashboard of one asset: a panel for each quantity it has."""
    begin = {"asset": city.telling_channel.partition("/")[0]}
    quantity = Variable(
        name="quantity",
        label=both("quantity", "监测量"),
        query=queries.tag_values(
            "quantity", source=queries.READINGS, of=("district", "lifeline", "asset", "channel")
        ),
        hidden=True,
    )
    # `fill(previous)` begins with the first point: limits are written again each whole hour
    of_quantity = '"quantity" =~ /^$quantity$/'
    values = (
        f'SELECT mean("value") FROM {queries.READINGS}'
        f" {queries.where(of_quantity, queries.SOUND, of=OF)}"
        ' GROUP BY time($__interval), "channel", "quantity" fill(none)'
    )
    lines = queries.limit_lines(city.levels, "value", of_quantity, of=OF)
    trend = Panel(
        kind="series",
        title="$quantity",
        description=where_from(city.rules_of("threshold")),
        width=8,
        queries=(
            Query(values, "$tag_channel $tag_quantity"),
            Query(lines, "$col $tag_side · $tag_rule"),
        ),
        overrides=(*panels.quantity_units(), *panels.level_lines(city.levels)),
        gap_ms=3_600_000,
        links=(panels.SERIES_TO_CHANNEL,),
        repeat="quantity",
    )
    return Board(
        uid=panels.ASSET,
        title=both("Asset", "设施"),
        description=both("What is happening at one asset?", "设施现在怎么样？"),
        variables=(*panels.variables(*OF, begin=begin), quantity),
        links=(panels.BACK,),
        marks=((both("alarms", "报警"), queries.marks(of=OF), "orange"),),
        rows=(
            panels.state_row(both("Is anything wrong here?", "本设施有没有报警？"), city, of=OF),
            Row(
                both("What is open, and what is measured?", "哪些报警未结束，测到什么？"),
                (
                    panels.open_table(both("Open alarms", "未结束报警"), of=OF, width=14),
                    newest_table(width=10),
                ),
            ),
            Row(both("What is happening?", "正在发生什么？"), (trend,)),
            Row(both("What was it before?", "此前发生过什么？"), (history_table(of=OF),)),
        ),
    )


def channel(city: City) -> Board:
    """Return the dashboard of one channel."""
    return Board(
        uid=panels.CHANNEL,
        title=both("Channel", "测点"),
        description=both("Is the number right?", "数值对不对？"),
        variables=panels.variables(*OF, begin={"channel": city.telling_channel}),
        links=(panels.BACK,),
        marks=((both("alarms", "报警"), queries.marks(of=OF), "orange"),),
        rows=(
            panels.state_row(both("Is anything wrong here?", "该测点有没有报警？"), city, of=OF),
            Row(
                both("How far is the value from its limits?", "数值离限值多远？"),
                (_value_panel(city), newest_table(width=6, columns=("quantity", "value"))),
            ),
            Row(
                both("What do the rules make of it?", "规则如何判断？"),
                (_score_panel(city), *_expected_panels(city)),
            ),
            Row(both("Are the readings good?", "数据质量如何？"), (_quality_panel(),)),
            Row(
                both("Which limits are in force, and from where?", "哪些限值有效，来自何处？"),
                (_limit_table(city),),
            ),
            Row(both("What was it before?", "此前发生过什么？"), (history_table(of=OF),)),
        ),
    )


def newest_table(
    *, width: int, columns: tuple[str, ...] = ("channel", "quantity", "value", "quality")
) -> Panel:
    """Return the newest reading of each channel: what, how much, in which unit, how old."""
    return Panel(
        kind="table",
        title=both("Newest readings", "最新数据"),
        width=width,
        height=9,
        queries=(Query(queries.newest(columns, of=OF), table=True),),
        overrides=(
            panels.column("Time", both("measured", "测于"), unit="dateTimeFromNow"),
            panels.column(
                "channel",
                both("channel", "测点"),
                panels.TO_CHANNEL,
                panels.TO_CHANNEL_IN_CONSOLE,
                custom__width=300,
            ),
            panels.column(
                "quantity",
                both("quantity [unit]", "监测量 [单位]"),
                mappings=[panels.value_map(panels.quantity_names())],
            ),
            panels.column("value", both("value", "数值"), decimals=3),
            panels.column(
                "quality",
                both("quality", "质量"),
                mappings=[panels.value_map(panels.QUALITY_SHADES)],
            ),
        ),
    )


def history_table(*, of: tuple[str, ...]) -> Panel:
    """Return the events of the alarms, newest first."""
    return Panel(
        kind="table",
        title=both("Events", "事件"),
        width=24,
        height=9,
        queries=(Query(queries.history("", of=of), table=True),),
        overrides=(
            panels.severity_column(),
            panels.column("Time", both("measured", "测于"), custom__width=180),
            panels.column("type", both("event", "事件")),
            panels.column("channel", both("channel", "测点"), panels.TO_CHANNEL),
            panels.column("rule", both("rule", "规则")),
            panels.column("value", both("value", "数值"), decimals=3),
            panels.column("limit", both("limit", "限值"), decimals=3),
            panels.column("text", "what", custom__width=320),
            panels.column("text_zh", "内容", custom__width=260),
            panels.column("alarm", both("console", "控制台"), panels.TO_ALARM),
        ),
        sort=(both("measured", "测于"), True),
    )


def _value_panel(city: City) -> Panel:
    """Return the value with its limits as step lines; late readings as hollow points."""

    def values(late: str) -> str:
        return (
            f'SELECT mean("value") FROM {queries.READINGS} {queries.where(late, of=OF)}'
            ' GROUP BY time($__interval), "channel", "quantity" fill(none)'
        )

    hollow = Override(
        regex="/^late /",
        properties={"custom.drawStyle": "points", "custom.pointSize": 7, "custom.fillOpacity": 0},
    )
    lines = queries.limit_lines(city.levels, "value", of=OF)
    return Panel(
        kind="series",
        title=both("Value and limits", "数值与限值"),
        description=where_from(city.rules_of("threshold")),
        width=18,
        height=9,
        queries=(
            Query(values(queries.SOUND), "$tag_channel $tag_quantity"),
            Query(values(LATE), "late $tag_channel $tag_quantity"),
            Query(lines, "$col $tag_side · $tag_rule"),
        ),
        overrides=(*panels.quantity_units(), hollow, *panels.level_lines(city.levels)),
        gap_ms=3_600_000,
    )


def _score_panel(city: City) -> Panel:
    """Return what each statistical rule made of it, with the limits of its score."""
    rules = {rule.rule_id: rule for rule in city.plan.channel_rules if rule.kind != "threshold"}
    units = tuple(
        Override(regex=f"/ {rule_id}$/", properties={"unit": grafana_unit(rule.unit)})
        for rule_id, rule in sorted(rules.items())
    )
    lines = queries.limit_lines(city.levels, "score", of=OF)
    return Panel(
        kind="series",
        title=both("Score of the statistical rules and its limits", "统计规则的评分与限值"),
        description=where_from(rules.values()),
        width=12,
        height=9,
        queries=(
            Query(queries.score("score", "", of=OF), "score $tag_channel · $tag_rule"),
            Query(lines, "$col $tag_side · $tag_rule"),
        ),
        decimals=1,
        overrides=(*units, *panels.level_lines(city.levels)),
        gap_ms=3_600_000,
    )


def _expected_panels(city: City) -> tuple[Panel, ...]:
    """Return the value beside what each kind of rule expected, one panel of the kinds there are."""
    kinds = [kind for kind in EXPECTED if city.rules_of(kind)]
    if not kinds:
        return ()
    asked = [Query(queries.score("value", "", of=OF), "value · $tag_rule")]
    for kind in kinds:
        condition = f"\"kind\" = '{kind}'"
        for name in EXPECTED[kind]:
            text = queries.score(name, condition, of=OF)
            if name in SEASONAL_BAND:
                text = text.replace(f'mean("{name}")', SEASONAL_BAND[name])
            asked.append(Query(text, f"{name} · $tag_rule"))
    dashed = {"custom.lineStyle": {"fill": "dash", "dash": [4, 4]}, "custom.lineWidth": 1}
    quiet = {"color": {"mode": "fixed", "fixedColor": GREY}}
    units = tuple(
        Override(regex=f"/ {rule_id}$/", properties={"unit": grafana_unit(unit)})
        for rule_id, unit in sorted(_value_units(city, kinds).items())
    )
    return (
        Panel(
            kind="series",
            title=both("Value and what was expected", "数值与预期"),
            description=both(
                "Median or line that a rule compares with, and its band.",
                "规则所比较的中位值或基线及其范围。",
            ),
            width=12,
            height=9,
            queries=tuple(asked),
            overrides=(
                *units,
                Override(regex="/^(median|expected)/", properties=dashed | quiet),
            ),
            colour="text",
            gap_ms=3_600_000,
        ),
    )


def _value_units(city: City, kinds: list[str]) -> dict[str, str]:
    """Return the unit of the readings that each rule of these kinds judges, where it is one."""
    held: dict[str, str] = {}
    for rule in city.rules_of(*kinds):
        names = {city.registry.channels.quantity[int(row)] for row in rule.channel}
        if len(names) == 1:
            held[rule.rule_id] = QUANTITIES[names.pop()].unit
    return held


def _quality_panel() -> Panel:
    text = (
        f'SELECT last("quality") FROM {queries.READINGS} {queries.where(of=OF)}'
        ' GROUP BY time($__interval), "channel" fill(none)'
    )
    return Panel(
        kind="timeline",
        title=both("Quality of the readings", "数据质量"),
        description=both("QARTOD flags of the stored rows.", "QARTOD 质量标志。"),
        width=24,
        height=5,
        queries=(Query(text, "$tag_channel"),),
        mappings=(panels.QUALITY_SHADES,),
    )


def _limit_table(city: City) -> Panel:
    """Return the limits with their source; what nobody approved is said."""
    shown = {"": both("default limits, not approved", "默认限值，未经批准")}
    sources = {
        "clause": both("clause", "条款"),
        "vendor": both("vendor", "厂家"),
        "estimate": both("estimate", "估计"),
    }
    return Panel(
        kind="table",
        title=both("Limits", "限值"),
        width=24,
        height=7,
        queries=(Query(queries.limit_table(city.levels, of=OF), table=True),),
        decimals=3,
        overrides=(
            panels.column("channel", both("channel", "测点"), custom__width=300),
            panels.column("rule", both("rule", "规则"), custom__width=220),
            panels.column("side", both("side", "方向")),
            panels.column("of", both("compared with", "比较对象")),
            panels.column(
                "source", both("source", "来源"), mappings=[panels.value_map(dict(sources))]
            ),
            panels.column(
                "approved_by",
                both("approved by", "批准人"),
                mappings=[panels.value_map(dict(shown))],
                noValue=shown[""],
            ),
        ),
        transformations=(panels.hidden("Time"),),
    )
