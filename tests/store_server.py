"""HTTP servers for tests of the store: one that answers as InfluxDB 2.x does, and a proxy.

`Answering` keeps lines as 2.x would (a point written twice is one point) and can be told to fail.
`v2_proxy` passes ``/api/v2/write`` on to ``/write`` of a real InfluxDB 1.6.7, and ``/ping`` and
``/query`` as they are.
"""

import contextlib
import gzip
import http.client
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

TOKEN = "good-token"  # noqa: S105 - of a test


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.server.answer(self, query, body)

    def give(self, status, message="", headers=(), *, raw=False):
        told = message if raw else json.dumps({"code": "x", "message": message})
        data = told.encode() if message else b""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def reset(self):
        """Close so that the other side sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


class Answering(ThreadingHTTPServer):
    """Answers by the table of InfluxDB 2.x. ``script`` holds failures to come, one a request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = []
        self.requests = []  # (monotonic time, bytes, status)
        self.most_bytes = 1 << 30
        # by bucket: (series, time) -> fields
        self.buckets = {name: {} for name in ("b", "b_features", "b_waveforms")}
        self.points = self.buckets["b"]
        self.malformed = b"MALFORMED"
        self.conflicting = b"CONFLICT"
        self.refuse_all = self.deletes_nothing = False
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass

    def answer(self, handler, query, body):
        with self.lock:
            forced = self.script.pop(0) if self.script else None
            status = self._decide(handler, query, body) if forced is None else forced
            self.requests.append((time.monotonic(), len(body), status))
        if forced == "reset":
            handler.reset()
        elif forced in ("slow", "hang"):
            time.sleep(0.6 if forced == "slow" else 4.0)
            with contextlib.suppress(OSError):
                handler.give(204)
        elif forced == "stored, then reset":
            with self.lock:
                self._keep(body.splitlines(), query["bucket"])
            handler.reset()
        elif isinstance(forced, tuple):
            handler.give(forced[0], forced[1], forced[2] if len(forced) > 2 else ())
        else:
            handler.give(*status)

    def _decide(self, handler, query, body):
        if handler.headers.get("Authorization") != f"Token {TOKEN}":
            return 401, "unauthorized access"
        if query.get("bucket") not in self.buckets:
            return 404, f'bucket "{query.get("bucket")}" not found'
        if handler.path.startswith("/api/v2/delete"):
            return self._remove(json.loads(body), query["bucket"])
        if query.get("precision") != "ns" or self.refuse_all:
            return 400, "invalid request"
        if len(body) > self.most_bytes:
            return 413, "request body too large"
        lines = body.splitlines()
        bad = [line for line in lines if self.malformed in line]
        if bad:
            return 400, f"unable to parse '{bad[0].decode()}': missing fields"
        dropped = [line for line in lines if self.conflicting in line]
        kept = [line for line in lines if self.conflicting not in line]
        self._keep(kept, query["bucket"])
        if dropped:
            return 422, f"failure writing points: partial write: conflict dropped={len(dropped)}"
        return 204, ""

    def _remove(self, asked, bucket):
        if self.deletes_nothing:
            return 403, "insufficient permissions for delete"
        channel = re.fullmatch(r'channel="(.+)"', asked["predicate"])[1]
        span = [
            np.datetime64(asked[end].rstrip("Z"), "ns").astype(int) for end in ("start", "stop")
        ]
        for series, when in list(self.buckets[bucket]):
            if f",channel={channel},".encode() in series and span[0] <= when < span[1]:
                del self.buckets[bucket][series, when]
        return 204, ""

    def _keep(self, lines, bucket):
        for line in lines:
            head, _, when = line.rpartition(b" ")
            series, fields = re.split(rb"(?<!\\) ", head, maxsplit=1)
            self.buckets[bucket][series, int(when)] = fields


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.requests = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass

    def answer(self, handler, query, body):
        self.requests += 1
        path = handler.path
        if path.startswith("/api/v2/write"):
            db, _, rp = query["bucket"].partition("/")
            path = "/write?" + urllib.parse.urlencode({"db": db, "rp": rp, "precision": "n"})
        elif path.startswith("/api/v2"):
            handler.give(404, "page not found")
            return
        try:
            behind = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            behind.request(handler.command, path, body)
            got = behind.getresponse()
            text = got.read().decode()
            behind.close()
        except OSError:
            handler.give(503, "no server behind the proxy")
            return
        if path.startswith("/write"):
            handler.give(got.status, json.loads(text)["error"] if text else "")
            return
        named = [("X-Influxdb-Version", got.headers["X-Influxdb-Version"])]
        handler.give(got.status, text, named, raw=True)


@contextlib.contextmanager
def _serving(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def answering():
    """Serve as InfluxDB 2.x would."""
    return _serving(Answering())


def v2_proxy(influxd):
    """Serve the v2 write API in front of a running InfluxDB 1.6.7."""
    return _serving(_Proxy(influxd.port))


def write(influxd, db, body):
    """Write lines, times in ns, past every proxy."""
    url = f"{influxd.url}/write?" + urllib.parse.urlencode({"db": db, "precision": "n"})
    with urllib.request.urlopen(url, body, timeout=20) as answer:  # noqa: S310
        assert answer.status == 204


def query(influxd, text, db="b"):
    """Return the series of an InfluxQL query, with times in ns."""
    asked = urllib.parse.urlencode({"q": text, "db": db, "epoch": "ns"}).encode()
    with urllib.request.urlopen(f"{influxd.url}/query", asked, timeout=20) as answer:  # noqa: S310
        result = json.loads(answer.read())["results"][0]
    assert "error" not in result, result
    return result.get("series", [])
