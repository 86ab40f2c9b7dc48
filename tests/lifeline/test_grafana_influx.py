"""Every question the dashboards ask, asked of a real InfluxDB that holds the demo's hour."""

import json
import re

import pytest

from lifeline.grafana.build import files
from tests import grafana_city
from tests.lifeline.test_grafana_boards import drawn

pytestmark = pytest.mark.real
QUIET = {"bridge", "tunnel", "heat", "gallery"}  # lifelines without an open alarm as the hour ends
LONG = {
    ("drain", "drain-level-creeps"),
    ("drain", "drain-level-stands"),
    ("bridge", "bridge-tilt-drift"),
    ("bridge", "bridge-sag"),  # months
    ("water", "water-night-flow"),  # four weeks
    ("water", "water-inflow-beyond"),  # an hour
}


@pytest.fixture(scope="module")
def stored():
    with grafana_city.stored() as held:
        yield held


@pytest.fixture(scope="module")
def boards(stored):
    return {name: json.loads(text) for name, text in files(stored.city)}


def rows(series):
    return sum(len(one["values"]) for one in series)


def test_every_query_of_every_panel_is_answered_with_rows(stored, boards):
    silent, asked = [], 0
    for name, board in boards.items():
        for panel in drawn(board):
            for target in panel["targets"]:
                if "query" not in target:
                    continue
                asked += 1
                if not rows(stored.ask(target["query"])):
                    silent.append((name, panel["title"]))
    assert asked > 180
    quiet = {(f"lifeline-{domain}.json", "Open alarms · 未结束报警") for domain in QUIET}
    quiet |= {
        ("lifeline-bridge-modal.json", "Open alarms · 未结束报警"),
        ("lifeline-data-quality.json", "Silent devices · 失联设备"),  # it speaks again
        ("lifeline-channel.json", "Value and what was expected · 数值与预期"),  # seasonal: weeks
    }
    # steps over hours have no score in a city's first hour
    short = {
        (name, title)
        for name, title in silent
        if not any((name == f"lifeline-{d}.json" and f"({rule} " in title) for d, rule in LONG)
    }
    assert short == quiet


def test_every_variable_has_values_and_every_mark_its_text(stored, boards):
    for name, board in boards.items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                assert rows(stored.ask(variable["query"])) > 0, (name, variable["name"])
        for mark in board.get("annotations", {}).get("list", ()):
            found = stored.ask(mark["target"]["query"])
            domain = board["uid"].removeprefix("lifeline-")
            if domain in {"heat", "gallery"}:  # nothing happens to them in the demo
                continue
            (series,) = found
            assert series["columns"] == ["time", "text", "level"]
            assert all(None not in row for row in series["values"])  # such rows are not drawn


def test_open_alarms_are_counted_by_level_as_the_table_lists_them(stored, boards):
    panels = {panel["title"]: panel for panel in drawn(boards["lifeline-overview.json"])}
    table = stored.ask(panels["Open alarms · 未结束报警"]["targets"][0]["query"])
    severity = table[0]["columns"].index("severity")
    listed = [row[severity] for row in table[0]["values"]]
    assert len(listed) > 5
    counted = stored.ask(panels["Open alarms by level · 各等级未结束报警"]["targets"][0]["query"])
    assert counted[0]["columns"][1:] == ["blue", "yellow", "orange", "red"]
    added = [sum(column) for column in zip(*(s["values"][0][1:] for s in counted), strict=True)]
    assert added == [listed.count(level) for level in (1, 2, 3, 4)]
    assert panels["Open alarms by level · 各等级未结束报警"]["options"]["reduceOptions"][
        "calcs"
    ] == ["sum"]


def test_a_quiet_lifeline_counts_zero_and_an_unwatched_one_nothing(stored, boards):
    panel = drawn(boards["lifeline-heat.json"])[0]
    query = panel["targets"][0]["query"]
    counted = stored.ask(query)
    assert [series["values"][0][1:] for series in counted] == [[0, 0, 0, 0]]
    assert stored.ask(query.replace("'heat'", "'no such'")) == []


def test_chosen_values_narrow_what_is_shown(stored, boards):
    channel = stored.city.telling_channel
    panels = {panel["title"]: panel for panel in drawn(boards["lifeline-channel.json"])}
    query = panels["Value and limits · 数值与限值"]["targets"][0]["query"]
    chosen = query.replace("$channel", f"({channel.replace('/', chr(92) + '/')})")
    (series,) = stored.ask(chosen)
    assert series["tags"]["channel"] == channel
    for title in (
        "Score of the statistical rules and its limits · 统计规则的评分与限值",
        "Value and what was expected · 数值与预期",
        "Limits · 限值",
    ):
        for target in panels[title]["targets"]:
            text = target["query"].replace("$channel", f"({channel.replace('/', chr(92) + '/')})")
            found = stored.ask(text)
            slow = "'modal'" in text or "'seasonal'" in text  # none within the demo's hour
            assert found or slow, title


def test_groups_of_channels_take_each_channel_once(stored):
    """The regular expressions that lay channels together miss none and take none twice."""
    channels = stored.city.registry.channels
    assets = stored.city.registry.assets
    for domain, groups in stored.city.groups.items():
        for group in groups:
            pattern = re.compile(group.regex.strip("/"))
            matched = [
                row
                for row, identifier in enumerate(channels.id)
                if pattern.search(identifier)
                and channels.quantity[row] == group.quantity
                and assets.domain[int(channels.asset[row])] == domain
            ]
            assert len(matched) == group.channels
