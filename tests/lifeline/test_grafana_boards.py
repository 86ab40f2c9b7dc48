"""The dashboards as files: Grafana can read them, they say what the rules say, and stay so."""

import itertools
import json
import re
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units as known_units
from prometheus_client import REGISTRY
from typer.testing import CliRunner

import ingest.metrics
import ingest.store.metrics
import lifeline.engine_process
import lifeline.metrics
from lifeline.cli.app import app
from lifeline.errors import Missing
from lifeline.grafana.build import files, marked, own, site_city
from lifeline.grafana.check import findings
from lifeline.grafana.units import grafana_unit
from lifeline.packs import copy_packs
from rules.quantities import QUANTITIES
from simulators.city import write_registry

SHIPPED = Path(__file__).parents[2] / "grafana" / "dashboards"
CITY = site_city(None)
TEXTS = dict(files(CITY))
BOARDS = {name: json.loads(text) for name, text in TEXTS.items()}
EACH = pytest.mark.parametrize("name", sorted(BOARDS))
BUILT_IN = {"__interval", "__rate_interval", "timeFilter", "__url_time_range"}
MODULES = (ingest.metrics, ingest.store.metrics, lifeline.engine_process, lifeline.metrics)
LEVEL_COLOURS = {"blue", "yellow", "orange", "red"}


def panels_of(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def drawn(board):
    return [panel for panel in panels_of(board) if panel["type"] != "row"]


def strings(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from itertools.chain.from_iterable(strings(v) for v in node.values())
    elif isinstance(node, list):
        yield from itertools.chain.from_iterable(strings(v) for v in node)


def under(node, *keys):
    """Every value of these keys, anywhere below."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys:
                yield value
            yield from under(value, *keys)
    elif isinstance(node, list):
        for value in node:
            yield from under(value, *keys)


def test_there_are_sixteen_dashboards_one_of_them_for_each_lifeline():
    assert len(BOARDS) == 16
    lifelines = {"gas", "bridge", "tunnel", "water", "drain", "heat", "gallery"}
    assert {f"lifeline-{name}.json" for name in lifelines} < set(BOARDS)
    uids = [board["uid"] for board in BOARDS.values()]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 40 for uid in uids)  # Grafana's limit
    assert all(name == f"{board['uid']}.json" for name, board in BOARDS.items())


@EACH
def test_grafana_s_models_read_a_dashboard_without_losing_anything(name):
    register_default_plugins()
    read = models.Dashboard.from_json(BOARDS[name])
    again = json.loads(json.dumps(read, cls=JSONEncoder))
    ours = {"annotations", "panels"}  # the SDK has no InfluxQL annotation; its zero dates differ
    assert {k: v for k, v in again.items() if k not in ours} == {
        k: v for k, v in BOARDS[name].items() if k not in ours
    }
    for one, other in zip(drawn(again), drawn(BOARDS[name]), strict=True):
        assert one == other


@EACH
def test_panels_have_ids_of_their_own_and_do_not_overlap(name):
    panels = list(panels_of(BOARDS[name]))
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        assert place["w"] > 0
        assert place["h"] > 0
        assert 0 <= place["x"] <= place["x"] + place["w"] <= 24
        cells = itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
        for cell in cells:
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]


@EACH
def test_every_variable_that_is_used_is_defined(name):
    board = BOARDS[name]
    defined = {variable["name"] for variable in board["templating"]["list"]}
    used = set()
    for text in strings(board):
        used |= set(re.findall(r"\$(\w+)", text)) | set(re.findall(r"\$\{(\w+)[:}]", text))
    aliases = {"tag_channel", "tag_quantity", "tag_side", "tag_rule", "tag_part", "tag_domain"}
    aliases |= {"col", "0", "__all"}
    assert used - aliases - BUILT_IN <= defined
    order = [variable["name"] for variable in board["templating"]["list"]]
    shared = [n for n in ("district", "lifeline", "asset", "channel") if n in order]
    assert order[: len(shared)] == shared
    assert "console" in order


@EACH
def test_every_link_leads_to_a_dashboard_that_is_there_or_to_the_console(name):
    known = {board["uid"] for board in BOARDS.values()}
    urls = [url for url in under(BOARDS[name], "url") if url]
    for url in urls:
        if url.startswith("${console}/#"):
            assert re.fullmatch(r"\$\{console\}/#(alarm|channel)=\$\{__data\.fields\.\w+\}", url)
            continue
        uid = re.match(r"/d/([^?]+)", url).group(1)
        if uid == "lifeline-${__data.fields.domain}":  # of the seven that the query names
            assert {f"lifeline-{d}" for d in ("gas", "gallery", "heat")} < known
            continue
        assert uid in known, url
    links = BOARDS[name]["links"]
    assert all(link["includeVars"] and link["keepTime"] for link in links)
    if name != "lifeline-overview.json":
        assert "/d/lifeline-overview" in [link.get("url") for link in links]


@EACH
def test_titles_speak_both_languages(name):
    board = BOARDS[name]
    for panel in panels_of(board):
        title = panel["title"]
        if title == "$quantity":  # repeated for each quantity of the asset
            continue
        assert re.search("[A-Za-z]", title), title
        assert re.search("[\u4e00-\u9fff]", title), title
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert all("?" in title and "？" in title for title in rows)


@EACH
def test_the_first_row_tells_open_alarms_and_whether_the_data_is_simulated(name):
    first = [panel["title"] for panel in drawn(BOARDS[name])[:4]]
    assert first[0].startswith("Open alarms by level")
    mark = drawn(BOARDS[name])[1]
    assert "\"sim\" = '1'" in mark["targets"][0]["query"]
    assert "演练 / 仿真 · SIMULATED" in list(strings(mark["fieldConfig"]))
    assert drawn(BOARDS[name])[0]["gridPos"] | {"w": 0, "h": 0} == {"x": 0, "y": 1, "w": 0, "h": 0}
    assert BOARDS[name]["refresh"] == ("10s" if name == "lifeline-overview.json" else "1m")


@EACH
def test_colour_is_for_alarms(name):
    colours = set()
    for value in under(BOARDS[name]["panels"], "color", "fixedColor"):
        if isinstance(value, str):
            colours.add(value)
    for colour in colours - LEVEL_COLOURS - {"text"}:
        shades = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert max(shades) - min(shades) < 32, f"{colour} is no grey"
    kinds = {panel["type"] for panel in drawn(BOARDS[name])}
    assert kinds <= {"stat", "timeseries", "table", "state-timeline", "geomap"}


@EACH
def test_every_panel_has_a_unit_that_grafana_knows(name):
    known = set(re.findall(r'Literal\["([^"]+)"\]', Path(known_units.__file__).read_text()))
    board = BOARDS[name]
    overrides = [
        one["value"]
        for panel in drawn(board)
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "unit"
    ]
    for unit in [panel["fieldConfig"]["defaults"]["unit"] for panel in drawn(board)] + overrides:
        assert unit in known or unit.startswith("suffix:"), unit


def test_every_quantity_and_every_score_has_a_unit():
    known = set(re.findall(r'Literal\["([^"]+)"\]', Path(known_units.__file__).read_text()))
    for what in (*QUANTITIES.values(), *CITY.plan.channel_rules):
        unit = grafana_unit(what.unit)
        assert unit in known or re.fullmatch(r"suffix: \S+", unit), unit
    assert grafana_unit("kPa") == "pressurekpa"
    assert grafana_unit("m3/h") == "suffix: m³/h"


def test_lines_are_the_limits_of_the_rules_in_their_levels_colours():
    (co,) = [p for p in drawn(BOARDS["lifeline-tunnel.json"]) if p["title"].startswith("carbon")]
    steps = co["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["color"] for step in steps[1:]] == ["blue", "yellow", "orange", "red"]
    ppm = 28.010 / 24.0550
    assert [step["value"] for step in steps[1:]] == pytest.approx(
        [50 * ppm, 70 * ppm, 100 * ppm, 150 * ppm], rel=1e-4
    )
    assert co["fieldConfig"]["defaults"]["unit"] == "conmgm3"
    assert "limits: clause; default limits, not approved" in co["title"]
    assert "max(" in co["targets"][0]["query"]  # an average would hide a peak
    (low,) = [p for p in drawn(BOARDS["lifeline-water.json"]) if p["title"].startswith("pressure")]
    steps = low["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(s["value"], s["color"]) for s in steps[1:]] == [
        (100, "red"), (140, "orange"), (160, "yellow"), (180, "blue"),
    ]  # fmt: skip
    assert "min(" in low["targets"][0]["query"]


def test_limits_that_differ_between_channels_are_not_drawn_for_all():
    space = next(
        p
        for p in drawn(BOARDS["lifeline-gas.json"])
        if p["title"].startswith("methane · 甲烷 (man")
    )
    steps = space["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps[1:]] == [
        1.0,
        1.25,
        2.5,
    ]  # blue: 0.5 or, at sewers, 0.75


def test_a_site_that_approved_its_limits_reads_so(tmp_path):
    write_registry(tmp_path / "registry")
    for path in copy_packs(tmp_path / "rules"):
        text = path.read_text(encoding="utf-8")
        said = 'defaults:\n  approved_by: Zhang San\n  approved_on: "2027-03-31"\n'
        path.write_text(text.replace("defaults:\n", said), encoding="utf-8")
    texts = dict(files(site_city(tmp_path)))
    assert "default limits, not approved" not in texts["lifeline-tunnel.json"]
    assert "limits: clause ·" in texts["lifeline-tunnel.json"]
    assert "default limits, not approved" in TEXTS["lifeline-tunnel.json"]


def test_every_metric_that_is_asked_for_is_one_of_the_program():
    assert all(module.__doc__ for module in MODULES)
    known = {sample for family in REGISTRY.collect() for sample in _samples(family)}
    asked = set()
    for target in under(BOARDS["lifeline-pipeline.json"], "expr"):
        asked |= set(re.findall(r"lifeline_\w+", target))
    assert len(asked) > 20
    assert asked <= known


def _samples(family):
    tails = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return [family.name + tail for tail in tails.get(family.type, ("",))]


def test_building_twice_gives_the_same_bytes():
    assert dict(files(site_city(None))) == TEXTS
    assert all(own(text) for text in TEXTS.values())
    assert all(marked(json.loads(text)) == text for text in TEXTS.values())


def test_the_shipped_dashboards_are_as_registry_and_rules_say():
    assert findings(CITY, SHIPPED) == []


def test_a_missing_a_stale_an_edited_and_a_foreign_file_are_each_told(tmp_path):
    runner = CliRunner()
    assert runner.invoke(app, ["grafana", "build", "--out", str(tmp_path)]).exit_code == 0
    good = runner.invoke(app, ["grafana", "check", "--out", str(tmp_path)])
    assert good.exit_code == 0
    (tmp_path / "lifeline-gas.json").unlink()
    heat = json.loads((tmp_path / "lifeline-heat.json").read_text(encoding="utf-8"))
    heat["panels"][2]["title"] = "as it was last year"
    (tmp_path / "lifeline-heat.json").write_text(marked(heat), encoding="utf-8")
    water = (tmp_path / "lifeline-water.json").read_text(encoding="utf-8")
    (tmp_path / "lifeline-water.json").write_text(water.replace("160", "150"), encoding="utf-8")
    (tmp_path / "lifeline-tunnel.json").write_text("{", encoding="utf-8")
    (tmp_path / "mine.json").write_text("{}", encoding="utf-8")
    told = runner.invoke(app, ["grafana", "check", "--out", str(tmp_path)])
    assert told.exit_code == 1
    lines = {line.split(":")[0].rpartition("/")[2]: line for line in told.output.splitlines()}
    assert len(lines) == 5
    for name, word in (
        ("lifeline-gas.json", "missing"),
        ("lifeline-heat.json", "stale"),
        ("lifeline-water.json", "edited by hand"),
        ("lifeline-tunnel.json", "edited by hand"),
        ("mine.json", "foreign"),
    ):
        assert word in lines[name]
    assert all("lifeline grafana build" in lines[n] for n in lines if n != "mine.json")


def test_a_folder_that_is_no_city_is_told_by_its_name(tmp_path):
    with pytest.raises(Missing, match=r"registry: no such folder"):
        site_city(tmp_path)
