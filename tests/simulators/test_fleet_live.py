from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter

import aiocoap
import aiocoap.resource
import paho.mqtt.client as paho
import pytest
import servers
from city_fixture import BEGIN_NS, demo_registry

from ingest.admission import Admission
from ingest.frame import Frame
from lifeline.clock import Clock
from simulators.devices import CoapTarget, MqttTarget, run_city
from simulators.scenario import load_scenario, scenario_of

LINKS = """
version: 1
name: links
links:
  lost: {mqtt: 0.2, coap: 0.2}
  duplicate: 0.2
  malformed: 0.2
  out_of_order: 0.2
incidents:
- {id: silence, kind: silent_gateway, at: 2m, place: 410100-tunnel-gw-000001, lasts: 3m}
"""


class Post(aiocoap.resource.Resource, aiocoap.resource.PathCapable):
    """Keeps what is posted; answers 4.00 where it cannot be decoded, 5.03 to the first of all."""

    def __init__(self, admission, frames):
        super().__init__()
        self.admission, self.frames, self.busy = admission, frames, 1

    async def render_post(self, request):
        if self.busy:
            self.busy -= 1
            return aiocoap.Message(code=aiocoap.SERVICE_UNAVAILABLE)
        path = "/".join(("up", *request.opt.uri_path))
        frame = Frame(request.payload, "coap", path, BEGIN_NS * 2, request.opt.content_format)
        self.frames.append(frame)
        refused = self.admission.admit([frame]).quarantined
        return aiocoap.Message(code=aiocoap.BAD_REQUEST if refused else aiocoap.CHANGED)


class CoapServer(threading.Thread):
    def __init__(self, admission):
        super().__init__(daemon=True)
        self.port = servers.free_port(socket.SOCK_DGRAM)
        self.frames = []
        self.admission = admission
        self.ready, self.stop = threading.Event(), threading.Event()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        site = aiocoap.resource.Site()
        site.add_resource(["up"], Post(self.admission, self.frames))
        context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", self.port))
        self.ready.set()
        await asyncio.to_thread(self.stop.wait)
        await context.shutdown()


@pytest.mark.real
def test_what_the_fleet_counts_is_what_broker_and_coap_server_received(tmp_path):
    registry = demo_registry()
    admission = Admission(registry)
    coap = CoapServer(admission)
    coap.start()
    assert coap.ready.wait(10)
    got = []
    with servers.mosquitto() as broker:
        listener = paho.Client(paho.CallbackAPIVersion.VERSION2)
        listener.on_message = lambda _c, _u, m: got.append(Frame(m.payload, "mqtt", m.topic, 0))
        listener.connect(broker.host, broker.port)
        listener.subscribe("lifeline/v1/#", 1)
        listener.loop_start()
        now_ns = time.time_ns()
        clock = Clock(wall_origin_ns=now_ns, city_origin_ns=BEGIN_NS, factor=60)
        stop = threading.Event()
        threading.Timer(5, stop.set).start()
        stats = run_city(
            registry=registry,
            scenario=scenario_of("links.yaml", LINKS),
            clock=clock,
            mqtt=MqttTarget(port=broker.port),
            coap=CoapTarget(port=coap.port),
            stop=stop,
            stats_file=tmp_path / "city.json",
            begin_ns=BEGIN_NS,
            boot=1,  # seeds the link faults, so that each kind occurs
        )
        time.sleep(0.3)
        listener.loop_stop()
        listener.disconnect()
    coap.stop.set()
    coap.join(10)

    assert json.loads((tmp_path / "city.json").read_text()) == stats
    assert stats["done"]
    for name, kept in (("mqtt", got), ("coap", coap.frames)):
        counts = stats["transports"][name]
        frames = [Frame(f.payload, f.transport, f.path, 1 << 62, f.content_format) for f in kept]
        admitted = admission.admit(frames)
        whole = [q for q in admitted.quarantined if q.whole]
        assert len(whole) == len(admitted.quarantined) == counts["frames_malformed"] > 0
        assert len(admitted.readings) == counts["readings_acked"] + counts["readings_duplicated"]
        assert counts["readings_acked"] == counts["readings_sent"] - counts["readings_lost"] > 50
        assert counts["readings_lost"] > 0
        assert counts["readings_duplicated"] > 0
        assert counts["frames_out_of_order"] > 0
        assert counts["readings_shed"] == counts["readings_refused"] == 0
        once = Counter(f.payload for f in frames)
        assert sum(once.values()) - len(once) == counts["frames_duplicated"]
    assert stats["transports"]["coap"]["retries"] == 1  # the 5.03
    assert stats["incidents"][0]["began"] == BEGIN_NS + 120_000_000_000
    assert abs(stats["incidents"][0]["began_wall_ns"] - now_ns - 2e9) < 1e9
    silent = [f for f in got if "tunnel-gw-000001" in f.path]
    other = [f for f in got if "gallery-gw-000001" in f.path]
    assert len(silent) < len(other)


@pytest.mark.real
def test_a_fleet_started_before_its_broker_waits_and_sheds_nothing(tmp_path):
    registry = demo_registry()
    port = servers.free_port()
    stop = threading.Event()
    clock = Clock(wall_origin_ns=time.time_ns(), city_origin_ns=BEGIN_NS, factor=60)
    told = {}

    def city():
        told.update(
            run_city(
                registry=registry,
                scenario=load_scenario("quiet"),
                clock=clock,
                mqtt=MqttTarget(port=port),
                coap=None,
                stop=stop,
                begin_ns=BEGIN_NS,
            )
        )

    thread = threading.Thread(target=city)
    thread.start()
    time.sleep(1.5)
    with servers.mosquitto(port=port):
        time.sleep(1.5)
        stop.set()
        thread.join(20)
    assert told["readings_sent"] == told["readings_acked"] > 200
    assert told["transports"]["mqtt"]["retries"] > 0
    assert told["transports"]["coap"]["readings_sent"] == 0
