"""The real mosquitto with our own configuration: who may say what, and what a stop loses."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests import servers
from tests.deploy_files import GATEWAY, broker, compose

pytestmark = pytest.mark.real
OTHER = "410100-gas-gw-000002"


@pytest.fixture
def ports(secrets):
    """(the running broker, the port of City Lifeline's own listener)."""
    inside = servers.free_port()
    with broker(secrets, inside=inside) as running:
        yield running, inside


class Line:
    """A client over TLS that notes what it gets."""

    def __init__(self, secrets, user, password, *, client_id="", clean=True):
        self.got: list[tuple[str, bytes]] = []
        self.answer = ""
        self.closed = threading.Event()
        self._ready = threading.Event()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        if user:
            self.client.username_pw_set(user, password)
        self.client.tls_set(str(secrets / "ca.crt"))
        self.client.on_message = lambda _c, _d, said: self.got.append((said.topic, said.payload))
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_disconnect = lambda *_: self.closed.set()
        self.client.on_connect = self._connected

    def _connected(self, _client, _data, _flags, reason, _properties):
        self.answer = str(reason)
        self._ready.set()

    @contextlib.contextmanager
    def connected(self, port, *, subscribe=""):
        self.client.connect("localhost", port)
        self.client.loop_start()
        try:
            assert self._ready.wait(5)
            if subscribe:
                self._ready.clear()
                self.client.subscribe(subscribe, 1)
                assert self._ready.wait(5)
            yield self
        finally:
            self.client.disconnect()
            self.client.loop_stop()

    def says(self, topic, payload=b"x", *, retain=False):
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)


def account(secrets, user):
    names = {"lifeline": "mqtt-lifeline", GATEWAY: f"gateways/{GATEWAY}"}
    return user, (secrets / names[user]).read_text().strip()


def heard(line, n, *, within_s=5.0):
    deadline = time.monotonic() + within_s
    while len(line.got) < n and time.monotonic() < deadline:
        time.sleep(0.02)
    return [topic for topic, _ in line.got]


def test_a_gateway_speaks_below_its_own_id_and_nowhere_else(secrets, ports):
    outside, inside = ports
    ours = Line(secrets, *account(secrets, "lifeline"), client_id="lifeline-ingest", clean=False)
    gateway = Line(secrets, *account(secrets, GATEWAY))
    with (
        ours.connected(inside, subscribe="lifeline/v1/+/+"),
        gateway.connected(outside.port),
    ):
        gateway.says(f"lifeline/v1/{OTHER}/up")
        gateway.says("lifeline/v1/production", b"forged", retain=True)
        gateway.says(f"lifeline/v1/{GATEWAY}/up")
        gateway.says(f"lifeline/v1/{GATEWAY}/senml")
        topics = heard(ours, 2)
    assert topics == [f"lifeline/v1/{GATEWAY}/up", f"lifeline/v1/{GATEWAY}/senml"]


def test_a_gateway_hears_no_other_but_sees_the_mark_of_a_real_city(secrets, ports):
    outside, inside = ports
    ours = Line(secrets, *account(secrets, "lifeline"))
    gateway = Line(secrets, *account(secrets, GATEWAY))
    with ours.connected(inside), gateway.connected(outside.port, subscribe="#"):
        ours.says("lifeline/v1/410100-env-gw-000001/up")  # the probe's heartbeat
        ours.says("lifeline/v1/production", "郑州".encode(), retain=True)
        assert heard(gateway, 1) == ["lifeline/v1/production"]


def test_without_account_or_with_a_wrong_password_nobody_comes_in(secrets, ports):
    outside, inside = ports
    for port in (outside.port, inside):
        for user, password in ((None, None), (GATEWAY, "wrong"), ("lifeline", "")):
            line = Line(secrets, user, password)
            with line.connected(port):
                assert line.answer == "Not authorized", (port, user)


def test_a_gateway_cannot_take_over_the_session_of_the_intake(secrets, ports):
    outside, inside = ports
    ours = Line(secrets, *account(secrets, "lifeline"), client_id="lifeline-ingest", clean=False)
    thief = Line(secrets, *account(secrets, GATEWAY), client_id="lifeline-ingest")
    with ours.connected(inside, subscribe="lifeline/v1/+/+"), thief.connected(outside.port):
        assert thief.answer == "Success"
        thief.says(f"lifeline/v1/{GATEWAY}/up")
        assert heard(ours, 1) == [f"lifeline/v1/{GATEWAY}/up"]
        assert not ours.closed.is_set()


def test_what_comes_while_we_are_away_waits_also_over_a_restart_of_the_broker(secrets, ports):
    outside, inside = ports
    words = {"client_id": "lifeline-ingest", "clean": False}
    ours = Line(secrets, *account(secrets, "lifeline"), **words)
    with ours.connected(inside, subscribe="lifeline/v1/+/+"):
        pass
    gateway = Line(secrets, *account(secrets, GATEWAY))
    count = 1500  # beyond mosquitto's own limit of 1000
    with gateway.connected(outside.port):
        for k in range(count):
            gateway.client.publish(f"lifeline/v1/{GATEWAY}/up", str(k), qos=1)
        gateway.says(f"lifeline/v1/{GATEWAY}/up", b"last")
    outside.stop()
    outside.start()
    again = Line(secrets, *account(secrets, "lifeline"), **words)
    with again.connected(inside):
        heard(again, count + 1, within_s=15)
    assert [payload.decode() for _, payload in again.got] == [*map(str, range(count)), "last"]


def test_the_health_check_of_the_container_is_a_whole_conversation(secrets, ports, tmp_path):
    outside, inside = ports
    service = compose()["services"]["mosquitto"]
    assert service["environment"] == {"XDG_CONFIG_HOME": "/run/health"}
    account_file = (secrets / "mqtt-health").read_text()
    for old, new in {"-p 8884": f"-p {inside}", "/run/secrets/": f"{secrets}/"}.items():
        assert old in account_file
        account_file = account_file.replace(old, new)
    (tmp_path / "mosquitto_sub").write_text(account_file)
    kind, *words = (word.replace("$$", "$") for word in service["healthcheck"]["test"])
    assert kind == "CMD"

    def healthy() -> int:
        environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}
        return subprocess.run(
            words, env=environment, capture_output=True, timeout=20, check=False
        ).returncode

    assert healthy() == 0
    with outside.pause():
        assert healthy() != 0
