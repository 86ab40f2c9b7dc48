"""TLS at every door by one table: the right authority is let in, each wrong one is told why."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import Mock

import httpx
import pytest
import structlog

from ingest.sources.mqtt import MqttSettings, MqttSource
from ingest.store.asking import Stopped
from ingest.store.influx import InfluxWriter
from ingest.store.settings import InfluxSettings
from ingest.tls import client_context, tls_trouble
from lifeline.errors import Unreachable
from lifeline.influx.server import Server
from lifeline.ledger import Ledger
from lifeline.new_site import write_new_site
from lifeline.notify import Post, WebhookSettings
from lifeline.production_mark import put_mark, read_mark
from lifeline.reachable import broker_trouble, influx_trouble
from lifeline.settings.config import config_of
from rules.problems import Invalid
from tests import certified, servers
from tests.lifeline.small_city import SmallCity, serving
from tests.lifeline.test_webhook import raised

GOOD = '[site]\nname = "Test"\n'
EXPECTED = {
    "another authority": "ca_file must name the authority that made it",
    "an ended certificate": "lifeline site certificates --renew",
    "one not yet valid": "are the clocks of both right?",
    "another host's": "its certificate is not for 127.0.0.1",
    "no TLS": "does it speak TLS at this port?",
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """What a server may show, by name, and the authority its client trusts."""
    top = tmp_path_factory.mktemp("tls")
    ours, others = certified.good(top / "ours"), certified.good(top / "others")
    away = certified.elsewhere(top / "away")
    ended, early = certified.ended(top / "ended"), certified.not_yet(top / "early")
    return {
        "right": (ours, ours.authority),
        "another authority": (others, ours.authority),
        "an ended certificate": (ended, ended.authority),
        "one not yet valid": (early, early.authority),
        "another host's": (away, away.authority),
    }


def site(tmp_path, text):
    folder = tmp_path / "city"
    if not folder.exists():
        write_new_site(folder)
    return config_of(folder, GOOD + text)


class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(204)
        self.end_headers()

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def https(held):
    """A server of ours over TLS, in InfluxDB's and the receiver's place."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*held.of("influxdb"))
    with ThreadingHTTPServer((servers.HOST, 0), Answering) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.handle_error = Mock()  # clients that refuse us end in the middle
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def until(true, what):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["right", *EXPECTED])
def test_the_broker_over_tls(kind, kinds, tmp_path):
    held, authority = kinds.get(kind, kinds["right"])
    certificate = None if kind == "no TLS" else held.of("mqtt")
    with servers.mosquitto(certificate=certificate) as broker:
        text = f'[mqtt]\nhost = "{servers.HOST}"\nport = {broker.port}\ntls = true\n'
        config = site(tmp_path, text + f'ca_file = "{authority}"\n')
        asked = broker_trouble(config, config.entry.mqtt)
        settings = MqttSettings(
            host=servers.HOST, port=broker.port, tls=True, ca_file=str(authority), retry_max_s=0.2
        )
        source = MqttSource(settings, Mock(on_room=[], accepts=True))
        source.start()
        try:
            if kind == "right":
                assert asked == ""
                until(source.connected.is_set, "the intake's connection")
                put_mark(settings, "Test")
                assert read_mark(settings.host, broker.port, ca_file=str(authority)) == "Test"
                return
            until(lambda: source.cause != "not tried yet", "a try")
        finally:
            source.close()
        assert EXPECTED[kind] in asked
        assert EXPECTED[kind] in source.cause
        for ask in (
            lambda: put_mark(settings, "Test"),
            lambda: read_mark(settings.host, broker.port, ca_file=str(authority)),
        ):
            with pytest.raises(Unreachable) as refused:
                ask()
            assert EXPECTED[kind] in str(refused.value)


@pytest.mark.parametrize("kind", ["right", *(k for k in EXPECTED if k != "no TLS")])
def test_influxdb_and_the_webhook_over_tls(kind, kinds, tmp_path):
    held, authority = kinds[kind]
    with https(held) as port:
        url = f"https://{servers.HOST}:{port}"
        text = f'[mqtt]\nhost = "x"\n[influx]\nurl = "{url}"\norg = "o"\nbucket = "b"\n'
        config = site(tmp_path, text + f'ca_file = "{authority}"\n')
        asked = influx_trouble(config, config.entry.influx)
        settings = WebhookSettings(url=url, secret=b"s", ca_file=str(authority))
        ledger = Ledger(f"sqlite:///{tmp_path / 'ledger'}", outlets=(settings.outlet,))
        ledger.apply([raised(1)], 2)
        with contextlib.closing(Post(ledger, settings)) as webhook:
            delivered, trouble = webhook.deliver_due(), webhook.trouble
        ledger.close()
        if kind == "right":
            assert (asked, delivered, trouble) == ("", 1, "")
            return
        assert EXPECTED[kind] in asked
        assert EXPECTED[kind] in trouble
        assert "pending" in trouble, "it is sent again once somebody has mended it"
        server = Server.of(config, "t")
        with pytest.raises(Unreachable) as refused:
            server.has_buckets()
        server.close()
        assert EXPECTED[kind] in str(refused.value)


def test_the_store_says_what_to_do_and_goes_on_trying(kinds):
    held, authority = kinds["an ended certificate"]
    stop = threading.Event()
    with https(held) as port, structlog.testing.capture_logs() as said:
        settings = InfluxSettings(
            url=f"https://127.0.0.1:{port}", bucket="b", ca_file=authority, first_retry_s=0.05
        )
        writer = InfluxWriter(settings, stop=stop)
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(Stopped):
            writer.write(b"a v=1 1\n", 1)
        writer.close()
    assert EXPECTED["an ended certificate"] in said[0]["reason"]


@pytest.mark.parametrize("kind", ["right", "another authority", "an ended certificate"])
def test_the_page_over_https(kind, kinds, tmp_path):
    held, authority = kinds[kind]
    city = SmallCity(tmp_path / "data")
    with serving(city.data, ready="", certificate=held.of("page")) as http:
        url = str(http.base_url).replace("http://", "https://")
        with httpx.Client(verify=client_context(str(authority)), base_url=url) as client:
            if kind != "right":
                with pytest.raises(httpx.ConnectError) as refused:
                    client.get("/")
                assert EXPECTED[kind] in tls_trouble(refused.value, "127.0.0.1")
            else:
                assert client.get("/").status_code == 200
                ack, order = "/api/alarms/0123456789ab/ack", {"by": "Li", "expected_seq": 1}
                order["command"] = "c"
                tries = [
                    client.post(ack, json=order, headers={"Origin": o}).status_code
                    for o in (url.rstrip("/"), url.rstrip("/").replace("https", "http"))
                ]
                assert tries == [404, 403], "the plain page of the same name is another origin"
                with pytest.raises(httpx.HTTPError):
                    httpx.get(url.replace("https://", "http://"))
    city.close()


LOCKED = GOOD + '[tls]\n[mqtt]\nhost = "broker.example"\n'


def told(tmp_path, text) -> list[str]:
    folder = tmp_path / "city"
    write_new_site(folder)
    certified.good(folder / "secrets" / "tls")
    with pytest.raises(Invalid) as invalid:
        config_of(folder, text)
    return [str(problem) for problem in invalid.value.problems]


def test_one_table_locks_all(tmp_path):
    folder = tmp_path / "city"
    write_new_site(folder)
    held = certified.good(folder / "secrets" / "tls")
    text = LOCKED + '[influx]\nurl = "https://db:8086"\nbucket = "b"\n'
    text += '[webhook]\nurl = "https://there/"\n'
    config = config_of(folder, text)
    entry = config.entry
    assert entry.mqtt.tls
    for named in (entry.mqtt.ca_file, entry.influx.ca_file, entry.webhook.ca_file):
        assert config.path(named) == held.authority
    assert config.page_certificate == held.of("page")
    assert config.page_url == "https://127.0.0.1:8480"


def test_what_would_stay_open_beside_it_is_refused_all_at_once(tmp_path):
    text = LOCKED + 'tls = false\n[influx]\nurl = "http://db:8086"\nbucket = "b"\n'
    text += 'verify_tls = false\n[webhook]\nurl = "http://there/"\n[coap]\nbind = "0.0.0.0"\n'
    lines = told(tmp_path, text)
    assert [line.split(": ")[1] for line in lines] == ["tls", "url", "verify_tls", "url", "bind"]
    assert "CoAP is not encrypted" in lines[-1]
    assert "plain = true" in lines[-1]


def test_that_coap_is_plain_can_be_said(tmp_path):
    folder = tmp_path / "city"
    write_new_site(folder)
    certified.good(folder / "secrets" / "tls")
    text = LOCKED + '[coap]\nbind = "0.0.0.0"\nplain = true\n'
    assert config_of(folder, text).entry.coap.plain


def test_missing_files_and_a_key_that_all_can_read_are_told(tmp_path):
    folder = tmp_path / "city"
    write_new_site(folder)
    with pytest.raises(Invalid) as none:
        config_of(folder, LOCKED)
    (line,) = map(str, none.value.problems)
    assert "`lifeline site certificates" in line
    held = certified.good(folder / "secrets" / "tls")
    held.of("page")[1].chmod(0o644)
    with pytest.raises(Invalid) as open_key:
        config_of(folder, LOCKED)
    (line,) = map(str, open_key.value.problems)
    assert "chmod 600" in line
