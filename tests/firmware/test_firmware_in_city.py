"""Real hardware in a simulated city: the city leaves a device out, the one in C speaks for it."""

import threading
import time
from collections import defaultdict

import paho.mqtt.client as paho
import pytest

from ingest.codecs import compact
from lifeline.clock import Clock
from rules.problems import Invalid
from simulators.city import registry_of_city
from simulators.devices import MqttTarget, run_city
from simulators.scenario import load_scenario
from tests import servers

pytestmark = pytest.mark.real
FACTOR = 20  # by the command line only 1; here both sides run as fast, so that it takes seconds


def played(broker, registry, now_ns, *, without, stop):
    return run_city(
        registry=registry,
        scenario=load_scenario("quiet"),
        clock=Clock(wall_origin_ns=now_ns, city_origin_ns=now_ns, factor=FACTOR),
        mqtt=MqttTarget(port=broker.port),
        coap=None,
        stop=stop,
        boot=7,
        without=without,
    )


def test_one_device_of_the_city_is_somebody_else_s_hardware(firmware):
    registry = registry_of_city("demo", 1)
    gateways = [
        d for d, t in zip(registry.devices.id, registry.devices.transport, strict=True)
        if t == "mqtt" and "-tunnel-gw-" in d
    ]  # fmt: skip
    hardware = gateways[0]
    heard = defaultdict(list)
    with servers.mosquitto() as broker:
        listener = paho.Client(paho.CallbackAPIVersion.VERSION2)
        listener.on_message = lambda _c, _u, m: heard[m.topic.split("/")[2]].append(m.payload)
        listener.connect(broker.host, broker.port)
        listener.subscribe("lifeline/v1/#", 1)
        listener.loop_start()
        stop, now_ns = threading.Event(), time.time_ns()
        threading.Timer(6, stop.set).start()
        process = firmware.start(
            "gateway", hardware, broker.port, count=30, interval_ms=500, simulation=True
        )
        told = played(broker, registry, now_ns, without=[hardware], stop=stop)
        tally = firmware.tally(process)
        time.sleep(0.3)
        listener.loop_stop()
        listener.disconnect()
    ours = [compact.decode(payload) for payload in heard.pop(hardware)]
    assert {f.boot for f in ours} == {1}  # the city's would have 7
    assert [f.sequence for f in ours] == list(range(1, 31))
    assert tally["exit"] == 0
    assert len(heard) >= 5  # the rest of the city goes on
    assert {compact.decode(p).boot for payloads in heard.values() for p in payloads[:1]
            if p[:2] == compact.MAGIC} == {7}  # fmt: skip
    assert told["readings_acked"] > 100


def test_a_device_that_does_not_exist_cannot_be_left_out():
    registry = registry_of_city("demo", 1)
    with pytest.raises(Invalid, match="no such device"):
        run_city(
            registry=registry, scenario=load_scenario("quiet"), clock=Clock(), mqtt=None, coap=None,
            stop=threading.Event(), without=["410100-gas-gw-999999"],
        )  # fmt: skip
