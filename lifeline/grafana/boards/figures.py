"""How the alarms themselves do, after ISA-18.2 and EEMUA 191."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.shapes import GREY, Board, Override, Panel, Query, Row
from lifeline.grafana.words import both, severity_word

if TYPE_CHECKING:
    from lifeline.grafana.city import City

OF = ("lifeline",)
TARGET = "#d0d4da"  # of target lines: white on dark, not a level's colour
WHOLE = "\"domain\" = 'all'"


def alarm_figures(city: City) -> Board:
    """Return the dashboard of the alarms' figures."""
    return Board(
        uid="lifeline-alarm-figures",
        title=both("Alarm figures", "报警指标"),
        description=both(
            "Informed by ISA-18.2 and EEMUA 191; targets are of one operator.",
            "参考 ISA-18.2 与 EEMUA 191；目标值按单个值班席位。",
        ),
        variables=panels.variables("lifeline"),
        links=(panels.BACK,),
        begin="now-24h",
        rows=(
            panels.state_row(
                both("Can the operators keep up?", "值班员应付得过来吗？"), city, of=OF
            ),
            Row(both("How is the last day?", "最近一天如何？"), _numbers()),
            *_questions(city),
        ),
    )


def _questions(city: City) -> tuple[Row, ...]:
    """Return the figures over time."""
    most = both("Raised in ten minutes, most", "每十分钟最多新报警")
    floods = both("Floods: more than 10 in ten minutes", "报警泛滥")
    stale = both("Open for more than a day", "超过一天未结束")
    soon = both("Mean time to acknowledge", "平均确认时间")
    return (
        Row(
            both("How many alarms come?", "报警有多少？"),
            (
                _figure("raised", most, value="max", target=2),
                _by_level(city),
                _figure("flood", floods, value="max", target=1),
            ),
        ),
        Row(
            both("How many stand, and for how long?", "有多少长期未结束？"),
            (
                _figure("open", both("Open", "未结束"), value="max"),
                _figure("standing", stale, value="max", target=5),
                _figure("chattering", both("Chattering", "抖动报警"), value="max", target=1),
            ),
        ),
        Row(
            both("How soon are they acknowledged?", "多久得到确认？"),
            (
                _figure("unacked", both("Unacknowledged", "未确认"), value="max"),
                _figure("ack_s", soon, value="mean", unit="s"),
                _figure("acked", both("Acknowledged", "已确认")),
            ),
        ),
    )


def _numbers() -> tuple[Panel, ...]:
    """Return the figures of the range for the whole city, each beside its target."""
    asked = (
        ("mean", "raised", both("Raised in ten minutes, mean", "十分钟平均新报警"), 1.0, 2),
        ("max", "raised", both("Raised in ten minutes, most", "十分钟最多新报警"), 10.0, 0),
        ("sum", "flood", both("Ten minutes of flood", "泛滥时段"), 1.0, 0),
        ("last", "standing", both("Open for more than a day", "超过一天未结束"), 5.0, 0),
        ("max", "chattering", both("Chattering, most", "最多抖动报警"), 1.0, 0),
    )
    targets = {
        "raised": both("target: 1 in ten minutes, at most 10", "目标：平均 1 次，最多 10 次"),
        "flood": both("target: none", "目标：无"),
        "standing": both("target: none, at most 4", "目标：无，最多 4"),
        "chattering": both("target: none", "目标：无"),
    }
    held = [
        Panel(
            kind="stat",
            title=title,
            description=targets[field],
            width=4,
            height=4,
            queries=(
                Query(
                    f'SELECT {value}("{field}") AS "{field}" FROM "kpi" {queries.where(WHOLE)}',
                    table=True,
                ),
            ),
            unit="short",
            decimals=decimals,
            steps=((None, GREY), (target, TARGET)),
            no_value="–",
        )
        for value, field, title, target, decimals in asked
    ]
    acknowledged = f'SELECT mean("ack_s") AS "ack_s" FROM "kpi" {queries.where(WHOLE)}'
    return (
        *held,
        Panel(
            kind="stat",
            title=both("Mean time to acknowledge", "平均确认时间"),
            width=4,
            height=4,
            queries=(Query(acknowledged, table=True),),
            unit="s",
            decimals=0,
            no_value="–",
        ),
    )


def _figure(
    field: str, title: str, *, value: str = "sum", target: float | None = None, unit: str = "short"
) -> Panel:
    """Return a figure over time by lifeline, its target as a line."""
    told = "" if target is None else both(f"target: below {target:g}", f"目标：低于 {target:g}")
    return Panel(
        kind="series",
        title=f"{title} — {told}" if told else title,
        width=8,
        queries=(Query(queries.kpi(field, value=value, of=OF), "$tag_domain"),),
        unit=unit,
        decimals=0,
        lowest=0,
        interval="10m",
        steps=() if target is None else ((target, TARGET),),
        lines=target is not None,
        overrides=(Override(name="all", properties={"custom.lineWidth": 2}),),
    )


def _by_level(city: City) -> Panel:
    """Return what was raised in the whole city by level."""
    return Panel(
        kind="series",
        title=both("Raised by level", "各等级新报警"),
        description=both(
            "Target: 80 % of the lowest level, 15, 5, and below 1 % of the highest.",
            "目标：由低到高各占 80 %、15 %、5 %、不足 1 %。",
        ),
        width=8,
        queries=tuple(
            Query(
                f'SELECT sum("{level.name}") FROM "kpi" {queries.where(WHOLE)}'
                " GROUP BY time($__interval) fill(none)",
                level.name,
            )
            for level in city.levels
        ),
        unit="short",
        decimals=0,
        lowest=0,
        stacked=True,
        interval="10m",
        overrides=tuple(
            Override(
                name=level.name,
                properties={
                    "displayName": severity_word(level.severity),
                    "color": {"mode": "fixed", "fixedColor": level.colour},
                },
            )
            for level in city.levels
        ),
    )
