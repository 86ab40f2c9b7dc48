"""Grouping held against ground truth: a small version of the table in docs/incidents.md."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lifeline.cli.app import app
from lifeline.scenarios.files import load_scenarios
from lifeline.scenarios.grouped import Grouped, grouped, section, together
from lifeline.scenarios.run import Bench
from rules.language.loader import load_rules
from simulators.recording import shipped_rules

QUICK = ("gas-leak-in-a-manhole", "storm-over-the-city", "lightning-strikes", "water-main-bursts",
         "accident-san-bruno-2010", "accident-qingdao-2013", "tunnel-vehicle-burns")  # fmt: skip


@pytest.fixture(scope="module")
def bench():
    return Bench(load_rules(shipped_rules()))


@pytest.mark.parametrize("name", QUICK)
def test_one_cause_is_one_incident(bench, name):
    run = grouped(bench, load_scenarios([name])[0], 11)
    assert run.alarms > run.causes >= 1
    assert run.apart == ()
    assert run.merged == ()


@pytest.mark.parametrize("scenario", together(), ids=lambda s: s.name)
def test_two_causes_at_once_are_two_incidents(bench, scenario):
    run = grouped(bench, scenario, 11)
    assert run.causes >= 2
    assert run.apart == ()
    assert run.merged == ()


def test_the_table_counts_what_fell_apart_and_what_was_merged():
    runs = [
        Grouped(scenario="a", seed=1, causes=3, incidents=3, alarms=9, apart=("x",), merged=()),
        Grouped(scenario="b", seed=1, causes=1, incidents=1, alarms=2, apart=(), merged=()),
        Grouped(
            scenario="c", seed=2, causes=2, incidents=1, alarms=4, apart=(), merged=(("y", "z"),)
        ),
    ]
    text = section(runs, "command")
    assert "| causes that raised alarms | 6 |" in text
    assert "| causes that are one incident | 83.3% |" in text
    assert "| incidents that hold two causes | 1 |" in text
    assert "- a, seed 1: x fell apart;" in text
    assert "- c, seed 2: y and z are one incident;" in text
    assert "b, seed 1" not in text


def test_the_command_writes_its_table_into_the_page(tmp_path):
    page, rows = tmp_path / "page.md", tmp_path / "rows.json"
    page.write_text("# Page\n\n<!-- incidents -->\nSTALE\n<!-- end of incidents -->\n")
    said = CliRunner().invoke(
        app,
        ["score", "incidents", "cover-stolen", "--markdown", str(page), "--json", str(rows)],
    )
    assert said.exit_code == 0, said.output
    assert "| causes that are one incident | 100.0% |" in page.read_text()
    assert "STALE" not in page.read_text()
    assert json.loads(rows.read_text())[0]["causes"] == 1
