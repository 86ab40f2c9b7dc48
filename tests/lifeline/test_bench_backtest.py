"""The back-test's bench on a small city: its archive is a real one, and its figures are told."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from ingest.store.past import Span, archived
from lifeline.cli.app import app


def test_the_bench_makes_its_archive_once_and_reads_every_reading(tmp_path):
    words = ["bench", "backtest", "--folder", str(tmp_path), "--channels", "120", "--days", "0.02"]
    out = tmp_path / "figures.json"
    done = CliRunner().invoke(app, [*words, "--json", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(out.read_text())
    assert found["rows"] == 120 * 29
    assert found["episodes"] > 0
    assert found["whole_rows_per_s"] > 0
    manifest = next(tmp_path.glob("city-*/archive/manifest.json"))
    written = manifest.stat().st_mtime_ns
    assert CliRunner().invoke(app, words).exit_code == 0
    assert manifest.stat().st_mtime_ns == written
    last = -1
    for piece in archived(manifest.parent, Span()):
        if piece.columns is not None:
            assert (piece.columns.g[1:] > piece.columns.g[:-1]).all()
            assert piece.columns.g[0] > last if piece.rows else True
            last = piece.columns.g[-1] if piece.rows else last
