"""The page read as an attacker reads it: bytes on its port, files outside, other sites."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time

import pytest

from lifeline.console import patience
from lifeline.console.app import STATIC
from tests.lifeline.small_city import SmallCity, serving

ACK = "/api/alarms/0123456789ab/ack"
ORDER = {"by": "Li", "expected_seq": 1, "command": "c"}


@pytest.fixture
def http(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data) as client:
        yield client
    city.close()


@contextlib.contextmanager
def wire(http):
    url = http.base_url
    with socket.create_connection((url.host, url.port), 5) as held:
        held.settimeout(5)
        yield held


def said(http, raw: bytes) -> bytes:
    """What the page answers to bytes, b"" where it just hangs up."""
    with wire(http) as held, contextlib.suppress(ConnectionResetError):
        held.sendall(raw.replace(b"HOST", f"127.0.0.1:{http.base_url.port}".encode()))
        return held.recv(65_536)
    return b""


def received(held) -> bytes:
    """One whole answer: its head and its body may come one after the other."""
    answer = b""
    while b"}}" not in answer and (more := held.recv(65_536)):
        answer += more
    return answer


def head(method, path, *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: HOST", *lines, "", ""]).encode()


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (head("POST", ACK, JSON, "Content-Length: 99999999"), 413),
        (head("POST", ACK, JSON, "Transfer-Encoding: chunked") + b"1\r\nx\r\n", 413),
        (head("POST", ACK, JSON, "Content-Length: 9", "Transfer-Encoding: chunked"), 413),
        (head("POST", ACK, JSON, "Content-Length: -1"), 400),
        (head("POST", ACK, JSON, "Content-Length: 1", "Content-Length: 2"), 400),
        (head("POST", ACK, "Content-Type: text/plain", "Content-Length: 2") + b"{}", 415),
        (head("POST", ACK, "Content-Length: 2") + b"{}", 415),
        (head("GET", "/", "X: " + "y" * 200_000), 400),
        (head("GET", "/", "Host: evil.example"), 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", 400),
        (head("BREW", "/"), 415),
        (head("DELETE", ACK, JSON, "Content-Length: 2") + b"{}", 405),
        (head("GET", "http://evil.example/", "Upgrade: websocket", "Connection: upgrade"), 404),
    ],
)  # fmt: skip
def test_bad_requests_get_their_answer_and_the_page_lives(http, raw, status):
    answer = said(http, raw)
    assert answer.split(b" ")[1:2] == [str(status).encode()], answer[:200]
    assert b"Traceback" not in answer
    assert http.get("/api/state").status_code == 200


@pytest.mark.parametrize("prefix", ["/static/", "/vendor/", "/"])
@pytest.mark.parametrize(
    "path",
    [
        "../app.py", "..%2fapp.py", "%2e%2e/app.py", "%2e%2e%2fapp.py", "..%5capp.py",
        "....//app.py", "..%00/app.py", "%252e%252e%252fapp.py", "/etc/passwd", "%2fetc%2fpasswd",
        "../../../pyproject.toml",
    ],
)  # fmt: skip
def test_no_file_outside_is_given(http, prefix, path):
    answer = said(http, head("GET", prefix + path, "Connection: close"))
    assert answer.split(b" ")[1] in (b"404", b"400", b"405"), answer[:100]
    assert b"root:" not in answer
    assert b"import" not in answer.split(b"\r\n\r\n", 1)[-1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain; application/json"},
    ],
)
@pytest.mark.parametrize("path", [ACK, f"{ACK}/revoke", "/api/reload"])
def test_another_site_orders_nothing(http, headers, path):
    body = json.dumps({"by": "Li"} if "reload" in path else ORDER)
    sent = {"Content-Type": "application/json"} | headers
    assert http.post(path, content=body, headers=sent).status_code in (403, 415)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 12_000,
        b'{"by": ' + b"9" * 60_000 + b"}",
        b"\xff\xfe\x00",
        b"null",
        b'{"by": "\\ud800", "expected_seq": 1, "command": "c"}',
        b'{"\\udfff": 1, "by": "Li", "expected_seq": 1, "command": "c"}',
        b'{"by": "Li\\u0000", "expected_seq": 1e400, "command": "c"}',
        b'{"by": "Li", "by": "Wang", "expected_seq": NaN, "command": "c"}',
    ],
)
def test_hostile_json_is_refused_in_words(http, body):
    answer = http.post(ACK, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["message"]
    assert len(answer.content) < 2_000, "it does not come back larger"


def test_who_says_nothing_or_little_is_hung_up_on(http, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.5)
    length = "Content-Length: 60"
    begins = [b"", b"GET /", head("GET", "/")[:-2], head("POST", ACK, JSON, length) + b"{"]
    for begin in begins:
        began = time.monotonic()
        with wire(http) as held, contextlib.suppress(ConnectionResetError):
            held.sendall(begin.replace(b"HOST", f"127.0.0.1:{http.base_url.port}".encode()))
            with contextlib.suppress(BrokenPipeError):
                while time.monotonic() - began < 3:  # a byte now and then buys no time
                    time.sleep(0.1)
                    held.sendall(b"x")
        assert 0.3 < time.monotonic() - began < 2.5, begin


def test_who_is_slow_between_whole_requests_and_who_listens_long_is_not(http, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.5)
    with http.stream("GET", "/api/stream") as stream:
        lines = stream.iter_lines()
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            assert next(lines) is not None
    with wire(http) as held:
        for _ in range(2):
            host = f"127.0.0.1:{http.base_url.port}".encode()
            held.sendall(head("GET", "/api/nothing").replace(b"HOST", host))
            assert received(held).startswith(b"HTTP/1.1 404")
            time.sleep(1)


def test_silent_connections_leave_room_for_people(http, monkeypatch):
    """As many as there may be, all silent: they are hung up on, and the page answers again."""
    monkeypatch.setattr(patience, "PATIENCE_S", 1.0)
    with contextlib.ExitStack() as held:
        for _ in range(patience.MAX_CONNECTIONS):
            held.enter_context(wire(http))
        end = time.monotonic() + 8
        while True:
            with contextlib.suppress(Exception):
                if http.get("/api/health").status_code in (200, 503) and http.get("/").is_success:
                    break
            assert time.monotonic() < end
            time.sleep(0.2)


def test_the_page_writes_names_and_comments_as_text_never_as_html():
    sources = [*STATIC.rglob("*.js"), *STATIC.rglob("*.html")]
    assert sources
    ways = r"(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    ways += r"|\son\w+="
    bad = {p.name: found[0] for p in sources if (found := re.search(ways, p.read_text("utf-8")))}
    assert bad == {}
