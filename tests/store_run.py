"""Runs the store in a thread, for tests that look at what reaches a server."""

import contextlib
import threading

from ingest.journal import Cursor
from ingest.store import service
from ingest.store.settings import InfluxSettings
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
