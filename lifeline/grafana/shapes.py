"""What a dashboard consists of, in the words of this project; sdk.py makes Grafana's of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS: Final = 24  # of Grafana's grid
GREY: Final = "#8e949c"  # whatever is no alarm

Properties = dict[str, object]


@dataclass(frozen=True, slots=True)
class Query:
    """One target: InfluxQL, or PromQL with ``prometheus``; ``alias`` names its series."""

    text: str
    alias: str = ""
    table: bool = False  # one frame with columns; else a frame a series
    prometheus: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a value or a cell."""

    title: str
    url: str
    new_tab: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Other field settings for the fields of a name, or of names that match a regular expression.

    ``properties`` are Grafana's: ``{"unit": "percent", "custom.lineWidth": 1}``.
    """

    name: str = ""
    regex: str = ""
    properties: Properties


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: what Grafana calls fields and options, as far as the dashboards use them."""

    kind: Literal["stat", "series", "table", "timeline", "map"]
    title: str
    width: int  # of 24
    height: int = 8
    queries: tuple[Query, ...]
    description: str = ""
    unit: str = "none"
    decimals: int | None = None
    lowest: float | None = None
    colour: str = GREY
    steps: tuple[tuple[float | None, str], ...] = ()  # value from which on, colour
    lines: bool = False  # draw the steps as lines, name nothing else by them
    mappings: tuple[Mapping[str, object], ...] = ()
    overrides: tuple[Override, ...] = ()
    links: tuple[Link, ...] = ()
    transformations: tuple[tuple[str, Properties], ...] = ()
    sort: tuple[str, bool] | None = None  # column, descending
    legend: bool = True
    stacked: bool = False
    gap_ms: int | None = None  # no line across a longer silence
    look_back: str = ""  # a range of its own, such as 90d
    interval: str = "1m"  # the shortest $__interval
    no_value: str = ""
    calculation: str = "lastNotNull"  # of a stat's rows
    text: Literal["auto", "value_and_name", "name"] = "auto"
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One question and the panels that answer it."""

    question: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A template variable: values of a query, with All; without a query a text box."""

    name: str
    label: str
    query: str = ""
    begin: str = ""  # its first value; "" = All
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...]
    links: tuple[Link, ...] = ()  # in the top bar; they carry variables and the time range
    begin: str = "now-6h"
    refresh: str = "1m"
    marks: tuple[tuple[str, str, str], ...] = ()  # name, query, colour
    tags: tuple[str, ...] = field(default=("city-lifeline",))
