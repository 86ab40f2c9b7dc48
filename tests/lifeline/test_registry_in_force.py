"""A running system takes an imported registry up by a record of its journal."""

from __future__ import annotations

import threading
import time

import pytest

from ingest.journal import JournalReader, durable_end
from lifeline.data_folder import DataFolder
from lifeline.preflight import in_force
from lifeline.processes import Context
from lifeline.processes.ingest import run
from rules.readings import Control
from tests.lifeline.test_cli_site import configure
from tests.registry_tables import row, write_csv
from tests.servers import free_port
from tests.terminal import lifeline

SENSOR, NEW = "410100-gas-mh-000011/ch4-01", "410100-gas-mo-000911"


@pytest.fixture
def city(tmp_path):
    folder = tmp_path / "city"
    assert lifeline("init", folder).returncode == 0
    configure(folder, mqtt=free_port())
    return folder


def controls(data):
    with JournalReader(data / "journal") as reader:
        found = reader.read(until=durable_end(data / "journal"))
    return [r.body for r in found if isinstance(r.body, Control)]


def test_an_import_and_a_replacement_are_records_of_the_journal(tmp_path, city):
    data, stop = city / "data", threading.Event()
    table = write_csv(tmp_path / "t.csv", [row(11)])
    with DataFolder(data):
        thread = threading.Thread(target=run, args=(Context(site=city, data=data, stop=stop),))
        thread.start()
        try:
            socket = data / "run" / "control.sock"
            end = time.monotonic() + 20
            while not socket.exists() and time.monotonic() < end:
                time.sleep(0.05)
            done = lifeline("registry", "import", table, "--site", city, "--yes")
            assert "in force from journal offset" in done.stderr, done.stderr
            again = lifeline("registry", "import", table, "--site", city, "--yes")
            assert "the running system has this registry in force" in again.stderr
            moved = lifeline(
                "registry", "replace", SENSOR, "--device", NEW, "--site", city, "--yes"
            )
            assert "in force from journal offset" in moved.stderr, moved.stderr
        finally:
            stop.set()
            thread.join(20)
    names = [c.data["registry"] for c in controls(data) if c.type == "site"]
    assert len(names) == len(set(names)) == 3  # the first, the import's, the replacement's
    held = in_force(data)
    assert held.content_hash == names[-1]
    at = held.channel_row[f"{SENSOR}/vol"]
    assert held.devices.id[held.channels.device[at]] == NEW
    for name in names:
        assert (data / "registry" / f"{name}.json").exists()
