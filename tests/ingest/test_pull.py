"""What is asked for at an address comes as frames; what does not come is said and counted."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import REGISTRY

from ingest.codecs import PULLED, Routing
from ingest.codecs.mapping_file import mappings_of
from ingest.frame import Frame, Undecodable
from ingest.intake import Clock, Intake
from ingest.sources.pull import MAX_BYTES, PullSettings, PullSource

DEVICE = "410100-env-ws-000001"
BODY = b'{"now": {"at": "2026-07-20T16:10:00+08:00", "rain_1h": 38.5}}'


class Now(Clock):
    def now_ns(self):
        return time.time_ns()

    def not_before(self, ns):
        """Nothing: it is the wall's."""


@contextmanager
def server(*answers):
    """Answer with (status, body) one after another, the last one for ever; yield (url, asked)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(dict(self.headers))
            status, body = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Be quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/now", asked
    http.shutdown()
    http.server_close()


@contextmanager
def pulling(url, *, name, every_s=0.05, **more):
    intake = Intake(Now())
    source = PullSource(
        PullSettings(name=name, device=DEVICE, url=url, every_s=every_s, **more), intake
    )
    source.start()
    try:
        yield source, intake
    finally:
        source.close()


def counted(name, result):
    labels = {"source": name, "result": result}
    return REGISTRY.get_sample_value("lifeline_pulls_total", labels) or 0


def until(said, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not said():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_comes_is_a_frame_with_the_path_a_mapping_reads_and_the_token_is_shown():
    with (
        server((200, BODY)) as (url, asked),
        pulling(url, name="bureau", headers={"X-Api-Key": "k3y"}) as (source, intake),
    ):
        (frame,) = intake.take(max_bytes=1, timeout_s=10)
        until(lambda: len(asked) >= 3)
        assert source.alive
    assert (frame.payload, frame.path) == (BODY, f"pull/bureau/{DEVICE}")
    assert frame.transport == "pull"
    assert asked[0]["X-Api-Key"] == "k3y"
    assert "k3y" not in repr(source._settings)


def test_a_server_in_trouble_is_asked_again_within_the_turn():
    with (
        server((503, b"later"), (429, b"slower"), (200, BODY)) as (url, asked),
        pulling(url, name="busy", every_s=60) as (source, intake),
    ):
        (frame,) = intake.take(max_bytes=1, timeout_s=15)
        assert frame.payload == BODY
        assert len(asked) == 3
        until(lambda: counted("busy", "came") == 1)
        assert source.trouble == ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, b"no"), "HTTP 404"),
        ((302, b""), "HTTP 302"),
        ((200, b"x" * (MAX_BYTES + 1)), f"more than {MAX_BYTES} bytes"),
    ],
)
def test_another_answer_is_said_counted_and_never_followed(answer, said):
    name = f"bad{answer[0]}"
    with server(answer) as (url, asked), pulling(url, name=name, every_s=60) as (source, intake):
        until(lambda: counted(name, "failed") == 1)
        assert source.trouble == said
        assert len(asked) == 1
        assert intake.empty()


def test_nobody_there_is_said_and_it_comes_again_when_somebody_is():
    with server((404, b""), (200, BODY)) as (url, _), pulling(url, name="back") as (source, intake):
        until(lambda: not intake.empty())
        until(lambda: source.trouble == "")
        assert counted("back", "failed") == 1


def test_nothing_is_asked_while_the_intake_is_full():
    with server((200, BODY)) as (url, asked), pulling(url, name="full", every_s=60) as (_, intake):
        until(lambda: len(asked) == 1)
    intake.block("disk full")
    with server((200, BODY)) as (url, asked):
        source = PullSource(PullSettings(name="full", device=DEVICE, url=url, every_s=60), intake)
        source.start()
        time.sleep(0.3)
        assert asked == []
        source.close()
        assert not source.alive


def test_a_broker_s_message_under_the_path_of_what_is_pulled_is_refused():
    text = "version: 1\nmappings:\n- {id: a, topic: 'pull/x/{device}', fields: {r: '$.r'}}\n"
    routing = Routing(mappings_of({"a.yaml": text}))
    path = f"{PULLED}x/{DEVICE}"
    assert routing.subscriptions == ()
    assert routing.of(Frame(b"{}", "pull", path, 0))[0] == DEVICE
    with pytest.raises(Undecodable, match="topic"):
        routing.of(Frame(b"{}", "mqtt", path, 0))
