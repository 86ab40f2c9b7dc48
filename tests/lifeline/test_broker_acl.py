"""The ACL out of the registry, at a real mosquitto: nobody speaks for another, nobody listens."""

from __future__ import annotations

import contextlib
import json
import stat
import subprocess
import threading
import time

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from lifeline.broker_acl import hashed, matches
from lifeline.new_site import write_new_site
from tests import servers
from tests.terminal import lifeline

A, B, PROBE = "410100-gas-gw-000001", "410100-gas-gw-000002", "410100-env-gw-000001"
VENDOR = "410100-gas-gw-000003"


@pytest.fixture
def city(tmp_path):
    """init's city with two gateways more, one of a vendor's JSON."""
    folder = tmp_path / "city"
    write_new_site(folder)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "mqtt").write_text("our own password\n")
    text = (folder / "city.toml").read_text()
    text = text.replace('# user = "lifeline"', 'user = "lifeline"')
    text = text.replace('# password_file = "secrets/mqtt" ', 'password_file = "secrets/mqtt" #')
    (folder / "city.toml").write_text(text)
    registry = folder / "registry" / "city.yaml"
    line = "- {{id: {}, kind: gateway, transport: mqtt, codec: {}, asset: {}, every: 60s}}\n"
    more = line.format(B, "senml", A) + line.format(VENDOR, "json", A)
    registry.write_text(registry.read_text().replace("assets:", f"{more}\nassets:", 1))
    (folder / "mappings").mkdir()
    (folder / "mappings" / "acme.yaml").write_text(
        "version: 1\nmappings:\n- {id: acme, topic: 'acme/{device}/data', rows: '$.d[*]', "
        "key: '@.k', value: '@.v', time: {path: '@.t', format: unix_ms}}\n"
    )
    return folder


def made(city, *words):
    ran = lifeline("registry", "broker-acl", "--site", city, *words)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return city / "secrets"


@contextlib.contextmanager
def broker(folder):
    """mosquitto with what was made, as its maker's manual wants it."""
    extra = f"acl_file {folder / 'acl'}\nuse_username_as_clientid true\nuser root"
    with servers.mosquitto(password_file=folder / "mqtt-users", extra=extra) as running:
        yield running


class Line:
    def __init__(self, port, user, password):
        self.got, self.ready, self.refused = [], threading.Event(), ""
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=user, protocol=MQTTProtocolVersion.MQTTv311
        )
        self.client.username_pw_set(user, password)
        self.client.on_message = lambda _c, _d, said: self.got.append(said.topic)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_connect = self._connected
        self.client.connect(servers.HOST, port)
        self.client.loop_start()
        assert self.ready.wait(5)

    def _connected(self, _client, _data, _flags, reason, _properties):
        self.refused = str(reason) if reason.is_failure else ""
        self.ready.set()

    def hears(self, topic):
        self.ready.clear()
        self.client.subscribe(topic, 1)
        assert self.ready.wait(5)

    def says(self, *topics):
        for topic in topics:
            self.client.publish(topic, b"x", qos=1).wait_for_publish(5)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def line():
    held = []

    def connect(running, folder, user):
        path = folder / "mqtt" if user == "lifeline" else folder / "gateways" / user
        held.append(Line(running.port, user, path.read_text().strip()))
        assert not held[-1].refused
        return held[-1]

    yield connect
    for one in held:
        one.close()


def settled(one):
    """What was heard once nothing more comes."""
    seen = -1
    while len(one.got) != seen:
        seen = len(one.got)
        time.sleep(0.3)
    return one.got


@pytest.mark.real
def test_no_device_speaks_for_another_and_the_intake_hears_all(city, line):
    folder = made(city)
    with broker(folder) as running:
        ours = line(running, folder, "lifeline")
        for topic in ("lifeline/v1/+/+", "acme/+/data"):
            ours.hears(topic)
        every = [
            f"lifeline/v1/{d}/{form}"
            for d in (A, B, VENDOR, PROBE)
            for form in ("up", "senml", "json", "down")
        ]
        every += [f"acme/{d}/data" for d in (A, B, VENDOR)] + ["lifeline/v1/production", "x"]
        own = {
            A: [f"lifeline/v1/{A}/up"],
            B: [f"lifeline/v1/{B}/senml"],
            VENDOR: [f"lifeline/v1/{VENDOR}/json", f"acme/{VENDOR}/data"],
            "lifeline": [f"lifeline/v1/{PROBE}/up"],
        }
        for user, allowed in own.items():
            ours.got.clear()
            line(running, folder, user).says(*every) if user != "lifeline" else ours.says(*every)
            assert settled(ours) == allowed, user


@pytest.mark.real
def test_no_device_hears_another(city, line):
    folder = made(city)
    with broker(folder) as running:
        spy, gateway = line(running, folder, B), line(running, folder, A)
        for topic in ("#", "lifeline/v1/+/+", f"lifeline/v1/{A}/up", "$SYS/#"):
            spy.hears(topic)
        gateway.says(f"lifeline/v1/{A}/up")
        line(running, folder, "lifeline").says(f"lifeline/v1/{PROBE}/up")
        assert settled(spy) == []


@pytest.mark.real
def test_a_device_that_left_the_registry_comes_in_no_more(city):
    folder = made(city)
    password = (folder / "gateways" / B).read_text().strip()
    registry = city / "registry" / "city.yaml"
    kept = [ln for ln in registry.read_text().splitlines() if B not in ln]
    registry.write_text("\n".join(kept) + "\n")
    assert lifeline("registry", "broker-acl", "--site", city, "--check").returncode == 1
    told = city / "told.json"
    made(city, "--json", told)
    assert json.loads(told.read_text())["gone"] == [B]
    with broker(folder) as running:
        refused = Line(running.port, B, password)
        assert refused.refused == "Not authorized"
        refused.close()
    assert B not in (folder / "acl").read_text() + (folder / "mqtt-users").read_text()


def test_passwords_are_for_their_owner_alone_stay_and_are_never_said(city, tmp_path):
    folder = made(city)
    assert {p.name for p in (folder / "gateways").iterdir()} == {A, B, VENDOR}
    files = [*(folder / "gateways").iterdir(), folder / "acl", folder / "mqtt-users"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}
    before = {p: p.read_bytes() for p in files}
    (folder / "mqtt-users").write_text((folder / "mqtt-users").read_text() + "health:$6$a$b\n")
    ran = lifeline("registry", "broker-acl", "--site", city)
    after = {p: p.read_bytes() for p in files}
    assert after[folder / "mqtt-users"].replace(b"health:$6$a$b\n", b"") == before[files[-1]]
    assert {p: t for p, t in after.items() if p.name != "mqtt-users"} == {
        p: t for p, t in before.items() if p.name != "mqtt-users"
    }
    for path in (folder / "gateways").iterdir():
        assert path.read_text().strip() not in ran.stdout + ran.stderr
        assert path.read_text().strip().encode() not in after[folder / "mqtt-users"]
    assert lifeline("registry", "broker-acl", "--site", city, "--check").returncode == 0


def test_a_password_that_was_changed_gets_a_new_line(city):
    folder = made(city)
    (folder / "gateways" / A).write_text("another\n")
    made(city)
    lines = dict(ln.split(":") for ln in (folder / "mqtt-users").read_text().splitlines())
    assert matches(lines[A], "another")


@pytest.mark.real
def test_mosquitto_s_own_lines_are_understood(tmp_path):
    path = tmp_path / "users"
    words = [servers.program("mosquitto_passwd"), "-b", "-c", path, "u", "secret"]
    subprocess.run(words, check=True, capture_output=True)
    line = path.read_text().strip().partition(":")[2]
    assert matches(line, "secret")
    assert not matches(line, "other")
    assert not matches("nothing", "secret")
    assert line.startswith("$7$101$")
    assert hashed("secret").startswith("$7$101$")


def test_without_an_account_of_our_own_it_says_what_to_write(city):
    text = (city / "city.toml").read_text().replace('user = "lifeline"', "")
    (city / "city.toml").write_text(text)
    ran = lifeline("registry", "broker-acl", "--site", city)
    assert ran.returncode == 2
    assert "[mqtt] names no user" in ran.stderr


@pytest.mark.real
@pytest.mark.parametrize("open_", [True, False])
def test_doctor_says_when_the_broker_takes_anybody(city, open_):
    folder = made(city)
    password = None if open_ else folder / "mqtt-users"
    with servers.mosquitto(password_file=password) as running:
        text = (city / "city.toml").read_text().replace("# port = 1883", f"port = {running.port} #")
        (city / "city.toml").write_text(text)
        said = lifeline("doctor", city).stdout
    assert ("takes anybody without an account" in said) is open_
    assert "reachable, takes us" in said
