"""Corrected readings take the place of the recorded ones in InfluxDB, whatever their quality."""

import numpy as np
import pytest
from structlog.testing import capture_logs

from ingest.store.corrections import COLUMNS, Corrected, Corrections, check
from ingest.store.errors import CorrectionMissing
from rules.engine.taking import columns_of
from rules.readings import QC_FAIL, QC_GOOD, Control, Readings, Record, position
from tests import store_data, store_server
from tests.store_run import cursor_of, registry_of, running, settings_of

S = 10**9


def rows(n: int = 4) -> Readings:
    """One channel, a value a second: 0, 1, 2, …."""
    at = store_data.T0 + np.arange(n) * S
    return Readings.of(
        {"channel": np.zeros(n), "judged_ns": at, "value": np.arange(n), "boot": np.ones(n),
         "sequence": np.arange(n), "receive_ns": np.full(n, at[-1])}
    )  # fmt: skip


def correction(value, *, crossed: bool, qc_flag=QC_GOOD, usable=True, at=slice(None)) -> Corrected:
    """Correct the rows of record 0."""
    held, n = rows(), 4
    columns = {
        "g": position(0) + np.arange(n), "channel": held.channel, "judged_ns": held.judged_ns,
        "receive_ns": held.receive_ns, "value": np.asarray(value, float),
        "qc_flag": np.full(n, qc_flag), "usable": np.full(n, usable), "late": np.zeros(n, bool),
        "crossed": np.full(n, crossed),
    }  # fmt: skip
    assert set(columns) == set(COLUMNS)
    return Corrected.of({name: column[at] for name, column in columns.items()})


def stored(server) -> list[tuple[int, bool, float]]:
    """(seconds, faulty, value) of every point, by time."""
    return sorted(
        ((when - store_data.T0) // S, b",faulty=1" in series, float(fields.rpartition(b"=")[2]))
        for (series, when), fields in server.points.items()
        if series.startswith(b"gas")
    )


def run(tmp_path, *made: Corrected, deletes: bool = True):
    registry = registry_of(quantities=("ch4",))
    bodies = [rows(), *(Control("correction", {"hash": c.save(tmp_path)}) for c in made)]
    end = store_data.write_journal(tmp_path, bodies)
    with store_server.answering() as server:
        server.deletes_nothing = not deletes
        with running(tmp_path, registry, settings_of(server)):
            store_data.until(lambda: cursor_of(tmp_path) == end)
        return stored(server)


def test_a_rescaled_value_overwrites_its_point(tmp_path):
    found = run(tmp_path, correction([0, 10, 20, 30], crossed=False))
    assert found == [(0, False, 0.0), (1, False, 10.0), (2, False, 20.0), (3, False, 30.0)]


def test_what_became_no_measurement_leaves_no_point_beside_the_faulty_one(tmp_path):
    bad = correction([0, 1, 2, 3], crossed=True, qc_flag=QC_FAIL, usable=False, at=slice(1, 3))
    found = run(tmp_path, bad)
    assert found == [(0, False, 0.0), (1, True, 1.0), (2, True, 2.0), (3, False, 3.0)]


def test_the_later_correction_stands(tmp_path):
    bad = correction([0, 1, 2, 3], crossed=True, qc_flag=QC_FAIL, usable=False)
    good = correction([0, 5, 6, 7], crossed=True)
    assert [(f, v) for _, f, v in run(tmp_path, bad, good)] == [
        (False, 0.0), (False, 5.0), (False, 6.0), (False, 7.0),
    ]  # fmt: skip


def test_a_server_that_deletes_nothing_is_said_and_the_points_are_written(tmp_path):
    bad = correction([0, 1, 2, 3], crossed=True, qc_flag=QC_FAIL, usable=False)
    with capture_logs() as logs:
        found = run(tmp_path, bad, deletes=False)
    assert len(found) == 8
    (line,) = [x for x in logs if "does not delete" in x["event"]]
    assert "403" in line["reason"]


def test_corrections_lie_over_columns_of_the_journal_by_position(tmp_path):
    made = correction([0, 10, 20, 30], crossed=False, at=slice(1, 3))
    held = Corrections(tmp_path, [(made.save(tmp_path), "redecode")])
    columns = columns_of([Record(0, rows()), Record(1, rows(2))])
    mended = held.on_columns(columns)
    assert mended.rows.value.tolist() == [0, 10, 20, 3, 0, 1]
    assert columns.rows.value.tolist() == [0, 1, 2, 3, 0, 1]
    other = columns_of([Record(7, rows())])
    assert held.on_columns(other) is other


def test_a_damaged_correction_is_refused_before_and_after_it_is_named(tmp_path):
    name = correction([0, 1, 2, 3], crossed=False).save(tmp_path)
    path = tmp_path / "corrections" / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="another text than its name says"):
        check(tmp_path, name)
    with pytest.raises(CorrectionMissing, match="from a backup"):
        Corrections(tmp_path, [(name, "bad")]).touch(0, 0, 2**62)
