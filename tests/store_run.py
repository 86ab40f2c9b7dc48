"""Runs the store in a thread, for tests that look at what reaches a server."""

import contextlib
import threading

import numpy as np

from ingest.journal import Cursor
from ingest.store import service
from ingest.store.settings import InfluxSettings
from rules.judge import Judge
from rules.readings import Readings, position
from rules.registry_file import content_hash, registry_bytes, registry_from_bytes
from tests import store_server, store_twin


def registry_of(**options):
    text = registry_bytes(store_twin.registry(**options))
    made = registry_from_bytes(text)
    assert made.content_hash == content_hash(text)
    return made


def settings_of(server, **options):
    given = {
        "url": server.url, "org": "o", "bucket": "b", "token": store_server.TOKEN,
        "flush_interval_s": 0.05, "first_retry_s": 0.02, "most_retry_s": 0.2, "batch_rows": 500,
        "refused_retry_s": 0.1,
    } | options  # fmt: skip
    return InfluxSettings(**given)


@contextlib.contextmanager
def running(data, registry, settings, **options):
    stop = threading.Event()
    failed = []

    def run():
        try:
            service.run_store(data=data, registry=registry, settings=settings, stop=stop, **options)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert failed == []


def cursor_of(data, name="store"):
    return Cursor.load(data / "cursors" / name).offset


def expected_of(bodies, registry):
    """The points by the slow way: one record and one Point at a time, last one wins."""
    judge, points = Judge(len(registry.channels.id)), {}
    for offset, body in enumerate(bodies):
        if not isinstance(body, Readings):
            continue
        verdict = judge.mark(body, position(offset) + np.arange(len(body))).verdict
        for point in store_twin.points(body, verdict, registry):
            head, when = point.to_line_protocol().rsplit(" ", 1)
            series, fields = head.rsplit(" ", 1)
            points[series, int(when)] = float(fields.rpartition("value=")[2])
        assert set(np.unique(verdict)) <= {0, 1, 2, 3, 4}
    return points


def points_of(server):
    return {
        (series.decode(), when): float(fields.rpartition(b"value=")[2])
        for (series, when), fields in server.points.items()
        if series.partition(b",")[0] in (b"gas", b"hydraulic")
    }
