"""Operators' commands: validated by the ledger, once, and mirrored into the journal."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from lifeline.ledger import Conflict, Ledger, Refused, Unknown, mirror
from rules.alarms import Word
from rules.events import Event, EventType

CHANNEL = "410100-gas-mh-000123/ch4-01/vol"


def event(kind: str, offset: int, severity: int = 2, **more) -> Event:
    return Event(
        type=EventType(kind),
        offset=offset,
        row=0,
        rule="ch4-level",
        subject=CHANNEL,
        severity=severity,
        max_severity=severity,
        episode="1.0",
        **more,
    )


class Wall:
    ns = 10**18

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def ledger(tmp_path, wall):
    held = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", wall_ns=wall)
    held.apply([event("RAISED", 1)], 2)
    yield held
    held.close()


@pytest.fixture
def alarm_id(ledger):
    return ledger.open_alarms()[0].alarm_id


def controls(ledger) -> list[dict]:
    with ledger.read() as connection:
        rows = connection.exec_driver_sql("SELECT control FROM command ORDER BY id").all()
    return [json.loads(r[0]) for r in rows]


def test_an_ack_is_an_event_and_a_control_that_waits_to_be_mirrored(ledger, alarm_id):
    alarm = ledger.acknowledge(alarm_id, "li", "crew called", 1, "c1")
    assert (alarm.word, alarm.acked_by, alarm.ack_comment) == (Word.ACKED, "li", "crew called")
    assert [e.type for _, e in ledger.events_of(alarm_id)] == ["RAISED", "ACKED"]
    data = {"alarm": alarm_id, "by": "li", "comment": "crew called", "command": "c1"}
    assert controls(ledger) == [{"type": "ack", "data": data}]


def test_the_second_of_two_operators_is_told_the_first_ones_name(ledger, alarm_id):
    ledger.acknowledge(alarm_id, "li", "", 1, "c1")
    with pytest.raises(Conflict, match="already acknowledged by li") as refusal:
        ledger.acknowledge(alarm_id, "wang", "", 1, "c2")
    assert refusal.value.by == "li"
    assert len(controls(ledger)) == 1


def test_two_operators_at_the_same_moment_make_one_acknowledgement(ledger, alarm_id):
    gate, results = threading.Barrier(2), []

    def press(by: str) -> None:
        gate.wait()
        try:
            results.append(ledger.acknowledge(alarm_id, by, "", 1, f"c-{by}").acked_by)
        except Conflict as refusal:
            results.append(("refused, first was", refusal.by))

    threads = [threading.Thread(target=press, args=(by,)) for by in ("li", "wang")]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=10)
    first = next(r for r in results if isinstance(r, str))
    assert ("refused, first was", first) in results


def test_the_same_command_again_gives_the_same_answer_and_no_second_event(ledger, alarm_id):
    for _ in range(3):
        assert ledger.acknowledge(alarm_id, "li", "", 1, "c1").acked_by == "li"
    assert len(ledger.events_of(alarm_id)) == 2
    with pytest.raises(Refused, match="'c1' was used for ack"):
        ledger.acknowledge(alarm_id, "wang", "", 1, "c1")


def test_who_has_not_seen_it_get_worse_cannot_acknowledge_it(ledger, alarm_id):
    ledger.apply([event("ESCALATED", 5, severity=4)], 6)
    with pytest.raises(Conflict, match="changed since you saw it") as refusal:
        ledger.acknowledge(alarm_id, "li", "", 1, "c1")
    assert ledger.acknowledge(alarm_id, "li", "", refusal.value.seq, "c2").word is Word.ACKED


def test_a_lower_level_in_between_does_not_refuse_the_ack(ledger, alarm_id):
    ledger.apply([event("LOWERED", 5, severity=1)], 6)
    assert ledger.acknowledge(alarm_id, "li", "", 1, "c1").word is Word.ACKED


def test_an_ack_of_a_returned_alarm_ends_it(ledger, alarm_id):
    ledger.apply([event("CLEARED", 5, severity=0)], 6)
    assert ledger.acknowledge(alarm_id, "li", "", None, "c1").ended
    assert ledger.open_alarms() == []
    assert [e.type for _, e in ledger.events_of(alarm_id)][-2:] == ["ACKED", "ENDED"]
    with pytest.raises(Conflict, match="acknowledged by li"):
        ledger.acknowledge(alarm_id, "wang", "", None, "c2")


def test_an_ack_is_taken_back_within_ten_seconds_by_the_same_person(ledger, alarm_id, wall):
    ledger.acknowledge(alarm_id, "li", "", 1, "c1")
    wall.ns += 9 * 10**9
    with pytest.raises(Conflict, match="is li's"):
        ledger.revoke(alarm_id, "wang", "c2")
    assert ledger.revoke(alarm_id, "li", "c3").word is Word.UNACK
    assert controls(ledger)[-1]["data"]["revoke"] is True
    ledger.acknowledge(alarm_id, "li", "", None, "c4")
    wall.ns += 11 * 10**9
    with pytest.raises(Conflict, match="10 s"):
        ledger.revoke(alarm_id, "li", "c5")


def test_an_unknown_alarm_is_refused_with_a_remedy(ledger):
    with pytest.raises(Unknown, match="no alarm 'feed'") as refusal:
        ledger.acknowledge("feed", "li", "", 1, "c1")
    assert refusal.value.remedy


def test_a_reset_is_ordered_only_where_the_sensor_was_over_its_range(ledger, alarm_id):
    with pytest.raises(Conflict, match="beyond the sensor's range"):
        ledger.reset(alarm_id, "li", "re-tested", "c1")
    ledger.apply([event("ESCALATED", 5, severity=4, over_range=True)], 6)
    ledger.reset(alarm_id, "li", "re-tested", "c2")
    data = {"rule": "ch4-level", "channel": CHANNEL, "by": "li", "reason": "re-tested"}
    assert controls(ledger) == [{"type": "reset", "data": data | {"command": "c2"}}]


class Ingest(threading.Thread):
    """Answers the control socket like ingest: an offset a command, the same for a repeat."""

    def __init__(self, path, *, answers: int, drop_first: bool = False, refuse: str = "") -> None:
        super().__init__(daemon=True)
        self.lines: list[dict] = []
        self.offsets: dict[str, int] = {}
        self.answers, self.drop_first, self.refuse = answers, drop_first, refuse
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.wire.bind(str(path))
        self.wire.listen()

    def run(self) -> None:
        for n in range(self.answers):
            peer, _ = self.wire.accept()
            with peer:
                line = json.loads(peer.makefile("rb").readline())
                self.lines.append(line)
                command = line["data"]["command"]
                if command == self.refuse:
                    peer.sendall(b'{"error": "unknown control"}\n')
                    continue
                offset = self.offsets.setdefault(command, 100 + len(self.offsets))
                if not (self.drop_first and n == 0):
                    peer.sendall(json.dumps({"offset": offset}).encode() + b"\n")
        self.wire.close()


def test_a_command_waits_until_ingest_listens_and_then_goes_once(ledger, alarm_id, tmp_path):
    ledger.acknowledge(alarm_id, "li", "", 1, "c1")
    path = tmp_path / "control.sock"
    with pytest.raises(OSError):
        mirror(ledger, path)
    ingest = Ingest(path, answers=1)
    ingest.start()
    assert mirror(ledger, path, max_refusals=2).sent == 1
    assert mirror(ledger, path, max_refusals=2).sent == 0
    ingest.join(timeout=5)
    assert [line["type"] for line in ingest.lines] == ["ack"]


def test_a_lost_answer_sends_the_same_command_again(ledger, alarm_id, tmp_path):
    ledger.acknowledge(alarm_id, "li", "", 1, "c1")
    ledger.revoke(alarm_id, "li", "c2")
    path = tmp_path / "control.sock"
    ingest = Ingest(path, answers=3, drop_first=True)
    ingest.start()
    with pytest.raises(ConnectionError, match="not an answer"):
        mirror(ledger, path)
    assert mirror(ledger, path).sent == 2
    with ledger.read() as connection:
        query = "SELECT command, mirrored_offset FROM command ORDER BY id"
        rows = connection.exec_driver_sql(query).all()
    assert rows == [("c1", 100), ("c2", 101)]


def test_a_command_ingest_refuses_lets_the_others_pass_and_is_given_up_in_the_end(
    ledger, alarm_id, tmp_path
):
    ledger.acknowledge(alarm_id, "li", "", 1, "c1")
    ledger.revoke(alarm_id, "li", "c2")
    path = tmp_path / "control.sock"
    ingest = Ingest(path, answers=3, refuse="c1")
    ingest.start()
    assert mirror(ledger, path, max_refusals=2).sent == 1
    assert mirror(ledger, path, max_refusals=2).sent == 0
    ingest.join(timeout=5)
    assert mirror(ledger, path).sent == 0, "nothing is left to send"
    with ledger.read() as connection:
        query = "SELECT command, mirrored_offset FROM command ORDER BY id"
        rows = connection.exec_driver_sql(query).all()
    assert rows == [("c1", -1), ("c2", 100)]
