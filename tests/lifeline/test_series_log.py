"""The engine's series log: each row once over a restart, and never in the way of alarms."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from ingest.journal import JournalReader, durable_end
from ingest.journal.files import OS_FILES
from lifeline.series_log import SeriesLog
from rules.readings import position
from rules.series import Series, Source


def series(*offsets: int, extra: int = 1) -> Series:
    n = len(offsets)
    return Series(
        sources=(Source("偏移", "modal", ("expected", "slope")[:extra]), Source("", "feature")),
        subjects=("a/b/c", "d/e/f"),
        g=np.array([position(offset) for offset in offsets], np.int64),
        source=np.zeros(n, np.int32),
        subject=np.arange(n, dtype=np.int32) % 2,
        judged_ns=np.arange(n, dtype=np.int64),
        value=np.full(n, np.nan),
        score=np.array(offsets, float) / 3,
        extra=np.full((n, extra), 0.1),
    )


def held(data) -> list[tuple[int, Series]]:
    folder = data / "series"
    with JournalReader(folder) as reader:
        found = reader.series(until=durable_end(folder))
    return [(rows.through, rows.series) for _, rows in found]


def offsets(data) -> list[int]:
    return [g >> 24 for _, rows in held(data) for g in rows.g.tolist()]


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_what_was_written_is_read_back(tmp_path, extra):
    log = SeriesLog(tmp_path)
    wrote = series(3, 4, 9, extra=extra)
    log.append([wrote], 10)
    log.close()
    ((through, found),) = held(tmp_path)
    assert through == 10
    assert (found.sources, found.subjects) == (wrote.sources, wrote.subjects)
    for name in ("g", "source", "subject", "judged_ns", "value", "score", "extra"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wrote, name))


def test_a_run_again_from_an_older_snapshot_writes_nothing_twice(tmp_path):
    log = SeriesLog(tmp_path)
    log.append([series(1, 2), series(5, 7)], 8)
    log.close()
    assert [through for through, _ in held(tmp_path)] == [5, 8]
    again = SeriesLog(tmp_path)
    assert again.through == 8
    again.append([series(2), series(5, 7)], 8)
    again.append([series(7, 8, 9)], 10)
    again.close()
    assert offsets(tmp_path) == [1, 2, 5, 7, 8, 9]


def test_what_was_not_synced_is_made_anew(tmp_path):
    log = SeriesLog(tmp_path)
    log.append([series(1)], 2)
    log.commit()
    log.append([series(3)], 4)
    log._writer.discard()  # the process is gone before the second sync
    log._writer.close()
    again = SeriesLog(tmp_path)
    assert again.through == 2
    again.append([series(1), series(3)], 4)
    again.close()
    assert offsets(tmp_path) == [1, 3]


@pytest.mark.parametrize(("number", "after"), [(errno.ENOSPC, [1, 3]), (errno.EIO, [1])])
def test_a_disk_that_fails_costs_scores_and_nothing_else(tmp_path, monkeypatch, number, after):
    log = SeriesLog(tmp_path)
    log.append([series(1)], 2)
    log.commit()

    def fails(*_: object) -> int:
        raise OSError(number, "told so")

    log.append([series(2)], 3)
    with monkeypatch.context() as patched:
        patched.setattr(type(OS_FILES), "write", fails)
        log.commit()
    log.append([series(3)], 4)
    log.close()
    assert offsets(tmp_path) == after
