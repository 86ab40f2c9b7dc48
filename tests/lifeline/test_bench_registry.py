"""The bench of the import runs, and its city is the same each time."""

import json

import pytest

from lifeline.bench.registry_import import LIMIT_S, measure, rows
from tests.terminal import lifeline


def test_a_small_city_is_measured_from_csv_and_workbook(tmp_path):
    ran = lifeline("bench", "registry-import", "--rows", 40, "--json", tmp_path / "b.json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert [(took["file"], took["rows"]) for took in found] == [(".csv", 40), (".xlsx", 40)]
    assert list(rows(9)) == list(rows(9))


@pytest.mark.alone
def test_a_city_of_85_000_channels_is_imported_within_30_seconds_of_one_core():
    for took in measure(85_000):
        assert took["rows"] == 85_000
        assert took["first_cpu_s"] < LIMIT_S, took
        assert took["peak_mib"] < 2_500, took
