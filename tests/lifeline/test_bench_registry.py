"""The bench of the import runs, and its city is the same each time."""

import json

from lifeline.bench.registry_import import rows
from tests.terminal import lifeline


def test_a_small_city_is_measured_from_csv_and_workbook(tmp_path):
    ran = lifeline("bench", "registry-import", "--rows", 40, "--json", tmp_path / "b.json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert [(took["file"], took["rows"]) for took in found] == [(".csv", 40), (".xlsx", 40)]
    assert list(rows(9)) == list(rows(9))
