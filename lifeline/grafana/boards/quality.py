"""The data itself: what is suspect, late, doubled or missing, and how far storing lags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.boards.lifelines import trend_panel
from lifeline.grafana.shapes import Board, Panel, Query, Row
from lifeline.grafana.words import both

if TYPE_CHECKING:
    from lifeline.grafana.city import City

OF = panels.ALL
FLAGS = {  # 1 at this flag of 1 … 4, 0 at the others
    "suspect": '("quality" - 1) * ("quality" - 2) * (4 - "quality") / 2',
    "fail": '("quality" - 1) * ("quality" - 2) * ("quality" - 3) / 6',
}
COUNTED = {
    "late": both("late", "迟到"),
    "duplicates": both("duplicates", "重复"),
    "conflicts": both("conflicts", "冲突"),
    "not_finite": both("not finite", "非有限值"),
    "unknown": both("unknown channel", "未知测点"),
}


def data_quality(city: City) -> Board:
    """Return the dashboard of the data's quality."""
    service = [
        trend_panel(city, group)
        for domain in sorted(city.groups)
        for group in city.groups[domain]
        if group.quantity == "battery"
    ]
    devices = '"channel" !~ /\\//'  # a device's id has no slash: its alarm is of silence
    rows = (
        panels.state_row(both("Can the readings be trusted?", "数据可信吗？"), city, of=OF),
        Row(
            both("How many readings are suspect, late or doubled?", "多少数据可疑、迟到或重复？"),
            (_flags(), _late(), _counted()),
        ),
        Row(
            both("Which channels are bad, and which are silent?", "哪些测点质量差，哪些失联？"),
            (_worst(), _silent()),
        ),
        Row(
            both("Which devices are silent?", "哪些设备失联？"),
            (
                panels.open_table(
                    both("Silent devices", "失联设备"), of=OF[:3], condition=devices, width=24
                ),
            ),
        ),
        Row(
            both("How far behind is the store?", "入库滞后多少？"),
            (
                _lag("lag_s", both("Age of the newest point", "最新入库数据的时间"), "s"),
                _lag("lag_records", both("Records not yet written", "待入库记录"), "none"),
                _lost(),
            ),
        ),
        Row(both("Whose battery ends?", "哪些电池将尽？"), tuple(service)),
    )
    return Board(
        uid="lifeline-data-quality",
        title=both("Data quality", "数据质量"),
        description=both(
            "Quality flags, late, doubled and missing readings, lag.",
            "质量标志、迟到、重复、缺失与滞后。",
        ),
        variables=panels.variables(*OF),
        links=(panels.BACK,),
        begin="now-3h",
        rows=tuple(row for row in rows if row.panels),
    )


def _flags() -> Panel:
    indicators = ", ".join(f'{how} AS "{name}"' for name, how in FLAGS.items())
    sums = ", ".join(f'sum("{name}") AS "{name}"' for name in FLAGS)
    text = (
        f"SELECT {sums} FROM (SELECT {indicators} FROM {queries.READINGS} {queries.where(of=OF)})"
        " WHERE $timeFilter GROUP BY time($__interval) fill(none)"
    )
    return Panel(
        kind="series",
        title=both("Suspect and failed readings", "可疑与故障数据"),
        width=8,
        queries=(Query(text, "$col $0"),),  # one series a group of quantities
        unit="short",
        decimals=0,
        lowest=0,
        stacked=True,
        legend=False,
        interval="10m",
    )


def _late() -> Panel:
    late = "\"late\" = '1'"
    text = (
        f'SELECT count("value") FROM {queries.READINGS} {queries.where(late, of=OF)}'
        ' GROUP BY time($__interval), "domain" fill(none)'
    )
    return Panel(
        kind="series",
        title=both("Late readings by lifeline", "各专项迟到数据"),
        width=8,
        queries=(Query(text, "$tag_domain $0"),),
        legend=False,
        unit="short",
        decimals=0,
        lowest=0,
        stacked=True,
        interval="10m",
    )


def _counted() -> Panel:
    """Return what the store counted of the whole city: these rows are not in InfluxDB."""
    return Panel(
        kind="series",
        title=both("Late, doubled, conflicting rows (whole city)", "迟到、重复、冲突（全市）"),
        width=8,
        queries=tuple(
            Query(queries.pipeline(name, part="readings"), shown) for name, shown in COUNTED.items()
        ),
        unit="short",
        decimals=0,
        lowest=0,
        stacked=True,
        interval="10m",
    )


def _worst() -> Panel:
    """Return each channel's worst flag in the range, the worst first."""
    text = (
        'SELECT "worst", "readings", "channel", "asset" FROM (SELECT max("quality") AS "worst",'
        f' count("value") AS "readings" FROM {queries.READINGS} {queries.where(of=OF)}'
        ' GROUP BY "channel", "asset")'
    )
    worst = both("worst flag", "最差标志")
    return Panel(
        kind="table",
        title=both("Worst flag of each channel", "各测点最差质量标志"),
        width=12,
        height=9,
        queries=(Query(text, table=True),),
        overrides=(
            panels.column("worst", worst, mappings=[panels.value_map(panels.QUALITY_SHADES)]),
            panels.column("readings", both("readings", "数据量"), unit="short"),
            panels.column("channel", both("channel", "测点"), panels.TO_CHANNEL),
            panels.column("asset", both("asset", "设施"), panels.TO_ASSET),
        ),
        transformations=(panels.hidden("Time"),),
        sort=(worst, True),
    )


def _silent() -> Panel:
    """Return the channels by the time of their newest reading, the oldest first."""
    text = queries.newest(("channel", "asset", "value"), of=OF)
    heard = both("last reading", "最后数据")
    return Panel(
        kind="table",
        title=both("Longest silent channels", "失联最久的测点"),
        width=12,
        height=9,
        queries=(Query(text, table=True),),
        look_back=panels.KEPT,
        overrides=(
            panels.column("Time", heard, unit="dateTimeFromNow"),
            panels.column("channel", both("channel", "测点"), panels.TO_CHANNEL),
            panels.column("asset", both("asset", "设施"), panels.TO_ASSET),
        ),
        transformations=(panels.hidden("value"),),
        sort=(heard, False),
    )


def _lag(field: str, title: str, unit: str) -> Panel:
    return Panel(
        kind="series",
        title=title,
        width=8,
        queries=(Query(queries.pipeline(field, value="max"), "$tag_part"),),
        unit=unit,
        decimals=0,
        lowest=0,
    )


def _lost() -> Panel:
    return Panel(
        kind="series",
        title=both("Lines refused and dropped by the server", "数据库拒收与丢弃的行"),
        width=8,
        queries=(
            Query(queries.pipeline("refused"), "refused $tag_part"),
            Query(queries.pipeline("dropped"), "dropped $tag_part"),
        ),
        unit="short",
        decimals=0,
        lowest=0,
        stacked=True,
    )
