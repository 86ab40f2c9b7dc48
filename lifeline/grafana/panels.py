"""The panels that stand on more than one dashboard, and the settings all of them share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifeline.console.sentences import domain_words, unit_word
from lifeline.grafana import queries
from lifeline.grafana.shapes import GREY, Link, Override, Panel, Properties, Query, Row, Variable
from lifeline.grafana.units import grafana_unit
from lifeline.grafana.words import QUALITIES, both, quantity_word, severity_word
from rules.quantities import QUANTITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lifeline.grafana.city import City
    from rules.plan import Level

OVERVIEW: Final = "lifeline-overview"
ASSET: Final = "lifeline-asset"
CHANNEL: Final = "lifeline-channel"
CONSOLE: Final = "http://127.0.0.1:8480"
ALL: Final = ("district", "lifeline", "asset", "channel")
PLACE: Final = ("district", "asset", "channel")  # of one lifeline
KEPT: Final = "90d"  # an alarm may stand for long: as far back as the bucket is advised to keep
_CARRIED: Final = "${district:queryparam}&${__url_time_range}"

BACK: Final = Link(both("City overview", "全市总览"), f"/d/{OVERVIEW}")
TO_ALARM: Final = Link(
    both("Acknowledge in the console", "到控制台确认"),
    "${console}/#alarm=${__data.fields.alarm}",
    new_tab=True,
)
TO_CHANNEL_IN_CONSOLE: Final = Link(
    both("Open in the console", "在控制台打开"),
    "${console}/#channel=${__data.fields.channel}",
    new_tab=True,
)
TO_ASSET: Final = Link(
    both("Asset", "设施"), f"/d/{ASSET}?var-asset=${{__data.fields.asset}}&{_CARRIED}"
)
TO_CHANNEL: Final = Link(
    both("Channel", "测点"), f"/d/{CHANNEL}?var-channel=${{__data.fields.channel}}&{_CARRIED}"
)
SERIES_TO_CHANNEL: Final = Link(
    both("Channel", "测点"), f"/d/{CHANNEL}?var-channel=${{__field.labels.channel}}&{_CARRIED}"
)

LEVELS: Final[dict[str, object]] = {
    "0": (severity_word(0), GREY),
    "1": (severity_word(1), "blue"),
    "2": (severity_word(2), "yellow"),
    "3": (severity_word(3), "orange"),
    "4": (severity_word(4), "red"),
}
QUALITY_SHADES: Final[dict[str, object]] = {
    "1": (QUALITIES[1], "#4a4f57"),
    "2": (QUALITIES[2], "#6d737c"),
    "3": (QUALITIES[3], "#b7bcc4"),
    "4": (QUALITIES[4], "#ffffff"),
}


def lifeline_names() -> dict[str, object]:
    """Return the value map of the tag ``domain``."""
    return {domain: both(*words) for domain, words in domain_words().items()}


def quantity_names() -> dict[str, object]:
    """Return the value map of the tag ``quantity``: a value beside it has its unit."""
    return {
        name: f"{quantity_word(name)} [{unit_word(what.unit) or '1'}]"
        for name, what in QUANTITIES.items()
    }


def severity_column() -> Override:
    """Return the settings of the column of severities: word, shape and colour."""
    background: Properties = {"type": "color-background", "mode": "basic"}
    return column(
        "severity",
        both("level", "等级"),
        mappings=[value_map(LEVELS)],
        custom__cellOptions=background,
        custom__width=130,
    )


def value_map(values: dict[str, object]) -> Properties:
    """Return a value map as an override holds it."""
    options: Properties = {}
    for index, (value, shown) in enumerate(values.items()):
        text, colour = shown if isinstance(shown, tuple) else (shown, None)
        options[value] = {"text": text, "index": index} | ({"color": colour} if colour else {})
    return {"type": "value", "options": options}


def column(name: str, shown: str, *links: Link, **properties: object) -> Override:
    """Return a column's heading, links and settings; dots of Grafana's names as ``__``."""
    held: Properties = {"displayName": shown}
    held |= {key.replace("__", "."): value for key, value in properties.items()}
    if links:
        held["links"] = [
            {"title": link.title, "url": link.url, "targetBlank": link.new_tab} for link in links
        ]
    return Override(name=name, properties=held)


def hidden(*names: str) -> tuple[str, Properties]:
    """Return the transformation that leaves columns out."""
    left_out: Properties = dict.fromkeys(names, True)
    return ("organize", {"excludeByName": left_out, "indexByName": {}, "renameByName": {}})


def level_lines(levels: Sequence[Level]) -> tuple[Override, ...]:
    """Return how limit lines look: thin steps in their level's colour."""
    return tuple(
        Override(
            regex=f"/^{level.name} /",
            properties={
                "color": {"mode": "fixed", "fixedColor": level.colour},
                "custom.lineInterpolation": "stepAfter",
                "custom.lineStyle": {"fill": "dash", "dash": [8, 6]},
                "custom.lineWidth": 1,
                "custom.showPoints": "never",
            },
        )
        for level in levels
    )


def quantity_units() -> tuple[Override, ...]:
    """Return the unit of series whose name ends in a quantity."""
    return tuple(
        Override(
            regex=f"/ {name}$/",
            properties={"unit": grafana_unit(what.unit), "decimals": what.decimals},
        )
        for name, what in sorted(QUANTITIES.items())
    )


def variables(*names: str, begin: dict[str, str] | None = None) -> tuple[Variable, ...]:
    """Return these variables in the order of all dashboards, each narrowed by those before it."""
    labels = {
        "district": both("district", "片区"),
        "lifeline": both("lifeline", "专项"),
        "asset": both("asset", "设施"),
        "channel": both("channel", "测点"),
    }
    held: list[Variable] = []
    for name in (n for n in ALL if n in names):
        source = queries.READINGS if name == "channel" else '"asset_state"'
        tag = "domain" if name == "lifeline" else name
        before = [variable.name for variable in held]
        held.append(
            Variable(
                name=name,
                label=labels[name],
                query=queries.tag_values(tag, source=source, of=before),
                begin=(begin or {}).get(name, ""),
            )
        )
    console = Variable(name="console", label=both("console", "控制台"), begin=CONSOLE)
    return (*held, console)


def state_row(question: str, city: City, *, of: Sequence[str], condition: str = "") -> Row:
    """Return the first row of every dashboard: what is open, and what this view is worth."""
    return Row(
        question,
        (
            _open_by_level(city, of=of, condition=condition),
            Panel(
                kind="stat",
                title=both("Are these real readings?", "是否真实数据"),
                width=5,
                height=4,
                queries=(Query(where_simulated(of), table=True),),
                mappings=({"from": 1, "to": None, "text": "演练 / 仿真 · SIMULATED"},),
                no_value=both("live", "实时"),
            ),
            Panel(
                kind="stat",
                title=both("Limits nobody has approved here", "未经本地批准的默认限值"),
                description=both(
                    "Default limits, not approved for this site.", "默认限值，未经本地批准。"
                ),
                width=4,
                height=4,
                queries=(Query(queries.unapproved(of=of), table=True),),
                no_value="–",
            ),
            Panel(
                kind="stat",
                title=both("Age of the newest reading", "最新数据的时间"),
                width=4,
                height=4,
                queries=(
                    Query(queries.pipeline("lag_s", part="readings", value="last"), alias="lag"),
                ),
                unit="s",
                decimals=0,
                no_value=both("no data yet", "尚无数据"),
            ),
        ),
    )


def _open_by_level(city: City, *, of: Sequence[str], condition: str) -> Panel:
    """Return the counts of open alarms: grey at zero, else in the level's colour."""
    colours = tuple(
        Override(
            name=level.name,
            properties={
                "displayName": severity_word(level.severity),
                "thresholds": steps_from_one(level.colour),
            },
        )
        for level in city.levels
    )
    return Panel(
        kind="stat",
        title=both("Open alarms by level", "各等级未结束报警"),
        width=11,
        height=4,
        queries=(Query(queries.counts(city.levels, condition, of=of), table=True),),
        steps=((None, GREY), (1, GREY)),
        overrides=colours,
        no_value=both("no data", "无数据"),
        calculation="sum",
        text="value_and_name",
        look_back=KEPT,
    )


def steps_from_one(colour: str) -> Properties:
    """Return thresholds of a count: grey at 0, a colour from 1 on."""
    steps = [{"color": GREY, "value": None}, {"color": colour, "value": 1}]
    return {"mode": "absolute", "steps": steps}


def where_simulated(of: Iterable[str]) -> str:
    """Return how many states of assets carry the mark of simulated data."""
    mark = "\"sim\" = '1'"
    return (
        f'SELECT count("severity") AS "simulated" FROM "asset_state" {queries.where(mark, of=of)}'
    )


def open_table(title: str, *, of: Sequence[str], condition: str = "", width: int = 24) -> Panel:
    """Return the table of open alarms, worst first, with the way to acknowledge each."""
    return Panel(
        kind="table",
        title=title,
        width=width,
        height=9,
        queries=(Query(queries.open_alarms(condition, of=of), table=True),),
        look_back=KEPT,
        sort=(both("level", "等级"), True),
        overrides=(
            severity_column(),
            column("domain", both("lifeline", "专项"), mappings=[value_map(lifeline_names())]),
            column("asset", both("asset", "设施"), TO_ASSET),
            column("channel", both("channel", "测点"), TO_CHANNEL, TO_CHANNEL_IN_CONSOLE),
            column("rule", both("rule", "规则")),
            column("text", "what", custom__width=360),
            column("text_zh", "内容", custom__width=300),
            column("since", both("since", "起始"), unit="dateTimeFromNow", custom__width=140),
            column("alarm", both("acknowledge", "确认"), TO_ALARM, custom__width=130),
        ),
        transformations=(hidden("Time"),),
        no_value=both("no alarm stands", "当前无报警"),
    )


def worst_assets(*, of: Sequence[str], condition: str = "", width: int = 12) -> Panel:
    """Return the table of assets, the worst first."""
    return Panel(
        kind="table",
        title=both("Worst assets", "最严重的设施"),
        width=width,
        height=10,
        queries=(Query(queries.assets(condition, of=of), table=True),),
        sort=(both("level", "等级"), True),
        overrides=(
            severity_column(),
            column("asset", both("asset", "设施"), TO_ASSET),
            column("name", "name", custom__width=220),
            column("name_zh", "名称", custom__width=180),
            column("domain", both("lifeline", "专项"), mappings=[value_map(lifeline_names())]),
            column("district", both("district", "片区")),
            column("open", both("open", "未结束")),
            column("unacked", both("unacknowledged", "未确认")),
            column("exposed", both("people exposed", "影响人数")),
        ),
        transformations=(hidden("Time", "lat", "lon"),),
    )


def city_map(*, of: Sequence[str], condition: str = "", width: int = 12) -> Panel:
    """Return the map of assets; grey is normal, larger is worse."""
    return Panel(
        kind="map",
        title=both("Where is it?", "在哪里"),
        width=width,
        height=10,
        queries=(Query(queries.assets(condition, of=of), table=True),),
        steps=((None, GREY), (1, "blue"), (2, "yellow"), (3, "orange"), (4, "red")),
        links=(TO_ASSET,),
        overrides=(
            Override(name="severity", properties={"mappings": [value_map(LEVELS)]}),
            Override(name="lat", properties={"unit": "degree", "decimals": 5}),
            Override(name="lon", properties={"unit": "degree", "decimals": 5}),
        ),
    )
