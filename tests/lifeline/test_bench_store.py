"""The store's bench compares encoders that write the same bytes, and says how they compare."""

import json
import subprocess
import sys
from pathlib import Path

from lifeline.bench import store

ROOT = Path(__file__).parents[2]


def test_the_contestants_write_the_same_number_of_bytes():
    registry, rows = store.city(50), store.rows_of(50, 500)
    sizes = {
        make(rows, registry)() for make in (store.columns, store.f_strings, store.f_strings_cached)
    }
    assert len(sizes) == 1


def test_the_table_is_written_as_json(tmp_path):
    file = tmp_path / "bench.json"
    options = ["--json", str(file), "--rows", "20000", "--channels", "50", "--turns", "1"]
    subprocess.run(
        [sys.executable, "-m", "lifeline.bench.store", *options],
        cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    table = json.loads(file.read_text())["rows"]
    rates = {row["encoder"]: row["lines_per_s"] for row in table}
    assert set(rates) == {"columns", "f-string", "f-string, cached prefix", "influxdb_client.Point"}
    assert rates["columns"] > 5 * rates["influxdb_client.Point"]
