"""Who is answered: told by the connection's own address and by a token."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from lifeline.console.app import create_app
from lifeline.console.guard import Guard, Proxy, local_hosts
from lifeline.people.doorman import LoginRules
from lifeline.people.roles import Role
from lifeline.people.tokens import DAY_NS, Tokens
from lifeline.serve import ServeSettings
from tests.lifeline.desk_kit import desk_of
from tests.lifeline.people_kit import PASSWORD, add
from tests.lifeline.small_city import SmallCity, serving

PROXY = Proxy(origin="https://console.example", token="t" * 32)
SHOWN = {"Authorization": f"Bearer {PROXY.token}"}


def test_the_proxy_speaks_for_its_own_page_and_for_no_other(tmp_path):
    city = SmallCity(tmp_path / "data")
    ack = "/api/alarms/0123456789ab/ack"  # there is none: 404 once the guard lets it through
    order = {"by": "Li", "expected_seq": 1, "command": "c"}
    ours = {"Host": "console.example", "Origin": PROXY.origin}
    tries = (SHOWN | ours, SHOWN | ours | {"Origin": "https://evil.example"}, ours)
    with serving(city.data, proxy=PROXY) as http:
        answers = [http.post(ack, json=order, headers=headers) for headers in tries]
        assert [answer.status_code for answer in answers] == [404, 403, 403]
        assert http.get("/", headers=SHOWN | {"Host": "console.example"}).status_code == 200
    with serving(city.data) as http:
        assert http.post(ack, json=order, headers=tries[0]).status_code == 403, "no proxy here"
    city.close()


@pytest.mark.parametrize("proxy", [PROXY, None])
def test_beyond_loopback_nobody_is_answered_without_the_token(proxy):
    """Told by the connection's own address, whatever its headers say."""
    guarded = Guard(PlainTextResponse("inside"), hosts=local_hosts(8480), proxy=proxy)

    def ask(client: str, headers: dict[str, str]) -> int:
        async def get() -> int:
            transport = httpx.ASGITransport(guarded, client=(client, 4711))
            async with httpx.AsyncClient(transport=transport) as far:
                return (await far.get("http://127.0.0.1:8480/", headers=headers)).status_code

        return asyncio.run(get())

    lying = {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    for client in ("172.18.0.5", "10.0.0.1", "fd00::1", "::ffff:127.0.0.1"):
        for headers in ({}, lying, {"Authorization": f"Bearer {PROXY.token[:-1]}"}):
            assert ask(client, headers) == 401
        assert ask(client, SHOWN) == (200 if proxy else 401)
    assert ask("127.0.0.1", {}) == ask("::1", {}) == 200


OWN = "https://console.example:8480"


def asked(app, client: str, url: str, method: str = "GET", **how) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 4711))
        async with httpx.AsyncClient(transport=transport) as far:
            return await far.request(method, url, **how)

    return asyncio.run(ask())


def test_a_page_with_a_login_of_its_own_is_answered_by_its_own_name_only():
    inside = PlainTextResponse("inside")
    guarded = Guard(inside, hosts=local_hosts(8480), scheme="https", own=OWN)
    assert asked(guarded, "10.0.0.1", f"{OWN}/").status_code == 200
    for name in ("evil.example:8480", "10.0.0.9:8480", "console.example", "127.0.0.1:8480"):
        assert asked(guarded, "10.0.0.1", f"https://{name}/").status_code == 401, name
    evil = {"Origin": "https://evil.example"}
    posted = asked(guarded, "10.0.0.1", f"{OWN}/login", "POST", json={}, headers=evil)
    assert posted.status_code == 403
    ours = {"Origin": OWN}
    posted = asked(guarded, "10.0.0.1", f"{OWN}/login", "POST", json={}, headers=ours)
    assert posted.status_code == 200


def test_over_tls_the_cookie_is_for_this_host_and_tls_alone(tmp_path):
    add(tmp_path, "li")
    login = LoginRules(required=True)
    certificate = (tmp_path / "crt", tmp_path / "key")
    how = {"login": login, "certificate": certificate, "origin": OWN, "host": "192.0.2.1"}
    app = create_app(desk_of(tmp_path, **how))
    headers = {"Origin": OWN}
    body = {"login": "li", "password": PASSWORD}
    answer = asked(app, "10.0.0.1", f"{OWN}/login", "POST", json=body, headers=headers)
    said = answer.headers["set-cookie"]
    assert said.startswith("__Host-lifeline=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict"} <= set(said.split("; "))
    secret = said.split(";")[0].split("=", 1)[1]
    for name, status in (("__Host-lifeline", 200), ("lifeline", 401)):
        cookie = {"Cookie": f"{name}={secret}"}
        assert asked(app, "10.0.0.1", f"{OWN}/api/me", headers=cookie).status_code == status


def test_behind_a_proxy_failures_are_counted_by_the_address_it_tells(tmp_path):
    add(tmp_path, "li")
    app = create_app(desk_of(tmp_path, proxy=PROXY, host="192.0.2.1"))

    def tried(address: str, password: str) -> int:
        headers = SHOWN | {"Origin": PROXY.origin, "X-Forwarded-For": f"203.0.113.9, {address}"}
        body = {"login": "li", "password": password}
        url = f"{PROXY.origin}/login"
        return asked(app, "10.0.0.1", url, "POST", json=body, headers=headers).status_code

    assert [tried("198.51.100.1", "wrong") for _ in range(5)] == [401] * 5
    assert tried("198.51.100.1", PASSWORD) == 429
    assert tried("198.51.100.2", PASSWORD) == 200


def test_a_far_program_is_answered_with_a_token_that_holds_and_with_none_other(tmp_path):
    add(tmp_path, "bot")
    desk = desk_of(tmp_path, proxy=PROXY, host="192.0.2.1")
    how = {"label": "x", "role": Role.VIEWER, "for_ns": DAY_NS, "actor": "local:x"}
    secret, _ = Tokens(desk.ledger).add("bot", **how)
    app = create_app(desk)
    for token, status in ((secret, 200), (secret[:-1], 401), ("llt_", 401)):
        headers = {"Authorization": f"Bearer {token}"}
        assert asked(app, "10.0.0.1", "http://serve:8480/api/me", headers=headers).status_code == (
            status
        )


def test_the_page_listens_on_loopback_only():
    with pytest.raises(ValueError, match="loopback"):
        ServeSettings(host="192.0.2.1")
