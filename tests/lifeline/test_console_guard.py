"""Who is answered: told by the connection's own address and by a token."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from lifeline.console.guard import Guard, Proxy, local_hosts
from lifeline.serve import ServeSettings
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


def test_the_page_listens_on_loopback_only():
    with pytest.raises(ValueError, match="loopback"):
        ServeSettings(host="192.0.2.1")
