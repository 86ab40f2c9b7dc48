"""The watcher is watched, by the real processes: heartbeat, its alarm, the sign of life, BLIND."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psutil
import pytest

from lifeline.notify import SignOfLife, SignOfLifeSettings
from lifeline.settings.config import config_of
from lifeline.watchdog import BLIND_RULE, Sight, watch
from rules.problems import Invalid
from tests import servers
from tests.terminal import lifeline

SEEN = Sight(watched=True, blind=False, age_s=1.0, limit_s=90.0, heard=True)


class Outside:
    """Who waits for the sign of life; ``times`` are those of each that was taken."""

    def __init__(self):
        self.times, self.bodies, self.answer = [], [], 204
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.times.append(time.monotonic())
                outer.bodies.append((self.path, json.loads(body)))
                self.send_response(outer.answer)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((servers.HOST, 0), Handler)
        self.url = f"http://{servers.HOST}:{self.server.server_port}/ping/marked-6c3e226b"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def silent_s(self):
        return time.monotonic() - self.times[-1] if self.times else float("inf")


@pytest.fixture
def outside():
    held = Outside()
    yield held
    held.server.shutdown()
    held.server.server_close()


def until(true, what, *, within_s=40):
    end = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def make_city(folder, *, mqtt, page, url):
    assert lifeline("init", folder).returncode == 0
    registry = folder / "registry" / "city.yaml"
    registry.write_text(registry.read_text().replace("every: 30s", "every: 1s"))
    (folder / "outside").write_text(url + "\n")
    (folder / "city.toml").write_text(
        f'[site]\nname = "Watched"\n[mqtt]\nhost = "127.0.0.1"\nport = {mqtt}\n'
        f'[page]\nport = {page}\n[heartbeat]\nurl_file = "outside"\nevery = "1s"\n'
    )


@contextlib.contextmanager
def running(city, log):
    words = [sys.executable, "-m", "lifeline", "run", city, "--json-logs"]
    with log.open("ab") as said, subprocess.Popen(words, stderr=said, stdout=said) as run:
        try:
            yield run
        finally:
            run.terminate()
            run.wait(20)


def process(run, name):
    for child in psutil.Process(run.pid).children(recursive=True):
        words = child.cmdline()
        if "lifeline.processes" in words and name in words:
            return child.pid
    raise AssertionError(f"no process {name}")


def state(page):
    try:
        return httpx.get(f"http://127.0.0.1:{page}/api/state", timeout=5).json()
    except httpx.HTTPError:
        return {}


def standing(page):
    alarms = httpx.get(f"http://127.0.0.1:{page}/api/alarms", timeout=5).json()["alarms"]
    return {a["rule"]: a for a in alarms if a["word"] in ("UNACK", "ACKED")}


@pytest.mark.real
@pytest.mark.timeout(200)
def test_a_stuck_chain_stops_the_sign_of_life_and_is_an_alarm_and_a_stop_is_one_blind(
    tmp_path, outside
):
    city, page, log = tmp_path / "city", servers.free_port(), tmp_path / "log"
    with servers.mosquitto() as broker:
        make_city(city, mqtt=broker.port, page=page, url=outside.url)
        with running(city, log) as run:
            until(lambda: len(outside.times) >= 3, "signs of life")
            assert BLIND_RULE not in standing(page)
            for name in ("engine", "probe"):  # either end of the chain
                pid = process(run, name)
                os.kill(pid, signal.SIGSTOP)
                try:
                    until(lambda: BLIND_RULE in standing(page), f"the alarm, without {name}")
                    health = httpx.get(f"http://127.0.0.1:{page}/api/health")
                    assert (health.status_code, health.json()["blind"]) == (503, True)
                    shown = httpx.get(f"http://127.0.0.1:{page}/metrics").text
                    assert 'lifeline_blind{process="serve"} 1.0' in shown
                    time.sleep(2.5)
                    assert outside.silent_s > 2, "nobody says that all is well"
                finally:
                    os.kill(pid, signal.SIGCONT)
                until(lambda: BLIND_RULE not in standing(page), f"its end, with {name} again")
                until(lambda: outside.silent_s < 1, "signs of life again")
            alarm = httpx.get(f"http://127.0.0.1:{page}/api/alarms?ended=true").json()["alarms"]
            assert {a["max_severity"] for a in alarm if a["rule"] == BLIND_RULE} == {3}
        stopped = time.time()
        time.sleep(32)  # the engine calls half a minute a stop of ours
        assert outside.silent_s > 30
        with running(city, log):
            (blind,) = until(lambda: state(page).get("blinds"), "the stop as an event")
            seen = time.time()
            until(lambda: outside.silent_s < 1, "signs of life after the stop")
            assert stopped - 3 < blind["from_ms"] / 1000 < stopped + 2
            assert stopped + 30 < blind["to_ms"] / 1000 < seen
            assert not [rule for rule in standing(page) if "silent" in rule]
    assert {path for path, _ in outside.bodies} == {"/ping/marked-6c3e226b"}
    assert outside.bodies[0][1]["city"] == "Watched"
    assert "marked-6c3e226b" not in log.read_text(), "the address is a secret"


@pytest.mark.parametrize(
    "sight",
    [
        Sight(watched=False, blind=False, age_s=0, limit_s=0),
        Sight(watched=True, blind=True, age_s=99, limit_s=90, heard=True),
        Sight(watched=True, blind=False, age_s=1, limit_s=90, heard=False),
    ],
)
def test_nobody_is_told_that_all_is_well_when_it_is_not_known(outside, sight):
    life = SignOfLife(SignOfLifeSettings(url=outside.url))
    assert not life.beat(sight)
    assert outside.times == []
    assert life.beat(SEEN)
    assert not life.beat(SEEN), "not due again"
    life.close()


def test_that_nobody_outside_takes_it_is_told_without_its_address(outside):
    life = SignOfLife(SignOfLifeSettings(url=outside.url, every_s=0))
    outside.answer = 503
    assert not life.beat(SEEN)
    assert life.trouble == "HTTP 503"
    outside.answer = 200
    assert life.beat(SEEN)
    assert life.trouble == ""
    life.close()
    gone = SignOfLife(SignOfLifeSettings(url=f"http://127.0.0.1:{servers.free_port()}/marked"))
    assert not gone.beat(SEEN)
    assert "ConnectError" in gone.trouble
    assert "marked" not in gone.trouble + repr(SignOfLifeSettings(url="http://h/marked"))
    gone.close()


def test_blindness_is_told_once_and_again_until_it_is_taken():
    stop, told = threading.Event(), []
    blind = Sight(watched=True, blind=True, age_s=91, limit_s=90, heard=True)
    sights = iter([SEEN, blind, blind, blind, SEEN, SEEN])

    class Dog:
        def sight(self):
            try:
                return next(sights)
            except StopIteration:
                stop.set()
                return SEEN

    def tell(rule, wrong):
        told.append((rule, wrong))
        return len(told) != 2  # the ledger is away once

    watch(Dog(), tell, stop, every_s=0.001)
    wrong = "no heartbeat came through for 91 s"
    assert told == [(BLIND_RULE, w) for w in ("", wrong, wrong, "")]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "needs url_file"),
        ('url_file = "none"\n', "cannot be read"),
        ('url_file = "bad"\n', "holds no address"),
    ],
)
def test_a_sign_of_life_that_nobody_would_get_is_refused(tmp_path, written, said):
    assert lifeline("init", tmp_path / "city").returncode == 0
    (tmp_path / "city" / "bad").write_text("marked-not-an-address")
    text = f'[site]\nname = "x"\n[mqtt]\nhost = "b"\n[heartbeat]\n{written}'
    with pytest.raises(Invalid) as refused:
        config_of(tmp_path / "city", text)
    (line,) = map(str, refused.value.problems)
    assert said in line
    assert "marked" not in line
