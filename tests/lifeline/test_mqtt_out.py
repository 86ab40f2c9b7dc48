"""Alarms on a real mosquitto: events, retained states, and what the broker refuses."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from lifeline.ledger.people import People
from lifeline.notify.mqtt import MqttSettings
from tests import servers
from tests.lifeline.outlets import Desk, Wall, happened
from tests.lifeline.small_city import until

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]
WHO = {"out": "secret-out", "in": "secret-in"}
ACL = "user out\ntopic readwrite {prefix}/#\nuser in\ntopic read #\n"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    acl = tmp_path_factory.mktemp("acl") / "acl"
    acl.write_text(ACL.format(prefix="city/alarms"))
    acl.parent.chmod(0o755)
    acl.chmod(0o644)
    for folder in acl.parents[:3]:
        folder.chmod(folder.stat().st_mode | 0o055)
    with servers.mosquitto(users=WHO, extra=f"acl_file {acl}") as held:
        yield held


@contextmanager
def listening(broker):
    """What a client hears that comes now: (topic, payload, retained)."""
    got: list[tuple[str, bytes, bool]] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("in", WHO["in"])
    client.on_message = lambda _c, _u, m: got.append((m.topic, m.payload, m.retain))
    done = []
    client.on_subscribe = lambda *_: done.append(1)
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.subscribe("city/alarms/#", 1)
    until(lambda: done)
    yield got
    client.disconnect()
    client.loop_stop()


def settings(broker, **more) -> MqttSettings:
    held = {"name": "mqtt:city", "host": broker.host, "port": broker.port, "look_s": 0.3}
    held |= {"prefix": "city/alarms", "user": "out", "password": WHO["out"]}
    return MqttSettings(**held | more)


@pytest.fixture
def desk(tmp_path, broker):
    held = Desk(tmp_path, settings(broker))
    yield held
    held.close()


def states(got) -> dict[str, bytes]:
    return {t.rpartition("/")[2]: p for t, p, _ in got if "/alarm/" in t}


def test_an_event_is_told_and_its_alarm_stands_retained_until_it_is_over(desk, broker):
    desk.tell(happened("RAISED", 1))
    with listening(broker) as got:
        assert desk.post.deliver_due() == 1
        event = json.loads(until(lambda: [p for t, p, _ in got if t.endswith("/event")])[0])
    assert (event["type"], event["id"], event["simulation"]) == ("RAISED", 1, False)
    with listening(broker) as got:
        until(lambda: any(t.endswith("/status") and p == b"online" and r for t, p, r in got))
        state = json.loads(until(lambda: states(got))[event["alarm"]])
    assert (state["word"], state["severity"], state["seq"]) == ("UNACK", 3, 1)
    assert state["sentence"]["zh"].startswith("甲烷")
    desk.ledger.acknowledge(event["alarm"], "li", "", None, "c1")
    desk.tell(happened("CLEARED", 2, 0))
    desk.post.deliver_due()
    with listening(broker) as got:
        until(lambda: any(t.endswith("/status") for t, _, _ in got))
    assert states(got) == {}, "nothing of it is retained"


def test_what_people_do_is_in_the_state_though_no_message_tells_it(desk, broker):
    desk.tell(happened("RAISED", 1, episode=2))
    desk.post.deliver_due()
    (alarm,) = desk.ledger.open_alarms()
    People(desk.ledger).assign(alarm.alarm_id, by="li", to="wang", command="a1")

    def assigned():
        desk.post.deliver_due()
        with listening(broker) as got:
            until(lambda: states(got))
            return json.loads(states(got)[alarm.alarm_id])["assigned_to"] == "wang"

    until(assigned, seconds=10)
    desk.tell(happened("CLEARED", 2, 0, episode=2))
    desk.ledger.acknowledge(alarm.alarm_id, "li", "", None, "c9")
    desk.post.deliver_due()


def test_what_ended_while_we_were_away_does_not_stay_retained(tmp_path, broker):
    desk = Desk(tmp_path, settings(broker))
    desk.tell(happened("RAISED", 1, episode=3))
    desk.post.deliver_due()
    (alarm,) = desk.ledger.open_alarms()
    desk.post.close()
    held = {"held": [{"cause": "MW-1"}]}
    desk.tell(happened("SUPPRESSED", 2, episode=3, evidence=held | {"cause": "MW-1"}))
    desk.tell(happened("CLEARED", 3, 0, episode=3))
    desk.ledger.acknowledge(alarm.alarm_id, "li", "", None, "c1")
    with desk.ledger.write() as connection:  # as if nobody had been told of the end
        connection.exec_driver_sql("UPDATE outbox SET status = 'withheld' WHERE status = 'pending'")
    desk.open()

    def cleared():
        desk.post.deliver_due()
        with listening(broker) as got:
            until(lambda: any(t.endswith("/status") for t, _, _ in got))
            return alarm.alarm_id not in states(got)

    until(cleared, seconds=10)
    desk.close()


def test_simulated_alarms_are_not_published(desk, broker):
    with listening(broker) as got:
        desk.tell(happened("RAISED", 1, 4, episode=4), simulation=True)
        assert desk.post.deliver_due() == 0
        until(lambda: any(t.endswith("/status") for t, _, _ in got))
    # what another test left retained on this broker is not ours to hear
    assert [t for t, p, old in got if p and not old and ("/event" in t or "/alarm/" in t)] == []


def test_a_broker_that_does_not_let_us_publish_is_said_and_tried_again(tmp_path, broker):
    desk = Desk(tmp_path, settings(broker, prefix="elsewhere", name="mqtt:x"))
    desk.tell(happened("RAISED", 1))
    assert desk.post.deliver_due() == 0
    assert "does not let us publish to elsewhere/status: Not authorized" in desk.post.trouble
    assert desk.statuses() == ["pending"]
    desk.close()


def test_an_account_the_broker_does_not_know_is_said_in_words(broker):
    said = settings(broker, user="out2").probe()
    assert said == f"{broker.host}:{broker.port}: the broker refuses us: Not authorized"
    assert settings(broker).probe() == ""


def test_a_broker_that_was_away_gets_each_message_when_it_is_back(tmp_path):
    wall = Wall()
    with servers.mosquitto() as broker:
        desk = Desk(
            tmp_path, MqttSettings(name="mqtt:b", host=broker.host, port=broker.port), wall=wall
        )
        broker.stop()
        desk.tell(happened("RAISED", 1), happened("RAISED", 2, episode=2))
        assert desk.post.deliver_due() == 0
        assert "Connection refused" in desk.post.trouble
        broker.start()
        wall.pass_s(10)
        assert desk.post.deliver_due() == 2
        assert desk.statuses() == ["delivered", "delivered"]
        desk.close()
