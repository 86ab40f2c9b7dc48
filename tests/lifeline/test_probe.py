"""The probe beats through the broker, and a stop never waits for a broker that is away."""

import contextlib
import json
import socket
import threading
import time

import pytest

from lifeline.new_site import write_new_site
from lifeline.processes import Context, probe
from tests import servers

WITHIN_S = 2.0


@contextlib.contextmanager
def nobody_listens():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1], lambda: True


@contextlib.contextmanager
def a_broker_that_says_nothing():
    """Takes the connection and never answers it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        came = threading.Event()

        def take():
            with contextlib.suppress(OSError):
                one, _ = held.accept()
                came.set()
                one.recv(1 << 16)
                stop.wait(20)
                one.close()

        stop = threading.Event()
        threading.Thread(target=take, daemon=True).start()
        yield held.getsockname()[1], came.is_set
        stop.set()


@contextlib.contextmanager
def an_address_that_swallows_packets():
    """No room for another connection: a SYN is dropped, as by a firewall."""
    with socket.socket() as held, contextlib.ExitStack() as stack:
        held.bind(("127.0.0.1", 0))
        held.listen(0)
        for _ in range(2):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(held.getsockname())
        yield held.getsockname()[1], lambda: True


@contextlib.contextmanager
def probing(tmp_path, port):
    site = tmp_path / "city"
    write_new_site(site)
    told = (site / "city.toml").read_text().replace("# port = 1883", f"port = {port} #")
    (site / "city.toml").write_text(told)
    (tmp_path / "data" / "run").mkdir(parents=True)
    context = Context(site=site, data=tmp_path / "data")
    failed = []

    def run():
        try:
            probe.run(context)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        begun = time.monotonic()
        context.stop.set()
        thread.join(15)
        took_s = time.monotonic() - begun
    assert failed == []
    assert not thread.is_alive()
    assert took_s < WITHIN_S, f"the probe took {took_s:.1f} s to stop"


def until(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    "away", [nobody_listens, a_broker_that_says_nothing, an_address_that_swallows_packets]
)
def test_a_stop_does_not_wait_for_a_broker_that_is_away(tmp_path, away):
    with away() as (port, reached), probing(tmp_path, port) as thread:
        until(reached)
        time.sleep(0.3)
        assert thread.is_alive()


def test_it_beats_and_counts_what_the_broker_took(tmp_path):
    stats = tmp_path / "data" / "run" / probe.STATS_FILE
    with servers.mosquitto() as broker, probing(tmp_path, broker.port):
        until(stats.exists)
        assert json.loads(stats.read_text()) == {"readings_sent": 1}


def test_a_broker_that_goes_away_while_it_is_connected_holds_up_no_stop(tmp_path):
    stats = tmp_path / "data" / "run" / probe.STATS_FILE
    with (
        servers.mosquitto() as broker,
        contextlib.ExitStack() as held,
        probing(tmp_path, broker.port),
    ):
        until(stats.exists)
        held.enter_context(broker.pause())
