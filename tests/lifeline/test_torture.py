"""The campaigns: schedule, comparison (each lie about what is left is found), page, command."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ingest.crash_points import POINTS
from ingest.journal import JournalWriter
from lifeline.cli.app import app
from lifeline.ledger import Ledger
from lifeline.ledger.tables import EVENT
from lifeline.notify import WebhookSettings
from lifeline.torture import campaign
from lifeline.torture.compare import compare, errors_logged, holds, late_again
from lifeline.torture.journaled import event_lines, read_journal, registry_of, rows_of
from lifeline.torture.kills import Tortured
from lifeline.torture.page import page
from lifeline.torture.power import Broken, Rig
from lifeline.torture.processes import NAMES, log_of
from lifeline.torture.schedule import MOST, POINT_KINDS, draw_schedule
from lifeline.torture.senders import Message
from lifeline.torture.servers import Receiver
from lifeline.torture.site import GATEWAYS, LEAST_SEVERITY, MODULES, NO_FLOOD
from rules.events import decode
from rules.incidents.places import Places
from rules.readings import Readings, position

# ---------------------------------------------------------------- the schedule


@pytest.mark.parametrize("kills", [POINT_KINDS, 60, 500])
def test_a_schedule_has_so_many_lives_and_every_point_in_them(kills):
    lives = draw_schedule(kills=kills, seed=3)
    assert sum(map(len, lives.values())) == kills
    for name, points in MOST.items():
        ends = Counter(life.point for life in lives[name])
        assert set(points) <= set(ends)
        assert all(1 <= life.count <= points[life.point] for life in lives[name] if life.point)
    assert kills == POINT_KINDS or any(not life.point for life in lives["ingest"])


def test_a_seed_is_a_schedule():
    assert draw_schedule(kills=50, seed=1) == draw_schedule(kills=50, seed=1)
    assert draw_schedule(kills=50, seed=1) != draw_schedule(kills=50, seed=2)


def test_too_few_kills_are_refused():
    with pytest.raises(ValueError, match="2 kills: there are 5 processes"):
        draw_schedule(kills=2, seed=1)


# ---------------------------------------------------------------- the comparison


class World:
    """A city that was well, and what its senders, store and receiver hold."""

    def __init__(self, folder: Path) -> None:
        rig = Rig(folder, "well", Broken())
        for _ in range(3):
            rig.live_well()
        self.data = rig.data
        (self.data / "log").mkdir()
        for name in NAMES:
            log_of(name, self.data).write_text("")
        records = read_journal(self.data)
        self.registry = registry_of(self.data, records)
        rows, _ = rows_of(records)
        self.points = [
            (self.registry.channels.id[c], "", int(t), float(v))
            for c, t, v in zip(rows.channel, rows.event_ns, rows.value, strict=True)
        ]
        self.left = Tortured(self.data, 1)
        self.left.kept = {device: [] for device in (*GATEWAYS, *MODULES)}
        self.receiver = Receiver()
        self.receiver.server_close()
        outlet = WebhookSettings(url="", secret=b"", min_severity=LEAST_SEVERITY).outlet
        self.ledger = Ledger(
            f"sqlite:///{self.data / 'ledger.sqlite'}",
            outlets=(outlet,),
            flood=NO_FLOOD,
            places=lambda: Places(registry=self.registry),
        )
        self.events = [decode(line) for line in event_lines(self.data)]
        self.ledger.apply(self.events, max(e.offset for e in self.events) + 1, position=1)
        for row in self.ledger.due(limit=1 << 30):
            self.receiver.bodies[row.seq] = {row.body}
            self.receiver.times[row.seq] = 1

    def row(self):
        return compare(self.left, self.points, self.receiver)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_city_that_was_well_holds_every_promise(world):
    row = world.row()
    assert holds(row), row
    assert row["events"] == len(world.events) > 20
    assert row["notifications"] > 10


def test_an_acknowledged_reading_that_is_nowhere_is_lost_twice(world):
    world.left.kept[MODULES[0]] = [Message(MODULES[0], 5, ((1, 1_775_000_000_123, 0.7),), b"")]
    row = world.row()
    assert row["coap"] == {"acknowledged": 1, "journaled": 0, "stored": 0, "lost": 2}
    assert row["mqtt"]["lost"] == 0
    assert row["lost"] == 2
    assert not holds(row)


def test_a_judged_row_without_a_point_is_lost_and_a_point_without_a_row_is_one_too_many(world):
    channel, late, ns, value = world.points[0]
    world.points[0] = (channel, late, ns + 1, value)
    row = world.row()
    assert (row["lost"], row["twice"]) == (1, 1)


def test_a_notification_that_never_came_is_missed_and_one_that_says_two_things_is_told(world):
    first, second, *_ = world.receiver.bodies
    del world.receiver.bodies[first]
    other = json.loads(next(iter(world.receiver.bodies[second]))) | {"severity": 9}
    world.receiver.bodies[second].add(json.dumps(other))
    row = world.row()
    assert (row["notifications_missing"], row["twice"]) == (1, 1)


def test_an_event_the_ledger_lacks_is_lost(world):
    with world.ledger.write() as connection:
        connection.execute(EVENT.delete().where(EVENT.c.seq == 3))
    assert world.row()["lost"] == 1


@pytest.mark.parametrize(("back", "found"), [(448, 0), (512, 1), (900, 1)])
def test_a_message_that_comes_again_and_is_taken_for_late_is_told(back, found):
    sequence = np.array([*range(1001), 1000 - back])
    count = len(sequence)
    rows = Readings.of(
        {
            "channel": np.zeros(count),
            "judged_ns": (sequence + 1) * 10**9,
            "receive_ns": np.arange(count) * 10**9,
            "value": np.ones(count),
            "boot": np.full(count, 7),
            "sequence": sequence,
        }
    )
    assert late_again(rows, position(0) + np.arange(count), 1) == found


def test_an_event_log_that_is_no_fold_of_the_journal_is_told(world):
    with JournalWriter(world.data / "journal") as writer:
        last = writer.next_offset - 1
    segment = max((world.data / "events").glob("*.seg"))
    held = segment.read_bytes()
    segment.write_bytes(held[: len(held) // 2])  # and its marker, so that nothing is damage
    (world.data / "events" / "durable").unlink()
    row = world.row()
    assert last > 0
    assert not row["log_equal"]
    assert not holds(row)


def test_errors_in_the_logs_are_counted_and_a_cut_line_is_none(world):
    log_of("serve", world.data).write_text(
        '{"event": "x", "level": "info"}\n{"event": "y", "level": "error"}\n{"event": "z", "lev\n'
        "Traceback (most recent call last):\n"
    )
    assert errors_logged(world.data) == 2


def test_a_notification_whose_sender_was_killed_while_it_spoke_counts_for_nothing():
    with Receiver() as receiver:
        with socket.create_connection(receiver.server_address) as sender:
            sender.sendall(b"POST /alarms HTTP/1.1\r\nContent-Length: 100\r\n\r\n{half")
        until = time.monotonic() + 10
        while not receiver.cut_short:
            assert time.monotonic() < until
            time.sleep(0.01)
        with socket.create_connection(receiver.server_address) as stranger:
            stranger.sendall(b"POST /alarms HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            assert stranger.recv(100).startswith(b"HTTP/1.1 401")
    assert (receiver.unsigned, receiver.bodies) == (1, {})


# ---------------------------------------------------------------- page and command


def test_the_command_tells_figures_and_ends_with_1_where_a_promise_is_broken(tmp_path, monkeypatch):
    told = tmp_path / "figures.json"
    words = ["torture", "--power-cuts", "3", "--flips", "20", "--seed", "4", "--json", str(told)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    rows = json.loads(told.read_text())
    assert set(rows) == {"power_cuts", "flips"}
    assert rows["power_cuts"]["power_cuts"] >= 3
    assert rows["flips"]["missed"] == 0
    monkeypatch.setattr(JournalWriter, "_sync", lambda self: None)
    done = CliRunner().invoke(app, ["torture", "--power-cuts", "20", "--seed", "4"])
    assert done.exit_code == 1
    assert "broken: power cuts" in done.output


def test_fewer_kills_than_processes_are_refused():
    done = CliRunner().invoke(app, ["torture", "--kills", "2"])
    assert done.exit_code == 2
    assert "there are 5 processes" in done.output


def test_a_page_of_some_campaigns_only_is_refused(tmp_path):
    words = ["torture", "--flips", "20", "--markdown", str(tmp_path / "page.md")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "--markdown tells of all campaigns" in done.output
    assert not (tmp_path / "page.md").exists()


def test_the_page_names_every_point_and_what_is_not_promised(world):
    campaigns = campaign.Campaigns(seed=2, stop=threading.Event())
    rows = {name: campaigns.run(name, 3, lambda _: None) for name in ("power_cuts", "flips")}
    rows["kills"] = world.row() | {"asked": 9, "store_repeated": 4}
    rows["kills"]["what_twice"]["point"] = 5
    rows["kills"]["points"] = {"ingest/after-ack": 3, "store/random": 6}
    text = page(rows)
    assert "--kills 9 --power-cuts 3 --flips 3" in text
    assert all(f"| {point} |" in text for point in POINTS)
    assert "| ingest 3 |" in text
    assert "| of these: point 5 |" in text
    assert "| any other moment | | 6 |" in text
    assert "The machine's disk" in text


def test_docs_reliability_is_such_a_page():
    text = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    # Other campaigns' sections have tests of their own.
    text = re.sub(r"<!-- (outages|soak) -->.*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    assert all(f"| {point} |" in text for point in POINTS)
    assert "lifeline torture --kills 500" in text
    assert "more than 448 others of its device" in text
    for promise in ("events lost", "promises broken"):
        (line,) = [
            line for line in text.splitlines() if promise in line and line.startswith("| **")
        ]
        assert line.endswith("| **0** |")
    assert "**Missed: 0.**" in text
