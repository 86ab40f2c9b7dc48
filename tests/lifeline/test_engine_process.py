"""The engine's process: its event log is a fresh fold of the journal, whatever happened to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self

import pytest

from ingest.journal import EventLines, JournalReader, JournalWriter, durable_end
from lifeline.engine_process import empty_site, run_engine
from rules.engine import Engine
from rules.events import EventType, decode, encode
from rules.language import compile_plan, load_rules, rules_bytes
from rules.readings import Control, Readings, Tick
from rules.registry_codec import content_hash, registry_bytes
from rules.registry_file import registry_of
from tests.lifeline.small_city import GAS, LEVEL, RULES, SECOND, registry_yaml

if TYPE_CHECKING:
    from pathlib import Path

START_NS = 1_790_000_000 * SECOND


class Data:
    """A data folder with a journal that a test writes record by record."""

    def __init__(self, folder: Path, rules: str = RULES) -> None:
        self.folder = folder
        for name in ("registry", "rules", "run", "journal"):
            (folder / name).mkdir()
        self.registry = registry_of({"city.yaml": registry_yaml(simulation=False)})
        self.journal = JournalWriter(folder / "journal")
        self.now_ns = START_NS
        self.sequence = 0
        self.tick(0)
        self.name("registry", registry_bytes(self.registry))
        self.name("rules", rules_bytes(load_rules({"rules.yaml": rules})))

    def name(self, kind: str, text: bytes) -> None:
        digest = content_hash(text)
        (self.folder / kind / f"{digest}.json").write_bytes(text)
        self.journal.append(Control(kind, {"hash": digest}))
        self.journal.commit()

    def tick(self, later_s: float) -> None:
        self.now_ns += int(later_s * SECOND)
        self.journal.append(Tick(self.now_ns))
        self.journal.commit()

    def send(self, channel: str, *values: float) -> None:
        """One message with a sample a second, the newest now."""
        row, n = self.registry.channel_row[channel], len(values)
        self.now_ns += n * SECOND
        self.sequence += 1
        columns = {
            "channel": [row] * n,
            "device": [int(self.registry.channels.device[row])] * n,
            "judged_ns": [self.now_ns - (n - 1 - i) * SECOND for i in range(n)],
            "receive_ns": [self.now_ns] * n,
            "value": values,
            "boot": [1] * n,
            "sequence": [self.sequence] * n,
            "index": range(n),
        }
        self.journal.append(Readings.of(columns))
        self.journal.commit()

    def lines(self) -> list[bytes]:
        """Everything in the event log."""
        folder = self.folder / "events"
        with JournalReader(folder) as reader:
            records: list[tuple[int, EventLines]] = []
            while some := reader.events(until=durable_end(folder)):
                records += some
        return [line for _, record in records for line in record.lines]

    def fresh_fold(self) -> list[bytes]:
        """What an engine that starts anew says about the journal."""
        engine = Engine(*empty_site(), resolve=self._resolve)
        self._hashes: dict[str, str] = {}
        with JournalReader(self.folder / "journal") as reader:
            records = reader.read(until=self.journal.durable_offset)
        return [encode(event) for event in engine.fold(records)]

    def _resolve(self, control: Control):
        self._hashes[control.type] = control.data["hash"]
        if len(self._hashes) < 2:
            return None
        rules = load_rules({"rules.yaml": RULES})
        return compile_plan(rules, self.registry)[0], self.registry

    def run(self, *, snapshot_s: float = 30.0) -> Running:
        return Running(self, snapshot_s)


class Running:
    """The process's function in a thread, until it has taken up the whole journal."""

    def __init__(self, data: Data, snapshot_s: float) -> None:
        self.data, self.stop = data, threading.Event()
        self.thread = threading.Thread(
            target=run_engine,
            kwargs={"data": data.folder, "stop": self.stop, "snapshot_s": snapshot_s},
        )

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        until(lambda: self.data.lines() == self.data.fresh_fold() or not self.thread.is_alive())
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def until(true, within_s: float = 5.0) -> None:
    give_up = time.monotonic() + within_s
    while not true() and time.monotonic() < give_up:
        time.sleep(0.02)


@pytest.fixture
def data(tmp_path):
    made = Data(tmp_path)
    yield made
    made.journal.close()


def leak(data: Data) -> None:
    """A leak that raises, escalates and is confirmed, and a level that rises and falls."""
    data.send(GAS, 0.0, 0.1)
    data.send(LEVEL, 0.1, 0.7)
    data.send(GAS, 0.6, 1.3, 2.6)
    data.tick(1)
    data.send(GAS, 2.7)


def test_the_event_log_is_a_fresh_fold_of_the_journal(data):
    with data.run():
        leak(data)
    told = [decode(line).type for line in data.lines()]
    assert data.lines() == data.fresh_fold()
    assert {EventType.RAISED, EventType.ESCALATED, EventType.CONFIRMED} <= set(told)


def test_a_clean_stop_leaves_a_snapshot_and_a_restart_writes_nothing_twice(data):
    with data.run():
        leak(data)
    assert len(list((data.folder / "snapshots").glob("*.snap"))) == 1
    with data.run():
        data.send(LEVEL, 0.1, *[0.1] * 12)
    assert data.lines() == data.fresh_fold()
    assert len(data.lines()) == len(set(data.lines()))


def test_without_its_snapshots_the_engine_runs_again_from_the_beginning_and_compares(data):
    with data.run():
        leak(data)
    for path in (data.folder / "snapshots").iterdir():
        path.unlink()
    with data.run():
        data.send(LEVEL, 1.5)
    assert data.lines() == data.fresh_fold()


def test_a_damaged_snapshot_is_passed_over(data):
    with data.run():
        leak(data)
    (path,) = (data.folder / "snapshots").iterdir()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with data.run():
        data.send(LEVEL, 1.5)
    assert data.lines() == data.fresh_fold()


def test_a_log_that_a_rerun_does_not_give_again_is_an_event_of_its_own(data):
    with data.run():
        leak(data)
    for path in (data.folder / "snapshots").iterdir():
        path.unlink()
    with JournalReader(data.folder / "events") as reader:
        (_, record), *_ = reader.events(until=durable_end(data.folder / "events"))
    shutil.rmtree(data.folder / "events")
    forged = decode(record.lines[0])
    changed = encode(forged._replace(severity=4))
    with JournalWriter(data.folder / "events") as writer:
        writer.append(EventLines(through=record.through, lines=(changed, *record.lines[1:])))
        writer.commit()
    running = data.run()
    running.thread.start()
    until(lambda: any(b"RERUN_DIFFERS" in line for line in data.lines()))
    running.stop.set()
    running.thread.join(10)
    (said,) = [decode(x) for x in data.lines() if decode(x).type is EventType.RERUN_DIFFERS]
    assert said.evidence["line"]


def test_a_reload_keeps_the_alarms_of_rules_whose_meaning_did_not_change(data):
    with data.run():
        leak(data)
        text = RULES.replace("red: 1.0", "red: 1.1")  # of ponding only
        data.name("rules", rules_bytes(load_rules({"rules.yaml": text})))
        data.send(GAS, 2.8)
        until(lambda: any(b"RULE_CHANGED" in line for line in data.lines()))
        running_lines = data.lines()
    changed = [decode(x) for x in running_lines if b"RULE_CHANGED" in x]
    assert [e.rule for e in changed] == ["ponding"]
    assert sum(decode(x).type is EventType.RAISED for x in running_lines if b"ch4-space" in x) == 1


def test_killed_at_any_moment_the_log_is_still_the_fold(data):
    program = (
        "import sys, threading, pathlib\n"
        "from lifeline.engine_process import run_engine\n"
        "run_engine(data=pathlib.Path(sys.argv[1]), stop=threading.Event(), snapshot_s=0.05)\n"
    )
    for kill in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(data.folder)], stderr=subprocess.DEVNULL
        )
        before = len(data.lines()) if (data.folder / "events").exists() else 0
        for _ in range(4):
            leak(data)
            data.send(GAS, *[0.0] * 12)
        wanted = before + 3 * kill
        until(lambda wanted=wanted: len(data.lines()) > wanted, 10)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with data.run():
        data.tick(1)
    assert data.lines() == data.fresh_fold()
    assert len(data.lines()) > 20
