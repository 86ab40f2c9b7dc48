"""The API's own document tells every route, and whatever comes in is answered in words."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.bulletins.cap_in import read_cap
from lifeline.console.access import OPEN, ROUTES
from lifeline.console.app import create_app
from rules.incidents.grouping import incident_id
from tests.lifeline.desk_kit import desk_of
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, SmallCity, serving, until

PAGES = {
    "/",
    "/static",
    "/vendor/{name}",
    "/login/{name}",
    "/code/{code:path}",
    "/field",
    "/field/{code:path}",
    "/field-worker.js",
    "/api/openapi.json",
}
"""Files of the page: no API."""
XML = "/api/hooks/warnings"
"""The one body that is no JSON."""


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    app = create_app(desk_of(tmp_path_factory.mktemp("api"), work_orders=b"k"))
    return app.openapi()


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    city = SmallCity(tmp_path_factory.mktemp("asked") / "data")
    add(city.data, "all", "admin")
    with serving(city.data, ready="/login", work_orders=b"k" * 32) as client:
        log_in(client, "all")
        city.send(GAS, 1.6)
        found = until(lambda: client.get("/api/alarms").json()["alarms"])
        client.alarm_id = found[0]["id"]
        yield client
    city.close()


def operations(document):
    for path, held in document["paths"].items():
        for method, operation in held.items():
            yield method.upper(), path, operation


def placed(path, http):
    """A route's path, of the alarm there is and its incident."""
    incident = incident_id(http.alarm_id)
    path = path.replace("{asset_id}", GAS.split("/")[0])
    return path.replace("{alarm_id}", http.alarm_id).replace("{incident_id}", incident)


def body_schema(document, operation):
    """The schema of a body, with what it refers to beside it."""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema | {"components": document["components"]}


def test_every_route_of_the_api_is_in_it_with_the_role_it_needs(document):
    assert document["openapi"].startswith("3.1")
    told = {(method, path): operation for method, path, operation in operations(document)}
    wanted = {key for key in ROUTES if key[1] not in PAGES and key != ("GET", "/login")}
    assert set(told) == wanted
    for key, operation in told.items():
        needs = ROUTES[key]
        assert operation["summary"]
        assert (operation["security"] == []) == (needs is OPEN), key
        if needs is not OPEN:
            assert operation["x-role"] == needs.role.word
        error = operation["responses"]["401"]["content"]["application/json"]["schema"]
        assert error == {"$ref": "#/components/schemas/ErrorAnswer"}


def test_every_reference_in_it_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            yield from ([node["$ref"]] if "$ref" in node else [])
            for below in node.values():
                yield from references(below)
        elif isinstance(node, list):
            for below in node:
                yield from references(below)

    found = set(references(document))
    assert found
    for reference in found:
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_body_has_an_example_that_is_one_and_that_the_route_takes(document, http):
    bodies = [(p, o) for m, p, o in operations(document) if "requestBody" in o]
    assert len(bodies) == sum(method == "POST" for method, _ in ROUTES)
    for path, operation in bodies:
        if path == XML:  # its example is read by its own reader
            told = operation["requestBody"]["content"]["application/cap+xml"]["schema"]
            assert read_cap(told["examples"][0].encode()).severity == 3
            continue
        schema = body_schema(document, operation)
        assert schema["examples"], path
        for example in schema["examples"]:
            jsonschema.Draft202012Validator(schema).validate(example)
            if path in ("/logout", "/api/hooks/work-orders"):
                continue  # it would end this test's session; it asks for a signature
            answer = http.post(placed(path, http), json=example)
            assert answer.status_code != 422, (path, answer.text)


def test_the_document_is_answered_to_who_is_logged_in(http):
    assert http.get("/api/openapi.json").json()["openapi"].startswith("3.1")
    with httpx.Client(base_url=http.base_url) as stranger:
        assert stranger.get("/api/openapi.json").status_code == 401


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
POSTS = [p for m, p in ROUTES if m == "POST" and p not in ("/logout", XML)]
QUERIES = {
    "/api/alarms": ("ended", "min_severity", "rule", "subject", "word", "limit"),
    "/api/incidents": ("over", "limit"),
    "/api/channels": ("q", "limit"),
    "/api/trend": ("channel", "from", "to", "points"),
    "/api/people/log": ("limit",),
    "/api/kpis": ("from", "to"),
    "/api/shift-report": ("shift", "lang"),
    "/api/proof-tests": ("due", "limit"),
}
SOME = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def in_words(answer: httpx.Response, where: object) -> None:
    assert answer.status_code < 500, (where, answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.json()["error"]["message"], where
        assert "Traceback" not in answer.text
    assert len(answer.content) < 200_000


@pytest.mark.parametrize("path", POSTS)
def test_whatever_is_posted_is_answered_in_words_and_never_breaks(document, http, path):
    schema = body_schema(document, document["paths"][path]["post"])
    example = schema["examples"][0]
    fields = st.sampled_from([*schema["properties"], "more"])
    spoilt = st.builds(lambda name, value: example | {name: value}, fields, ANYTHING)
    lacking = st.builds(lambda name: {k: v for k, v in example.items() if k != name}, fields)

    @SOME
    @given(body=st.one_of(spoilt, lacking, ANYTHING))
    def post(body):
        raw = json.dumps(body).encode("utf-8", "surrogatepass")
        kind = {"Content-Type": "application/json"}
        where = placed(path, http)
        in_words(http.post(where, content=raw, headers=kind), (path, body))

    @SOME
    @given(raw=st.binary(max_size=60))
    def bytes_of_any_kind(raw):
        kind = {"Content-Type": "application/json"}
        in_words(http.post(path, content=raw, headers=kind), (path, raw))

    post()
    bytes_of_any_kind()


@pytest.mark.parametrize("path", QUERIES)
def test_whatever_is_asked_is_answered_in_words(http, path):
    value = st.text(max_size=40) | st.integers().map(str) | st.sampled_from([GAS, "true", "nan"])
    queries = st.dictionaries(st.sampled_from([*QUERIES[path], "more"]), value, max_size=5)

    @SOME
    @given(query=queries)
    def ask(query):
        told = "&".join(
            f"{k}={quote(v.encode('utf-8', 'surrogatepass'))}" for k, v in query.items()
        )
        in_words(http.get(f"{path}?{told}"), (path, query))

    ask()


@SOME
@given(name=st.text(min_size=1, max_size=30))
def test_whatever_alarm_is_asked_for_is_answered_in_words(http, name):
    place = quote(name.encode("utf-8", "surrogatepass"), safe="")
    kinds = [f"{many}/{place}" for many in ("alarms", "incidents")]
    held = [f"/api/{kind}{more}" for kind in kinds for more in ("", "/cap")]
    for path in (*held, f"/vendor/{place}"):
        answer = http.get(path, follow_redirects=False)
        assert answer.status_code < 500, (path, answer.text)
