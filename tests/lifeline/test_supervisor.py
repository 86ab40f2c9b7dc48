"""The supervisor: crashed processes come back, one that needs a person ends it, all stop."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lifeline.broker import become_broker, program, wait_until_up, write_config
from lifeline.data_folder import DataFolder, holder_pid
from lifeline.errors import Crashed, Missing, Occupied, Unreachable
from lifeline.metrics_files import metrics_folder
from lifeline.migrations import VERSION
from lifeline.new_site import write_new_site
from lifeline.processes import Context
from lifeline.supervisor import Supervisor
from tests import servers


@pytest.fixture
def context(tmp_path):
    write_new_site(tmp_path / "city")
    return Context(site=tmp_path / "city", data=tmp_path / "data")


def wait_until(true, what: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, f"not within 20 s: {what}"
        time.sleep(0.05)


def test_a_killed_process_is_started_again_and_that_is_told(context, tmp_path):
    told = []
    with (
        DataFolder(context.data),
        Supervisor(context, ["engine"], log_folder=tmp_path / "log") as supervisor,
    ):
        supervisor.on_restart = lambda name, code, pause_s: told.append((name, code, pause_s))
        supervisor.start_all()
        log = tmp_path / "log" / "engine.log"
        wait_until(lambda: "engine runs" in log.read_text(), "the engine")
        first = supervisor.children["engine"].process.pid
        os.kill(first, signal.SIGKILL)

        def again() -> bool:
            supervisor.watch()
            return log.read_text().count("engine runs") == 2

        wait_until(again, "the engine again")
        second = supervisor.children["engine"].process.pid
        assert second != first
        told_metrics = metrics_folder(context.data) / "supervisor.prom"
        wait_until(
            lambda: (
                told_metrics.exists()
                and 'restarts_total{name="engine"} 1.0' in told_metrics.read_text()
            ),
            "the restart in the metrics",
        )
        assert "lifeline_readings" not in told_metrics.read_text(), "only what it counts itself"
    assert told == [("engine", -signal.SIGKILL, 0.5)]
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


def test_a_process_that_needs_a_person_ends_the_run_with_its_words(context, tmp_path):
    with (
        DataFolder(context.data),
        Supervisor(context, ["store"], log_folder=tmp_path / "log") as supervisor,
    ):
        supervisor.start_all()
        with pytest.raises(Crashed, match=r"(?s)store cannot run.*no \[influx\] table"):
            wait_until(supervisor.watch, "the end")


def test_processes_end_when_the_supervisor_is_killed(context, tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from lifeline.processes import Context; from lifeline.supervisor import Supervisor\n"
        "context = Context(site=Path(sys.argv[1]), data=Path(sys.argv[2]))\n"
        "s = Supervisor(context, ['engine'], log_folder=Path(sys.argv[3])); s.start_all()\n"
        "print(s.children['engine'].process.pid, flush=True); time.sleep(60)\n"
    )
    words = [sys.executable, "-c", script, context.site, context.data, tmp_path / "log"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as supervisor:
        engine = int(supervisor.stdout.readline())
        log = tmp_path / "log" / "engine.log"
        wait_until(lambda: log.exists() and "engine runs" in log.read_text(), "the engine")
        supervisor.kill()
        wait_until(lambda: not _alive(engine), "the engine's end")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_second_instance_is_told_who_is_first(tmp_path):
    with DataFolder(tmp_path / "data"):
        assert holder_pid(tmp_path / "data") == os.getpid()
        with pytest.raises(Occupied, match=f"process {os.getpid()} works in this data folder"):
            DataFolder(tmp_path / "data")
    with DataFolder(tmp_path / "data"):
        assert (tmp_path / "data" / "VERSION").read_text() == f"{VERSION}\n"
    assert holder_pid(tmp_path / "data") is None


def test_a_folder_that_cannot_be_written_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Missing, match="choose another with --data"):
        DataFolder(tmp_path / "file" / "data")


def test_the_demo_s_broker_comes_up_where_it_is_told_to(tmp_path):
    port = servers.free_port()
    config = write_config(tmp_path, port=port, client_port=servers.free_port())
    assert program().exists()
    assert callable(become_broker)
    with subprocess.Popen([program(), "--config", config], stderr=subprocess.DEVNULL) as broker:
        try:
            wait_until_up(port, timeout_s=10, alive=lambda: broker.poll() is None)
        finally:
            broker.terminate()
    with pytest.raises(Unreachable, match="does not come up"):
        wait_until_up(port, timeout_s=0.1, alive=lambda: True)
