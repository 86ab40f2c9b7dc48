"""An HTTP server that behaves as InfluxDB 2.8's administration does, with its state in memory.

    with influx_two.running() as server:
        server.token("city")                # an all-access token of an org

Answers, codes and texts were taken down from a real InfluxDB 2.8.0: what a token may not see is
left out of lists (200), what is not there is 404, what it may not make is 401, what it may not
write to is 403. It runs no Flux and keeps points only as far as a check reads them back.
"""

import contextlib
import http.server
import itertools
import json
import re
import threading
import urllib.parse

ALL = object()  # rights of an all-access token
OK, CREATED, NOTHING = 200, 201, 204


class No(Exception):  # noqa: N818 - says what it is
    """An answer that is no."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Two(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = "v2.8.0"
        self.orgs, self.buckets, self.dbrps, self.tasks, self.tokens = {}, {}, {}, {}, {}
        self.points = {}  # (bucket id, measurement) -> {field: {types}}
        self.last = {}  # bucket id -> stamp of the newest lifeline_check
        self.series = {}  # bucket id -> how many
        self.changes = []  # (method, path) of everything but reading
        self.queries = []  # Flux that writes
        self.written = 0  # points each aggregate of such a query is told to have
        self.fail = {}  # (method, path's first word) -> (status, text)
        self.lock = threading.Lock()
        self._ids = itertools.count(0x11B0_0000_0000_0000)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def id(self):
        return f"{next(self._ids):016x}"

    def org(self, name):
        """Return the id of an org, made if it is not there."""
        made = next((o for o in self.orgs.values() if o["name"] == name), None)
        if made is None:
            made = {"id": self.id(), "name": name}
            self.orgs[made["id"]] = made
        return made["id"]

    def token(self, org="city", rights=ALL, text=None):
        """Return the text of a token of an org."""
        made = {"id": self.id(), "orgID": self.org(org), "description": "", "rights": rights}
        made["token"] = text or f"secret-{made['id']}"
        self.tokens[made["token"]] = made
        return made["token"]

    def bucket(self, name):
        """Return a bucket as it is held."""
        return next(b for b in self.buckets.values() if b["name"] == name)

    def task(self, name):
        """Return a task as it is held."""
        return next(t for t in self.tasks.values() if t["name"] == name)

    def handle_error(self, request, client_address):
        pass

    # what tokens may do

    def may(self, auth, action, kind, wanted):
        if auth["rights"] is ALL:
            return True
        return (action, kind, wanted) in auth["rights"]

    def must(self, auth, action, kind, wanted):
        if not self.may(auth, action, kind, wanted):
            raise No(401, f"{action}:{kind}/{wanted} is unauthorized")

    # the answers: each takes (auth, query, body, id) and returns (status, answer)

    def get_orgs(self, auth, query, body, _):
        name = query.get("org")
        found = [o for o in self.orgs.values() if name in (None, o["name"])]
        if name and not found:
            raise No(404, f'organization name "{name}" not found')
        return OK, {"orgs": [o for o in found if auth["rights"] is ALL]}

    def post_orgs(self, auth, query, body, _):
        self.must(auth, "write", "orgs", None)
        return CREATED, {"id": self.org(body["name"]), "name": body["name"]}

    def get_buckets(self, auth, query, body, _):
        name = query.get("name")
        found = [b for b in self.buckets.values() if name in (None, b["name"])]
        if query.get("org") and query["org"] not in [o["name"] for o in self.orgs.values()]:
            raise No(404, f'organization name "{query["org"]}" not found')
        if name and not found:
            raise No(404, f'bucket "{name}" not found')
        return OK, {"buckets": [b for b in found if self.may(auth, "read", "buckets", b["id"])]}

    def post_buckets(self, auth, query, body, _):
        self.must(auth, "write", "buckets", None)
        if any(b["name"] == body["name"] for b in self.buckets.values()):
            raise No(422, f"bucket with name {body['name']} already exists")
        made = {"type": "user", **body, "id": self.id()}
        self.buckets[made["id"]] = made
        return CREATED, made

    def patch_buckets(self, auth, query, body, wanted):
        self.must(auth, "write", "buckets", wanted)
        self.buckets[wanted].update(body)
        return OK, self.buckets[wanted]

    def get_dbrps(self, auth, query, body, _):
        db, org = query.get("db"), query.get("orgID")
        found = [m for m in self.dbrps.values() if db in (None, m["database"])]
        mapped = {m["database"] for m in found if m["retention_policy"] == "autogen"}
        made_up = [
            {
                "id": b["id"], "database": b["name"], "retention_policy": "autogen",
                "default": True, "virtual": True, "orgID": b["orgID"], "bucketID": b["id"],
            }
            for b in self.buckets.values()
            if db in (None, b["name"]) and b["name"] not in mapped
        ]  # fmt: skip
        seen = [m for m in found + made_up if self.may(auth, "read", "buckets", m["bucketID"])]
        return OK, {"content": [m for m in seen if m["orgID"] == org]}

    def post_dbrps(self, auth, query, body, _):
        self.must(auth, "write", "buckets", body["bucketID"])
        same = ("database", "retention_policy")
        if any(all(m[k] == body[k] for k in same) for m in self.dbrps.values()):
            raise No(409, "another DBRP mapping with same orgID, db, and rp exists")
        made = {**body, "id": self.id(), "virtual": False}
        self.dbrps[made["id"]] = made
        self._one_default(made)
        return CREATED, made

    def patch_dbrps(self, auth, query, body, wanted):
        mapping = self.dbrps[wanted]
        self.must(auth, "write", "buckets", mapping["bucketID"])
        mapping.update(body)
        self._one_default(mapping)
        return OK, {"content": mapping}

    def _one_default(self, mapping):
        for other in self.dbrps.values():
            if mapping["default"] and other["database"] == mapping["database"]:
                other["default"] = other is mapping

    def get_tasks(self, auth, query, body, _):
        name = query.get("name")
        found = [t for t in self.tasks.values() if name in (None, t["name"])]
        return OK, {"tasks": [t for t in found if self.may(auth, "read", "tasks", t["id"])]}

    def post_tasks(self, auth, query, body, _):
        self.must(auth, "write", "tasks", None)
        name = re.search(r'option task = \{name: "([^"]+)"', body["flux"])[1]
        made = {**body, "id": self.id(), "name": name, "createdAt": "2026-01-01T00:00:00Z"}
        made |= {"lastRunStatus": "success", "latestCompleted": "2100-01-01T00:00:00Z"}
        self.tasks[made["id"]] = made
        return CREATED, made

    def patch_tasks(self, auth, query, body, wanted):
        self.must(auth, "write", "tasks", wanted)
        self.tasks[wanted].update(body)
        return OK, self.tasks[wanted]

    def get_authorizations(self, auth, query, body, _):
        seen = self.tokens.values() if auth["rights"] is ALL else ()
        return OK, {"authorizations": [{k: a[k] for k in a if k != "rights"} for a in seen]}

    def post_authorizations(self, auth, query, body, _):
        self.must(auth, "write", "authorizations", None)
        rights = {
            (p["action"], p["resource"]["type"], p["resource"]["id"]) for p in body["permissions"]
        }
        name = self.orgs[body["orgID"]]["name"]
        made = self.tokens[self.token(name, rights)]
        made["description"] = body["description"]
        return CREATED, {k: made[k] for k in made if k != "rights"} | {"status": "active"}

    def post_write(self, auth, query, body, _):
        if query.get("org") not in [o["name"] for o in self.orgs.values()]:
            raise No(404, f'organization name "{query.get("org")}" not found')
        found = [b for b in self.buckets.values() if b["name"] == query["bucket"]]
        if not found:
            raise No(404, f'bucket "{query["bucket"]}" not found')
        if not self.may(auth, "write", "buckets", found[0]["id"]):
            raise No(403, "insufficient permissions for write")
        for line in body.decode().splitlines():
            stamp = re.match(r"lifeline_check stamp=(\d+)i", line)
            if stamp is None:
                raise No(400, f"unable to parse '{line}'")
            self.last[found[0]["id"]] = int(stamp[1])
        return NOTHING, None

    def influxql(self, auth, query):
        mapped = [m for m in self.dbrps.values() if m["database"] == query["db"] and m["default"]]
        held = [m["bucketID"] for m in mapped]
        held = held or [b["id"] for b in self.buckets.values() if b["name"] == query["db"]]
        if not held or not self.may(auth, "read", "buckets", held[0]):
            return OK, _result(error=f"database not found: {query['db']}")
        if query["q"].startswith("SELECT"):
            stamp = self.last.get(held[0])
            rows = [] if stamp is None else [["lifeline_check", [[stamp, stamp]]]]
        elif query["q"] == "SHOW FIELD KEYS":
            rows = [
                [measurement, [[f, t] for f, types in fields.items() for t in sorted(types)]]
                for (bucket, measurement), fields in self.points.items()
                if bucket == held[0]
            ]
        else:
            return OK, _result(error=f"not implemented: {query['q']}")
        return OK, _result(series=[{"name": n, "values": v} for n, v in rows])

    def flux(self, auth, body):
        if "|> to(" in body["query"]:
            return self._made(auth, body["query"])
        name = re.search(r'bucket: "([^"]+)"', body["query"])[1]
        if name not in [b["name"] for b in self.buckets.values()]:
            raise No(404, f'could not find bucket "{name}"')
        bucket = self.bucket(name)["id"]
        if "schema.measurements" in body["query"]:
            values = sorted({m for b, m in self.points if b == bucket})
            kind = "string"
        else:
            values, kind = [self.series.get(bucket, 0)], "long"
        head = f"#datatype,string,long,{kind}\n#group,false,false,false\n#default,_result,,\n"
        rows = "".join(f",,0,{v}\n" for v in values)
        return OK, f"{head},result,table,_value\n{rows}\n" if values else ""

    def _made(self, auth, text):
        """Note a query that writes, as far as it can be told without Flux; one row an aggregate."""
        names = {*re.findall(r'bucket: "([^"]+)"', text)}
        for name in sorted(names):
            if name not in [b["name"] for b in self.buckets.values()]:
                raise No(404, f'could not find bucket "{name}"')
        target = re.search(r'\|> to\(bucket: "([^"]+)"', text)[1]
        if not self.may(auth, "write", "buckets", self.bucket(target)["id"]):
            raise No(403, "insufficient permissions for write")
        self.queries.append(text)
        head = "#datatype,string,long,long\n#group,false,false,false\n#default,{0},,\n"
        told = [
            f"{head.format(name)},result,table,_value\n,,0,{self.written}\n\n"
            for name in re.findall(r'yield\(name: "([^"]+)"', text)
        ]
        return OK, "".join(told) if self.written else ""


def _result(**what):
    return {"results": [{"statement_id": 0, **what}]}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._answer("get")

    def do_POST(self):
        self._answer("post")

    def do_PATCH(self):
        self._answer("patch")

    def _answer(self, method):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        with self.server.lock:
            try:
                status, answer = self._decide(method, parts.path, query, raw)
            except No as no:
                status, answer = no.status, {"code": "no", "message": str(no)}
        text = answer if isinstance(answer, str) else json.dumps(answer)
        data = b"" if answer is None else text.encode()
        self.send_response(status)
        self.send_header("X-Influxdb-Version", self.server.version)
        kind = "text/csv" if isinstance(answer, str) else "application/json"
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _decide(self, method, path, query, raw):
        server = self.server
        if path == "/ping":
            return NOTHING, None
        auth = server.tokens.get(self.headers.get("Authorization", "").removeprefix("Token "))
        if auth is None:
            raise No(401, "unauthorized access")
        if path == "/query":
            return server.influxql(auth, query)
        word, _, wanted = path.removeprefix("/api/v2/").partition("/")
        if (method, word) in server.fail:
            raise No(*server.fail[method, word])
        if word == "query":
            return server.flux(auth, json.loads(raw))
        body = raw if word == "write" else json.loads(raw or b"null")
        answer = getattr(server, f"{method}_{word}")(auth, query, body, wanted)
        if method != "get" and word != "write":
            server.changes.append((method, path))
        return answer


@contextlib.contextmanager
def running():
    """Serve until the block ends."""
    server = Two()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
