"""/metrics tells of all processes, each sample with the process it is from."""

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import ingest.metrics
from lifeline import metrics_files
from lifeline.metrics_files import MetricsFile, all_metrics, metrics_folder


def samples(text: bytes) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, s.labels["process"]): s.value for family in families for s in family.samples}


def test_the_counters_of_every_process_stand_in_one_page(tmp_path):
    script = (
        "import sys, threading\nfrom pathlib import Path\n"
        "import ingest.metrics, lifeline.metrics_files as m\n"
        "ingest.metrics.READINGS.inc(41)\nm.EVERY_S = 0.05\nstop = threading.Event()\n"
        "m.MetricsFile(Path(sys.argv[1]), 'ingest', stop=stop).start()\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE) as other:
        file = metrics_folder(tmp_path) / "ingest.prom"
        while not file.exists():
            assert other.poll() is None
            threading.Event().wait(0.02)
        before = ingest.metrics.READINGS._value.get()
        found = samples(all_metrics(tmp_path))
        other.stdin.close()
    assert found["lifeline_readings_total", "ingest"] == 41
    assert found["lifeline_readings_total", "serve"] == before
    assert not any(name.startswith("python_") for name, _ in found)


def test_a_process_that_was_stopped_is_told_of_no_more(tmp_path):
    stop = threading.Event()
    metrics = MetricsFile(tmp_path, "engine", stop=stop)
    (metrics_folder(tmp_path)).mkdir(parents=True)
    (metrics_folder(tmp_path) / "engine.prom").write_text("")
    metrics.start()
    stop.set()
    metrics.join(5)
    assert not (metrics_folder(tmp_path) / "engine.prom").exists()


def test_a_full_disk_is_told_over_the_old_file_and_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics_files, "EVERY_S", 0.02)
    ingest.metrics.DISK_FULL.set(0)
    stop = threading.Event()
    writer = MetricsFile(tmp_path, "ingest", stop=stop)
    file = metrics_folder(tmp_path) / "ingest.prom"
    full = ("lifeline_disk_full", "ingest")
    writer.start()
    try:
        until(file.exists)

        def no_room(_path, _text):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", no_room)
        ingest.metrics.DISK_FULL.set(1)
        until(lambda: samples(all_metrics(tmp_path, own="serve")).get(full) == 1)
        assert writer.is_alive()
    finally:
        ingest.metrics.DISK_FULL.set(0)
        stop.set()
        writer.join(5)


def until(condition):
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
