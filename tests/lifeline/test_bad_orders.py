"""Every order of the API refuses, in words, what is no such order: of all routes that there are."""

from __future__ import annotations

import httpx
import pytest

from lifeline.console.access import CSRF, OPEN, ROUTES
from lifeline.console.app import create_app
from lifeline.ledger import Ledger
from lifeline.notify.cap import CONTENT_TYPE
from tests.lifeline.desk_kit import desk_of
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, SmallCity, serving, until

POSTS = sorted(path for method, path in ROUTES if method == "POST")
JSON = {"Content-Type": "application/json"}
FILLED = {"alarm_id": "0" * 12, "incident_id": "0" * 12, "asset_id": GAS.split("/")[0]}
SIGNED = {path for path in POSTS if path.startswith("/api/hooks/")}
"""What machines post, signed: they have no session."""
ORDERS = [path for path in POSTS if path not in SIGNED]
ENDED_BEFORE = {"/api/reload"}
"""It asks first whether there is a folder to reload, which a city in a test has not."""


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return create_app(desk_of(tmp_path_factory.mktemp("api"), work_orders=b"k")).openapi()


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    city = SmallCity(tmp_path_factory.mktemp("bad") / "data")
    add(city.data, "all", "admin")
    keys = {"work_orders": b"k" * 32, "warnings_key": b"w" * 32}
    with serving(city.data, ready="/login", **keys) as client:
        log_in(client, "all")
        city.send(GAS, 1.6)
        until(lambda: client.get("/api/alarms").json()["alarms"])
        client.data = city.data
        yield client
    city.close()


def kind(path: str) -> dict[str, str]:
    return {"Content-Type": CONTENT_TYPE} if path == "/api/hooks/warnings" else JSON


def at(path: str) -> str:
    return path.format(**FILLED)


def example(document, path: str) -> dict:
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema["examples"][0]


def refused(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    error = answer.json()["error"]
    assert error["message"]
    assert "remedy" in error
    assert len(answer.content) < 10_000, "little of what came in is repeated"


@pytest.fixture
def unchanged(http):
    """Nothing is written by what is refused."""

    def counted() -> dict[str, int]:
        ledger = Ledger(f"sqlite:///{http.data / 'ledger.sqlite'}")
        held = ledger.counts()
        ledger.close()
        return held

    before = counted()
    yield
    assert counted() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", POSTS)
def test_another_method_is_none_of_it(http, path):
    for method in ("PUT", "PATCH", "DELETE"):
        answer = http.request(method, at(path), content=b"{}", headers=kind(path))
        assert answer.status_code in (404, 405), (method, answer.status_code)
        assert answer.json()["error"]["message"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", [path for path in ORDERS if ROUTES["POST", path] is not OPEN])
def test_a_session_without_its_token_or_from_elsewhere_orders_nothing(http, path):
    cookies = dict(http.cookies)
    with httpx.Client(base_url=http.base_url, cookies=cookies) as bare:
        own = {"Origin": http.headers["Origin"]}
        refused(bare.post(at(path), json={}, headers=own), 403)
        refused(bare.post(at(path), json={}, headers=own | {CSRF: "0" * 64}), 403)
        right = {CSRF: http.headers[CSRF]}
        refused(bare.post(at(path), json={}, headers=right), 403)
        refused(bare.post(at(path), json={}, headers=right | {"Origin": "https://x.example"}), 403)
    with httpx.Client(base_url=http.base_url) as stranger:
        refused(stranger.post(at(path), json={}, headers=own), 401)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", POSTS)
def test_a_huge_body_is_not_read(http, path):
    refused(http.post(at(path), content=b" " * (64 << 20), headers=kind(path)), 413)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ORDERS)
def test_what_is_no_json_is_no_order(http, path):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        refused(http.post(at(path), content=b"by=li", headers={"Content-Type": kind}), 415)
    for raw in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 5_000):
        answer = http.post(at(path), content=raw, headers=JSON)
        refused(answer, 400, 404, 422)
        assert answer.json()["error"].get("field") or answer.status_code == 404


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", [path for path in ORDERS if path not in ENDED_BEFORE])
def test_a_text_that_is_too_long_and_a_number_out_of_reach_are_named(document, http, path):
    body = example(document, path)
    for name, value in body.items():
        if isinstance(value, bool):
            wrong: list[object] = ["yes", 2, None, []]
        elif isinstance(value, str):
            wrong = (
                ["x" * 5_000, 7, ["x"], {"x": 1}] if name != "image" else [7, None, "no base64!"]
            )
        else:
            wrong = ["many", -(10**30), [], {}]
        for each in wrong:
            answer = http.post(at(path), json=body | {name: each})
            refused(answer, 422)
            assert answer.json()["error"]["field"].partition(".")[0] == name, answer.text


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", sorted(SIGNED))
def test_what_is_not_signed_is_not_taken(http, path):
    with httpx.Client(base_url=http.base_url) as machine:
        for headers in ({}, {"Lifeline-Signature": "v1=00", "Lifeline-Timestamp": "1"}):
            answer = machine.post(path, content=b"{}", headers=JSON | headers)
            refused(answer, 401, 403, 415, 422)
