"""The store's bench compares encoders that write the same bytes, and says how they compare."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifeline.bench import store, store_socket

ROOT = Path(__file__).parents[2]


def test_the_contestants_write_the_same_number_of_bytes():
    registry, rows = store.city(50), store.rows_of(50, 500)
    sizes = {
        make(rows, registry)() for make in (store.columns, store.f_strings, store.f_strings_cached)
    }
    assert len(sizes) == 1


def _bench(tmp_path, **environment):
    """Run the bench as a user does; return (rows by encoder, the page, what it printed)."""
    file, markdown = tmp_path / "bench.json", tmp_path / "page.md"
    options = ["--json", str(file), "--rows", "20000", "--turns", "1", "--markdown", str(markdown)]
    done = subprocess.run(
        [sys.executable, "-m", "lifeline", "bench", "store", *options],
        cwd=ROOT, check=True, timeout=120, capture_output=True, text=True,
        env=os.environ | environment,
    )  # fmt: skip
    rows = json.loads(file.read_text())["rows"]
    return {row["encoder"]: row for row in rows}, markdown.read_text(), done.stdout


ENCODERS = {"columns", "f-string", "f-string, cached prefix", "influxdb_client.Point"}


def test_the_table_is_written_as_json_and_as_a_page(tmp_path):
    rows, page, said = _bench(tmp_path)
    sockets = {f"{w}{g}, socket" for w in ("columns", "WriteApi") for g in ("", ", gzip")}
    assert set(rows) == ENCODERS | sockets
    assert rows["columns"]["lines_per_s"] > 5 * rows["influxdb_client.Point"]["lines_per_s"]
    ours, theirs = rows["columns, socket"], rows["WriteApi, socket"]
    assert ours["lines_per_s"] > 5 * theirs["lines_per_s"]
    assert ours["times_write_api"] > 5
    assert ours["wall_lines_per_s"] > 0
    for name in rows:
        assert f"| {name} |" in page
        assert name in said


def test_without_the_server_s_program_the_rows_with_a_socket_are_left_out(tmp_path):
    rows, page, said = _bench(tmp_path, PATH=str(tmp_path))
    assert set(rows) == ENCODERS
    assert "victoria-metrics is not installed" in said
    assert "Not measured" in page


def test_a_server_that_counts_other_than_was_sent_spoils_the_bench(monkeypatch):
    monkeypatch.setattr(store_socket, "COUNT_S", 0.3)

    class Counting:
        def lines(self):
            return 0

        def cpu_s(self):
            return 0.0

    with pytest.raises(RuntimeError, match="counted 0 of 5 lines"):
        store_socket._turn(Counting(), lambda: None, 5)
