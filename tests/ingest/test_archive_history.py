"""Questions to the archive: all rows where few are, lows and highs where many are."""

import itertools
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.journal import JournalReader
from ingest.store import archive, history
from rules.judge import CONFLICT, DUPLICATE, JUDGED, LATE
from rules.readings import Readings
from tests import store_data

T0 = store_data.T0


def _archive(folder, values, *, cuts=(), compact=False):
    """Archive one channel's values a second apart, in files cut at the given rows."""
    limits = archive.ArchiveLimits(fan_in=2 if compact else 64)
    writer = archive.Archive(folder / "archive", channels=2, limits=limits)
    n = len(values)
    edges = [0, *sorted(cuts), n]
    bodies = [
        Readings.of(
            {
                "channel": np.zeros(b - a),
                "judged_ns": T0 + np.arange(a, b) * store_data.SECOND,
                "value": values[a:b],
            }
        )
        for a, b in itertools.pairwise(edges)
        if b > a
    ]
    end = store_data.write_journal(folder, bodies)
    with JournalReader(folder / "journal") as journal:
        for record in journal.read(until=end):
            writer.add([record])
            writer.roll()
    return history.History(folder / "archive")


def test_an_archive_that_is_not_there_yet_is_empty(tmp_path):
    past = history.History(tmp_path / "archive")
    assert past.counts()["rows"] == 0
    assert len(past.trend(0, 0, 2**62, 100)) == 0
    assert list(past.records()) == []


@pytest.mark.parametrize("compact", [False, True])
def test_few_rows_come_back_as_they_are_over_all_files(tmp_path, compact):
    values = np.array([1.5, np.nan, -0.0, np.inf, 5e-324, -np.inf, 7.0])
    past = _archive(tmp_path, values, cuts=(2, 4, 5), compact=compact)
    trend = past.trend(0, T0 + store_data.SECOND, T0 + 6 * store_data.SECOND, 100)
    assert trend.value.tobytes() == values[1:6].tobytes()
    assert trend.event_ns.tolist() == [T0 + k * store_data.SECOND for k in range(1, 6)]
    assert len(past.trend(1, 0, 2**62, 100)) == 0


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.floats(-100, 100) | st.just(float("nan")), min_size=1, max_size=300),
    most=st.integers(2, 40),
    cut=st.integers(0, 300),
)
def test_down_sampling_keeps_the_lowest_and_highest_of_each_part(
    tmp_path_factory, values, most, cut
):
    given_values = np.array(values)
    folder = tmp_path_factory.mktemp("trend")
    past = _archive(folder, given_values, cuts=(min(cut, len(values)),))
    trend = past.trend(0, 0, 2**62, most)
    assert len(trend) <= max(most, 2)
    times = ((trend.event_ns - T0) // store_data.SECOND).tolist()
    assert times == sorted(set(times))
    np.testing.assert_array_equal(trend.value, given_values[times])
    if len(values) <= most:
        assert len(trend) == len(values)
        return
    width = (len(values) - 1) * store_data.SECOND // (most // 2) + 1
    part = np.arange(len(values)) * store_data.SECOND // width
    for p in np.unique(part):
        inside = given_values[(part == p) & ~np.isnan(given_values)]
        chosen = trend.value[np.isin(times, np.flatnonzero(part == p))]
        if len(inside):
            assert (chosen.min(), chosen.max()) == (inside.min(), inside.max())
        else:
            assert len(chosen) == 0


def test_duplicates_and_conflicts_are_no_points_and_late_rows_are_marked(tmp_path):
    at = T0 + 10 * store_data.SECOND
    rows = [(at, 1.0), (at, 1.0), (at + 1, 4.0), (at + 1, 2.0), (at - 5, 3.0)]
    bodies = [store_data.conflicting(t, at + k, v) for k, (t, v) in enumerate(rows)]
    end = store_data.write_journal(tmp_path, bodies)
    writer = archive.Archive(tmp_path / "archive", channels=1, limits=archive.ArchiveLimits())
    with JournalReader(tmp_path / "journal") as journal:
        writer.add(journal.read(until=end))
    writer.roll()
    past = history.History(tmp_path / "archive")
    trend = past.trend(0, 0, 2**62, 100)
    assert list(zip(trend.value.tolist(), trend.verdict.tolist(), strict=True)) == [
        (3.0, LATE),
        (1.0, JUDGED),
        (4.0, JUDGED),
    ]
    counts = past.counts()
    assert (counts["duplicates"], counts["conflicts"], counts["late"]) == (1, 1, 1)
    assert {DUPLICATE, CONFLICT}.isdisjoint(trend.verdict.tolist())


def test_queries_go_on_from_several_threads_while_files_are_compacted_away(tmp_path):
    limits = archive.ArchiveLimits(fan_in=2, grace_s=0.0)
    writer = archive.Archive(tmp_path / "archive", channels=2, limits=limits)
    bodies = list(store_data.stream(seed=5, records=25, rows=20))
    end = store_data.write_journal(tmp_path, bodies)
    past = history.History(tmp_path / "archive")
    done, failed, answers = threading.Event(), [], []

    def ask():
        while not done.is_set():
            try:
                answers.append(len(past.trend(0, 0, 2**62, 50)))
            except Exception as error:  # noqa: BLE001 - shown by the test
                failed.append(error)
                return

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    with JournalReader(tmp_path / "journal") as journal:
        for record in journal.read(until=end):
            writer.add([record])
            writer.roll()
    done.set()
    for thread in threads:
        thread.join(10)
    assert failed == []
    assert max(answers) <= 50
