"""Grafana's models, by its Foundation SDK: the only file that knows them.

The SDK has no query of the InfluxDB data source and none of an annotation: those two are plain
models here. All else is built by its builders, so a field it does not know cannot be written.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.builders import (
    common as common_builders,
)
from grafana_foundation_sdk.builders import (
    dashboard as dashboards,
)
from grafana_foundation_sdk.builders import (
    geomap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import geomap as geomap_models

from lifeline.grafana.shapes import COLUMNS, GREY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifeline.grafana.shapes import Board, Link, Panel, Row, Variable

INFLUX: Final = dashboard.DataSourceRef(type_val="influxdb", uid="city-lifeline")
PROMETHEUS: Final = dashboard.DataSourceRef(type_val="prometheus", uid="city-lifeline-metrics")
SCHEMA_VERSION: Final = 39  # Grafana 11.0's: 12 lifts it to its own as it loads


class InfluxQuery(Dataquery):
    """A raw InfluxQL query, as Grafana's InfluxDB data source writes it."""

    def __init__(self, text: str, *, ref: str, alias: str = "", table: bool = False) -> None:
        self.text = text
        self.ref = ref
        self.alias = alias
        self.table = table

    def build(self) -> InfluxQuery:
        """Return itself: it is its own builder."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return the target."""
        said: dict[str, object] = {
            "datasource": INFLUX,
            "query": self.text,
            "rawQuery": True,
            "refId": self.ref,
            "resultFormat": "table" if self.table else "time_series",
        }
        return said | ({"alias": self.alias} if self.alias else {})


class InfluxAnnotation(dashboard.AnnotationTarget):
    """What the InfluxDB data source asks for marks on a chart, and which columns it shows."""

    def __init__(self, query: str, *, text: str, tags: str) -> None:
        super().__init__()
        self.query, self.text, self.tag_columns = query, text, tags

    def to_json(self) -> dict[str, object]:
        """Return the target."""
        return {
            "fromAnnotations": True,
            "query": self.query,
            "rawQuery": True,
            "refId": "Anno",
            "resultFormat": "time_series",
            "tagsColumn": self.tag_columns,
            "textColumn": self.text,
        }


def dashboard_json(board: Board) -> dict[str, Any]:
    """Return the dashboard as Grafana reads it; equal boards, equal JSON."""
    built = (
        dashboards.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(list(board.tags))
        .timezone("browser")
        .time(board.begin, "now")
        .refresh(board.refresh)
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in board.variables:
        built = built.with_variable(_variable(variable))
    for name, query, colour in board.marks:
        built = built.annotation(
            dashboards.AnnotationQuery()
            .name(name)
            .datasource(INFLUX)
            .enable(True)
            .icon_color(colour)
            .target(_given(InfluxAnnotation(query, text="text", tags="level")))
        )
    for link in board.links:
        built = built.link(
            dashboards.DashboardLink(link.title)
            .type(dashboard.DashboardLinkType.LINK)
            .url(link.url)
            .include_vars(True)
            .keep_time(True)
        )
    menu = dashboards.DashboardLink("City Lifeline")
    menu = menu.type(dashboard.DashboardLinkType.DASHBOARDS).tags(["city-lifeline"])
    built = built.link(menu.as_dropdown(True).include_vars(True).keep_time(True))
    model = built.build()
    model.schema_version = SCHEMA_VERSION
    model.panels = _laid_out(board.rows)
    plain: dict[str, Any] = json.loads(json.dumps(model, cls=JSONEncoder))
    return plain


def _variable(said: Variable) -> Any:
    if not said.query:
        option = dashboard.VariableOption(text=said.begin, value=said.begin, selected=True)
        box = dashboards.TextBoxVariable(said.name).label(said.label).current(option)
        return box.default_value(said.begin)
    chosen = said.begin or "All"
    value = said.begin or "$__all"
    return (
        dashboards.QueryVariable(said.name)
        .label(said.label)
        .query(said.query)  # as text: what Grafana 11.0 and 12 both read
        .datasource(INFLUX)
        .current(dashboard.VariableOption(selected=True, text=[chosen], value=[value]))
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .hide(dashboard.VariableHide.HIDE_VARIABLE if said.hidden else dashboard.VariableHide(0))
    )


def _laid_out(rows: Sequence[Row]) -> list[Any]:
    """Return rows and panels with ids and places: left to right, then down."""
    held: list[Any] = []
    number = y = 0
    for row in rows:
        number += 1
        header = dashboards.Row(row.question).collapsed(row.collapsed).id(number)
        header = header.grid_pos(dashboard.GridPos(h=1, w=COLUMNS, x=0, y=y))
        y += 1
        x = tall = 0
        inside: list[Any] = []
        for panel in row.panels:
            number += 1
            if x + panel.width > COLUMNS:
                x, y, tall = 0, y + tall, 0
            place = dashboard.GridPos(h=panel.height, w=panel.width, x=x, y=y)
            inside.append(_panel(panel).id(number).grid_pos(place).build())
            x, tall = x + panel.width, max(tall, panel.height)
        y += tall
        built = header.build()
        if row.collapsed:
            built.panels = inside
        held += [built] if row.collapsed else [built, *inside]
    return held


def _panel(said: Panel) -> Any:
    make = {
        "stat": _stat, "series": _series, "table": _table, "timeline": _timeline, "map": _map,
    }[said.kind]  # fmt: skip
    source = PROMETHEUS if said.queries[0].prometheus else INFLUX
    colour = dashboards.FieldColor().mode(dashboard.FieldColorModeId.FIXED).fixed_color(said.colour)
    if said.steps and not said.lines:
        colour = dashboards.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)
    built: Any = (
        make(said)
        .title(said.title)
        .datasource(source)
        .targets(_targets(said))
        .transparent(False)
        .interval(said.interval)
        .unit(said.unit)
        .color_scheme(colour)
        .thresholds(_steps(said.steps))
        .mappings([_mapping(mapping) for mapping in said.mappings])
        .data_links([_link(link) for link in said.links])
        .transformations(
            [
                dashboard.DataTransformerConfig(id_val=name, options=options)
                for name, options in said.transformations
            ]
        )
    )
    for setting, value in (
        ("description", said.description),
        ("decimals", said.decimals),
        ("min", said.lowest),
        ("no_value", said.no_value),
        ("time_from", said.look_back),
    ):
        if value not in (None, ""):
            built = getattr(built, setting)(value)
    if said.repeat:
        built = built.repeat(said.repeat).repeat_direction("h").max_per_row(3)
    for override in said.overrides:
        values = [dashboard.DynamicConfigValue(k, v) for k, v in override.properties.items()]
        if override.name:
            built = built.override_by_name(override.name, values)
        else:
            built = built.override_by_regexp(override.regex, values)
    return built


def _targets(said: Panel) -> list[Any]:
    held: list[Any] = []
    for letter, query in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", said.queries, strict=False):
        if query.prometheus:
            asked = prometheus.Dataquery().expr(query.text).ref_id(letter).datasource(PROMETHEUS)
            held.append((asked.legend_format(query.alias) if query.alias else asked).range())
        else:
            held.append(InfluxQuery(query.text, ref=letter, alias=query.alias, table=query.table))
    return held


def _steps(steps: tuple[tuple[float | None, str], ...]) -> Any:
    held = [dashboard.Threshold(value=value, color=colour) for value, colour in steps]
    first = [] if held and held[0].value is None else [dashboard.Threshold(value=None, color=GREY)]
    built = dashboards.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE)
    return built.steps([*first, *held])


def _mapping(said: Mapping[str, object]) -> Any:
    """Return a value map: ``{"4": ("■ red", "red")}``, or of a range ``{"from", "to", "text"}``."""
    if "from" in said:
        result = dashboard.ValueMappingResult(text=str(said["text"]), color="text", index=0)
        low, high = (None if said[k] is None else float(str(said[k])) for k in ("from", "to"))
        span = dashboard.DashboardRangeMapOptions(from_val=low, to=high, result=result)
        return dashboard.RangeMap(options=span)
    options = {}
    for index, (value, shown) in enumerate(said.items()):
        text, colour = shown if isinstance(shown, tuple) else (shown, "")
        options[value] = dashboard.ValueMappingResult(text=text, color=colour or None, index=index)
    return dashboard.ValueMap(options=options)


def _link(link: Link) -> Any:
    return dashboards.DashboardLink(link.title).url(link.url).target_blank(link.new_tab)


def _stat(said: Panel) -> Any:
    reduced = common_builders.ReduceDataOptions().calcs([said.calculation])
    coloured = common.BigValueColorMode.VALUE if said.steps else common.BigValueColorMode.NONE
    return (
        stat.Panel()
        .reduce_options(reduced.fields("").values(False))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(coloured)
        .text_mode(common.BigValueTextMode(said.text))
        .justify_mode(common.BigValueJustifyMode.AUTO)
        .wide_layout(True)
    )


def _series(said: Panel) -> Any:
    style = common.GraphThresholdsStyleMode.LINE if said.lines else None
    lines = common_builders.GraphThresholdsStyleConfig()
    lines = lines.mode(style or common.GraphThresholdsStyleMode.OFF)
    legend = common_builders.VizLegendOptions().placement(common.LegendPlacement.BOTTOM)
    legend = legend.display_mode(common.LegendDisplayMode.LIST).show_legend(said.legend).calcs([])
    tips = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    built = (
        timeseries.Panel()
        .legend(legend)
        .tooltip(tips.sort(common.SortOrder.DESCENDING))
        .thresholds_style(lines)
        .line_width(1)
        .fill_opacity(60 if said.stacked else 0)
        .show_points(common.VisibilityMode.AUTO)
        .draw_style(common.GraphDrawStyle.BARS if said.stacked else common.GraphDrawStyle.LINE)
        .span_nulls(False)
    )
    if said.stacked:
        stack = common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")
        built = built.stacking(stack)
    return built if said.gap_ms is None else built.insert_nulls(said.gap_ms)


def _table(said: Panel) -> Any:
    built = table.Panel().show_header(True).filterable(False)
    if said.sort is None:
        return built
    order = common_builders.TableSortByFieldState().display_name(said.sort[0])
    return built.sort_by([order.desc(said.sort[1])])


def _timeline(said: Panel) -> Any:
    legend = common_builders.VizLegendOptions().placement(common.LegendPlacement.BOTTOM)
    legend = legend.display_mode(common.LegendDisplayMode.LIST).show_legend(said.legend).calcs([])
    built = statetimeline.Panel().merge_values(True).show_value(common.VisibilityMode.NEVER)
    return built.row_height(0.8).fill_opacity(70).line_width(0).legend(legend)


def _map(_said: Panel) -> Any:
    """Return a map of the frame's lat and lon: size and colour by ``severity``."""
    style = {
        "color": {"field": "severity", "fixed": GREY},
        "opacity": 0.9,
        "size": {"field": "severity", "fixed": 5, "max": 14, "min": 4},
        "symbol": {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"},
        "symbolAlign": {"horizontal": "center", "vertical": "center"},
    }
    place = common.FrameGeometrySource(
        mode=common.FrameGeometrySourceMode.COORDS, latitude="lat", longitude="lon"
    )
    markers = common.MapLayerOptions(
        type_val="markers",
        name="assets",
        config={"showLegend": False, "style": style},
        location=place,
        opacity=1,
        tooltip=True,
    )
    ground = common.MapLayerOptions(type_val="default", name="Basemap", config={})
    view = geomap_models.MapViewConfig(id_val="fit", all_layers=True, padding=5, zoom=12)
    return (
        geomap.Panel()
        .view(_given(view))
        .basemap(_given(ground))
        .layers([_given(markers)])
        .controls(geomap.ControlsOptions().show_zoom(True).show_attribution(True).show_scale(True))
        .tooltip(geomap.TooltipOptions().mode(geomap_models.TooltipMode.DETAILS))
    )


class _Given:
    """A builder of what is built already."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def build(self) -> Any:
        return self._model


def _given(model: Any) -> Any:
    return _Given(model)
