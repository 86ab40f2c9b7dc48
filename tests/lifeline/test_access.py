"""Who may ask what of the page: every role on every route, and what a firm's people see."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from lifeline.console.access import OPEN, ROUTES
from lifeline.ledger import Ledger
from lifeline.people.accounts import Accounts
from lifeline.people.doorman import LoginRules
from lifeline.people.roles import SYSTEM, Role, Scope
from lifeline.people.tokens import DAY_NS, Tokens
from rules.incidents.grouping import incident_id
from tests.lifeline.people_kit import PASSWORD, add, log_in
from tests.lifeline.small_city import GAS, LEVEL, OTHER_GAS, SmallCity, serving, until

FIRM = Scope(owners=frozenset({"firm"}))
PAGES = ("/", "/code/{code:path}", "/field", "/field/{code:path}")
ROLES = [role.word for role in Role]
OWNERS = {"410100-gas-mh-000123": "firm", "410100-gas-mh-000124": "other"}
SCOPED = {  # login: what it sees of GAS, OTHER_GAS, LEVEL
    "firm": (FIRM, {GAS}),
    "gas": (Scope(domains=frozenset({"gas"})), {GAS, OTHER_GAS}),
    "drain": (Scope(domains=frozenset({"drain", SYSTEM})), {LEVEL}),
    "here": (Scope(districts=frozenset({"Zhongyuan"})), {GAS, OTHER_GAS, LEVEL}),
    "there": (Scope(districts=frozenset({"Jinshui"})), set()),
    "both": (Scope(domains=frozenset({"gas"}), owners=frozenset({"other"})), {OTHER_GAS}),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A city with three alarms, an account of each role and each scope, and its page."""
    city = SmallCity(tmp_path_factory.mktemp("access") / "data", owners=OWNERS)
    for role in ROLES:
        add(city.data, role, role)
    for login, (scope, _) in SCOPED.items():
        add(city.data, login, "engineer", scope)
    with serving(city.data, ready="/login", work_orders=b"k" * 32) as http:
        log_in(http, "viewer")
        for channel in (GAS, OTHER_GAS, LEVEL):
            city.send(channel, 1.6)
        until(lambda: len(http.get("/api/alarms").json()["alarms"]) == 3)
        yield city, http
    city.close()


@pytest.fixture
def http(site):
    held = httpx.Client(base_url=site[1].base_url, timeout=10)
    yield held
    held.close()


@pytest.fixture
def city(site):
    return site[0]


def alarms(http) -> dict[str, dict]:
    return {a["subject"]: a for a in http.get("/api/alarms").json()["alarms"]}


@pytest.fixture(scope="module")
def ids(site):
    log_in(site[1], "viewer")
    return {subject: alarm["id"] for subject, alarm in alarms(site[1]).items()}


def asked(http, method: str, path: str, alarm_id: str) -> httpx.Response:
    """Ask a route with an empty body: what is let through is refused for its form at most."""
    path = path.replace("{alarm_id}", alarm_id)
    path = path.replace("{incident_id}", incident_id(alarm_id))
    names = {"/login/{name}": "login.js", "/vendor/{name}": "leaflet.js"}
    path = path.replace("{name}", names.get(path, ""))
    path = "/static/main.js" if path == "/static" else path
    if path == "/api/stream":
        with http.stream("GET", path) as answer:
            return answer
    if path == "/api/hooks/warnings":  # the one body that is no JSON
        return http.post(path, content=b"", headers={"Content-Type": "application/cap+xml"})
    return http.request(method, path, json={} if method == "POST" else None)


def test_every_route_of_the_page_is_in_the_table_and_nothing_else_is(tmp_path):
    from lifeline.console.app import create_app  # noqa: PLC0415 - beside its only use
    from tests.lifeline.desk_kit import desk_of  # noqa: PLC0415

    app = create_app(desk_of(tmp_path, work_orders=b"k"))
    there = set()
    for route in app.routes:
        methods = getattr(route, "methods", None) or {"GET"}
        there |= {(method, route.path) for method in methods - {"HEAD"}}
    assert there == set(ROUTES)


@pytest.mark.parametrize("login", ["nobody", *ROLES, "here"])
def test_each_role_on_each_route(http, ids, login):
    role = {"nobody": 0, "here": Role.ENGINEER}.get(login) or Role.__members__.get(login.upper(), 0)
    for (method, path), needs in ROUTES.items():
        if login != "nobody":
            assert log_in(http, login).status_code == 200
        answer = asked(http, method, path, ids[GAS])
        where = (login, method, path, answer.status_code)
        if needs is OPEN:
            assert answer.status_code not in (303, 403), where
            hook = path.startswith("/api/hooks")  # not signed with its key
            assert (answer.status_code == 401) == hook, where
        elif login == "nobody":
            assert answer.status_code == (303 if path in PAGES else 401), where
        elif role < needs.role or (needs.whole and login == "here"):
            assert answer.status_code == 403, where
            assert "权限不足" in answer.json()["error"]["message"]
        else:
            assert answer.status_code not in (303, 401, 403), where
            assert answer.status_code < 500 or path == "/api/health", where


@pytest.mark.parametrize("login", SCOPED)
def test_a_scope_holds_for_lists_alarms_trends_maps_and_orders(http, ids, login):
    seen = SCOPED[login][1]
    log_in(http, login)
    assert set(alarms(http)) == seen
    state = http.get("/api/state").json()
    assert {a["subject"] for a in state["alarms"]} == seen
    assert sum(pair[0] for d in state["counts"].values() for pair in d.values()) == len(seen)
    assert set(state["now"]) == seen
    own = {ids[subject] for subject in seen}
    for told in (state, http.get("/api/incidents").json()):
        assert {i["first_out"] for i in told["incidents"]} == own
        assert all(set(i["alarms"]) <= own for i in told["incidents"])
    assert {d["domain"] for d in state["domains"]} - {"env"} == {c.split("-")[1] for c in seen}
    listed = {c["id"] for c in http.get("/api/channels").json()["channels"]}
    assert listed & {GAS, OTHER_GAS, LEVEL} == seen
    drawn = {f["id"] for f in http.get("/api/map").json()["features"]}
    assert drawn & {c.split("/")[0] for c in ids} == {c.split("/")[0] for c in seen}
    for channel, alarm_id in ids.items():
        allowed = channel in seen
        trend = http.get("/api/trend", params={"channel": channel})
        assert trend.status_code == (200 if allowed else 422)
        if allowed:
            assert {n["channel"] for n in trend.json()["neighbours"]} <= seen
        else:
            nowhere = http.get("/api/trend", params={"channel": "no/such/one"})
            told = trend.text.replace(channel, "no/such/one")
            assert told == nowhere.text, "as one that does not exist"
        for path in ("", "/cap"):
            answer = http.get(f"/api/alarms/{alarm_id}{path}")
            assert answer.status_code == (200 if allowed else 404)
        for path in ("", "/cap"):
            answer = http.get(f"/api/incidents/{incident_id(alarm_id)}{path}")
            assert answer.status_code == (200 if allowed else 404)
        order = {"comment": "note", "command": f"{login}-{alarm_id}"}
        answer = http.post(f"/api/alarms/{alarm_id}/comment", json=order)
        assert answer.status_code == (200 if allowed else 404)
        if not allowed:
            missing = http.post("/api/alarms/0123456789ab/comment", json=order)
            assert answer.text == missing.text.replace("0123456789ab", alarm_id)


def first_state(http) -> dict:
    with http.stream("GET", "/api/stream") as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                return json.loads(line[5:])
    raise AssertionError("no state came")


@pytest.mark.parametrize("login", ["firm", "there", "viewer"])
def test_the_stream_tells_each_what_they_may_see(http, login):
    log_in(http, login)
    told = first_state(http)
    assert {a["subject"] for a in told["alarms"]} == SCOPED.get(
        login, (0, {GAS, OTHER_GAS, LEVEL})
    )[1]
    assert set(told["now"]) <= {a["channel"] for a in told["alarms"]}
    assert (told["flood"]["announced"] is None) == (login != "viewer")


def test_a_firm_is_told_that_the_system_is_in_trouble_and_not_in_whose_words(site, http):
    log_in(http, "firm")
    problems = http.get("/api/health").json()["problems"]
    assert set(problems) <= {"city"}
    log_in(http, "viewer")
    assert bool(http.get("/api/health").json()["problems"]) == bool(problems)


def test_an_order_is_signed_by_the_login_and_by_no_other_name(http, ids):
    log_in(http, "operator")
    path = f"/api/alarms/{ids[LEVEL]}/comment"
    forged = http.post(path, json={"by": "somebody", "comment": "x", "command": "forged"})
    assert forged.status_code == 422
    assert forged.json()["error"]["field"] == "by"
    assert http.post(path, json={"comment": "mine", "command": "mine"}).status_code == 200
    events = http.get(f"/api/alarms/{ids[LEVEL]}").json()["events"]
    assert [(e["by"], e["comment"]) for e in events if e["comment"] in ("x", "mine")] == [
        ("operator", "mine")
    ]


def test_red_is_shelved_by_two_accounts(tmp_path):
    city = SmallCity(tmp_path / "data")
    for login in ("li", "wang"):
        add(city.data, login)
    with serving(city.data, ready="/login") as http:
        log_in(http, "li")
        city.send(GAS, 2.6)
        city.send(GAS, 2.7)
        until(lambda: (a := alarms(http)) and a[GAS]["severity"] == 4)

        def shelve(login: str) -> dict:
            log_in(http, login)
            body = {"reason": "works", "minutes": 30, "expected_seq": alarms(http)[GAS]["seq"]}
            path = f"/api/alarms/{alarms(http)[GAS]['id']}/shelve"
            answer = http.post(path, json=body | {"command": f"{login}{time.time_ns()}"})
            return answer.json()

        assert shelve("li")["alarm"]["shelve_asked_by"] == "li"
        assert "alarm" not in (again := shelve("li")) or not again["alarm"]["held"]
        assert shelve("wang")["alarm"]["held"][0]["by"] in ("li", "wang")
    city.close()


def test_a_session_gives_orders_only_with_its_token_and_from_its_page(http, ids):
    log_in(http, "operator")
    path, token = f"/api/alarms/{ids[GAS]}/comment", http.headers["X-CSRF-Token"]
    origin = http.headers["Origin"]
    body = {"comment": "x", "command": "csrf"}
    for headers in (
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": token[:-1] + ("0" if token[-1] != "0" else "1")},
        {"X-CSRF-Token": "ü".encode()},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert http.post(path, json=body, headers=headers).status_code == 403, headers
    del http.headers["Origin"]
    assert http.post(path, json=body).status_code == 403, "no page of ours says nothing of itself"
    assert http.post(path, json=body, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    other = httpx.Client(base_url=http.base_url)
    log_in(other, "admin")
    crossed = {"X-CSRF-Token": other.headers["X-CSRF-Token"], "Origin": origin}
    assert http.post(path, json=body, headers=crossed).status_code == 403, "another session's"
    other.close()


def test_a_token_needs_no_cookie_and_a_wrong_one_no_luck(city, http, ids):
    ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
    how = {"for_ns": DAY_NS, "actor": "local:x", "scope": FIRM}
    secret, _ = Tokens(ledger).add("operator", label="bot", role=Role.OPERATOR, **how)
    ledger.close()
    path = f"/api/alarms/{ids[GAS]}/comment"
    for shown in ({"Authorization": f"Bearer {secret}"}, {"Lifeline-Token": secret}):
        assert set(http.get("/api/alarms", headers=shown).json()["alarms"][0]) > {"id"}
        assert set(alarms_by(http, shown)) == {GAS}, "the token's own scope"
        body = {"comment": "bot", "command": f"bot-{len(shown)}-{next(iter(shown))}"}
        assert http.post(path, json=body, headers=shown).status_code == 200
        assert http.get("/api/people", headers=shown).status_code == 403
    for wrong in ("llt_", f"{secret}x", secret[:-1], "llt_" + "ü"):
        shown = {"Lifeline-Token": wrong.encode()}
        assert http.get("/api/state", headers=shown).status_code == 401


def alarms_by(http, headers) -> set[str]:
    return {a["subject"] for a in http.get("/api/alarms", headers=headers).json()["alarms"]}


def test_a_wrong_login_says_nothing_of_what_was_wrong(http):
    http.headers["Origin"] = str(http.base_url).rstrip("/")
    tries = (("operator", "wrong"), ("nobody", PASSWORD), ("x" * 64, "wrong"), ("ü", "ü"))
    answers = [http.post("/login", json={"login": l, "password": p}) for l, p in tries]
    assert {(a.status_code, a.text) for a in answers} == {(401, answers[0].text)}
    assert not any("set-cookie" in a.headers for a in answers)
    bad = http.post("/login", json={"login": "operator", "password": ["hunter2hunter2"]})
    assert bad.status_code == 422
    assert "hunter2" not in bad.text


def test_too_many_failures_are_told_when_to_come_again(tmp_path):
    city = SmallCity(tmp_path / "data")
    add(city.data, "li")
    with serving(city.data, ready="/login") as http:
        for _ in range(5):
            assert log_in(http, "li", "wrong").status_code == 401
        answer = log_in(http, "li")
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) >= 1
    city.close()


def test_the_cookie_is_no_scripts_and_no_other_sites(http):
    said = log_in(http, "viewer").headers["set-cookie"]
    parts = {part.strip().lower() for part in said.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert "secure" not in parts, "this page speaks plain HTTP on loopback"
    assert not any(part.startswith(("domain", "expires", "max-age")) for part in parts)


def test_logout_ends_it_here_and_logout_everywhere_there_too(http):
    log_in(http, "viewer")
    other = httpx.Client(base_url=http.base_url)
    log_in(other, "viewer")
    assert http.post("/logout", json={"everywhere": True}).json()["ended"] >= 2
    assert http.get("/api/state").status_code == other.get("/api/state").status_code == 401
    other.close()


def test_who_is_disabled_while_the_page_is_open_sees_nothing_more(tmp_path):
    city = SmallCity(tmp_path / "data")
    add(city.data, "li")
    with serving(city.data, ready="/login") as http:
        log_in(http, "li")
        names = []
        with http.stream("GET", "/api/stream") as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    names.append(line[7:])
                    if len(names) == 1:
                        ledger = Ledger(f"sqlite:///{city.data / 'ledger.sqlite'}")
                        Accounts(ledger).change("li", disabled=True, actor="local:x")
                        ledger.close()
        assert names[0] == "state"
        assert names[-1] == "ended"
        assert len(names) < 6
    city.close()


def test_a_first_account_closes_a_page_that_was_open_at_once(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data) as http:
        assert http.get("/api/me").json()["accounts"] is False
        assert http.post("/login", json={"login": "a", "password": "b"}).status_code == 409
        assert http.get("/api/state", headers={"Lifeline-Token": "llt_x"}).status_code == 401
        add(city.data, "li")
        assert http.get("/api/state").status_code == 401
        assert http.get("/", follow_redirects=False).headers["location"] == "/login"
        assert http.get("/healthz").status_code in (200, 503)
        assert set(http.get("/healthz").json()) == {"ok"}
    city.close()


def test_a_login_that_is_required_lets_nobody_in_without_an_account(tmp_path):
    city = SmallCity(tmp_path / "data")
    with serving(city.data, ready="/login", login=LoginRules(required=True)) as http:
        assert http.get("/api/state").status_code == 401
        assert log_in(http, "li").status_code == 401
    city.close()


def test_a_password_is_changed_by_who_knows_the_old_one_and_other_sessions_end(tmp_path):
    city = SmallCity(tmp_path / "data")
    add(city.data, "li")
    with serving(city.data, ready="/login") as http:
        other = httpx.Client(base_url=http.base_url)
        log_in(other, "li")
        log_in(http, "li")
        new = "another long sentence 3"
        ask = {"old": "wrong", "new": new}
        assert http.post("/api/me/password", json=ask).status_code == 403
        weak = http.post("/api/me/password", json={"old": PASSWORD, "new": "short"})
        assert weak.status_code == 422
        assert weak.json()["error"]["field"] == "new"
        assert http.post("/api/me/password", json={"old": PASSWORD, "new": new}).is_success
        assert http.get("/api/me").json()["login"] == "li"
        assert other.get("/api/me").status_code == 401
        assert log_in(other, "li").status_code == 401
        assert log_in(other, "li", new).status_code == 200
        other.close()
    city.close()
