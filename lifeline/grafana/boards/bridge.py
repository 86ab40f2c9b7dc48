"""Bridges' natural frequencies: what they are, what they should be, how far they shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.grafana import panels, queries
from lifeline.grafana.boards.lifelines import score_panel
from lifeline.grafana.shapes import GREY, Board, Override, Panel, Query, Row
from lifeline.grafana.words import both

if TYPE_CHECKING:
    from lifeline.grafana.city import City

OF = panels.PLACE
HERE = "\"domain\" = 'bridge'"
MODAL = "\"kind\" = 'modal' AND \"domain\" = 'bridge'"


def modal(city: City) -> Board:
    """Return the dashboard of natural frequencies."""
    rules = tuple(city.rules_of("modal", domain="bridge"))
    shift = (score_panel(city, rules, width=12),) if rules else ()
    rows = (
        panels.state_row(
            both("Has a bridge lost stiffness?", "桥梁刚度是否下降？"), city, of=OF, condition=HERE
        ),
        Row(
            both("How far did the frequencies shift?", "频率偏移多少？"),
            (*shift, _frequencies()),
        ),
        Row(
            both("What was expected at this temperature?", "该温度下的预期频率是多少？"),
            (*((_expected(), _slope()) if rules else ()), _temperature()),
        ),
        Row(
            both("What is open on bridges?", "桥梁有哪些报警？"),
            (panels.open_table(both("Open alarms", "未结束报警"), of=OF, condition=HERE),),
        ),
    )
    return Board(
        uid="lifeline-bridge-modal",
        title=both("Bridge frequencies", "桥梁自振频率"),
        description=both(
            "Measured and expected frequency, temperature and shift.",
            "实测与预期频率、温度与偏移。",
        ),
        variables=panels.variables(*OF),
        links=(panels.BACK,),
        begin="now-24h",
        marks=((both("alarms", "报警"), queries.marks(HERE, of=OF), "orange"),),
        rows=rows,
    )


def _frequencies() -> Panel:
    return Panel(
        kind="series",
        title=both("Natural frequencies", "自振频率"),
        width=12,
        queries=(Query(queries.trend("frequency", HERE, of=OF), "$tag_channel"),),
        unit="hertz",
        decimals=3,
        legend=False,
        gap_ms=3 * 3_600_000,
        links=(panels.SERIES_TO_CHANNEL,),
    )


def _expected() -> Panel:
    """Return measured and expected frequency of each channel on one axis."""
    return Panel(
        kind="series",
        title=both("Measured and expected", "实测与预期"),
        width=8,
        queries=(
            Query(queries.score("value", MODAL, of=OF), "measured $tag_channel"),
            Query(queries.score("expected", MODAL, of=OF), "expected $tag_channel"),
        ),
        unit="hertz",
        decimals=3,
        colour="text",
        legend=False,
        overrides=(
            Override(
                regex="/^expected /",
                properties={
                    "color": {"mode": "fixed", "fixedColor": GREY},
                    "custom.lineStyle": {"fill": "dash", "dash": [6, 4]},
                },
            ),
        ),
        gap_ms=3 * 3_600_000,
    )


def _slope() -> Panel:
    return Panel(
        kind="series",
        title=both("Slope by temperature", "随温度的斜率"),
        description=both(
            "What is taken off for a kelvin; 0 while temperatures are too much alike.",
            "每开尔文修正量；温度变化不足时为 0。",
        ),
        width=8,
        queries=(Query(queries.score("slope", MODAL, of=OF), "$tag_channel"),),
        unit="suffix: Hz/K",
        decimals=5,
        legend=False,
        gap_ms=3 * 3_600_000,
    )


def _temperature() -> Panel:
    return Panel(
        kind="series",
        title=both("Temperature", "温度"),
        width=8,
        queries=(Query(queries.trend("temperature", HERE, of=OF), "$tag_channel"),),
        unit="celsius",
        decimals=1,
        legend=False,
        gap_ms=3 * 3_600_000,
    )
