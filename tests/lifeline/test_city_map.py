"""The map's geometry: by sight, kept, compressed, asked for again by its ETag; its networks."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.console.city_map import Tiles, networks
from lifeline.console.search import Finder
from lifeline.console.sight import Sight
from lifeline.people.roles import ANYBODY, Scope
from lifeline.settings.map_entry import MapEntry
from tests.lifeline.people_kit import add, log_in
from tests.lifeline.small_city import GAS, OTHER_GAS, SmallCity, serving

ONE, OTHER = GAS.split("/")[0], OTHER_GAS.split("/")[0]
DRAIN = "410100-drain-up-000201"
WATCHDOG = "410100-env-wd-000001"


def registry_of(attributes: list[dict], zones: list[str] | None = None, domain: str = "gas"):
    """What networks needs of a registry: assets n0, n1, … with these attributes."""
    ids = tuple(f"n{i}" for i in range(len(attributes)))
    assets = SimpleNamespace(
        id=ids,
        domain=(domain,) * len(ids),
        asset_type=("manhole",) * len(ids),
        zone=tuple(zones or [""] * len(ids)),
        attributes=tuple(attributes),
    )
    return SimpleNamespace(assets=assets, asset_row={name: i for i, name in enumerate(ids)})


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_every_pipe_is_drawn_once_however_the_network_runs(pairs):
    edges = {frozenset(p) for p in pairs if p[0] != p[1]}
    attributes = [{"pipe": [f"n{b}" for a, b in pairs if a == i]} for i in range(10)]
    chains = networks(registry_of(attributes), range(10)).get(("pipe", "gas"), [])
    drawn = [frozenset(step) for chain in chains for step in itertools.pairwise(chain)]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == edges


def test_a_duct_is_one_line_and_a_pipe_to_what_is_not_seen_is_not_drawn():
    duct = [{"neighbours": [f"n{i + d}" for d in (-1, 1) if 0 <= i + d < 5]} for i in range(5)]
    assert networks(registry_of(duct), range(5)) == {("neighbours", "gas"): [[0, 1, 2, 3, 4]]}
    assert networks(registry_of(duct), [0, 1, 3, 4]) == {("neighbours", "gas"): [[0, 1], [3, 4]]}


def test_sections_of_one_zone_are_joined_in_their_order():
    sections = [{"order": 2.0}, {"order": 0.0}, {"order": 1.0}, {"order": 0.0}]
    registry = registry_of(sections, ["z1", "z1", "z1", "z2"], "tunnel")
    assert networks(registry, range(4)) == {("sections", "tunnel"): [[1, 2, 0]]}


@pytest.fixture
def city(tmp_path):
    attributes = {ONE: {"owner": "north", "gas_pipe": f"[{OTHER}]"}, OTHER: {"owner": "south"}}
    held = SmallCity(tmp_path / "data", attributes=attributes)
    yield held
    held.close()


def test_the_map_is_sent_once_compressed_and_again_only_when_it_has_changed(city):
    with serving(city.data) as http:
        first = http.get("/api/map/columns", headers={"Accept-Encoding": "gzip"})
        assert first.headers["content-encoding"] == "gzip"
        assert "no-cache" in first.headers["cache-control"]
        told = first.json()
        assert told["assets"]["id"] == [ONE, OTHER, DRAIN, WATCHDOG]
        assert told["assets"]["x"][0] == 113_620_000
        assert [told["domains"][d] for d in told["assets"]["domain"]] == [
            "gas",
            "gas",
            "drain",
            "env",
        ]
        assert told["lines"] == [{"network": "gas_pipe", "domain": "gas", "chains": [[0, 1]]}]
        plain = http.get("/api/map/columns", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.json() == told
        known = {"If-None-Match": first.headers["etag"]}
        again = http.get("/api/map/columns", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert http.get("/api/map", headers=known).status_code == 200, "another form"
        street = {"type": "LineString", "coordinates": [[113.6, 34.7], [113.7, 34.8]]}
        feature = {"type": "Feature", "geometry": street, "properties": {"kind": "street"}}
        whole = {"type": "FeatureCollection", "features": [feature]}
        (city.data / "map.geojson").write_text(json.dumps(whole))
        fresh = http.get("/api/map/columns", headers=known)
        assert fresh.status_code == 200
        assert fresh.json()["streets"] == [feature]


def test_a_firm_gets_its_own_assets_and_no_pipe_that_leaves_them(city):
    for owner in ("north", "south"):
        add(city.data, owner, scope=Scope(owners=frozenset({owner})))
    add(city.data, "all")
    etags = set()
    with serving(city.data, ready="/login") as http:
        for login, seen in (("north", [ONE]), ("south", [OTHER])):
            log_in(http, login)
            answer = http.get("/api/map/columns")
            etags.add(answer.headers["etag"])
            assert answer.json()["assets"]["id"] == seen
            assert answer.json()["lines"] == []
            assert [x["id"] for x in http.get("/api/find?q=Rd").json()["assets"]] == seen
        log_in(http, "all")
        answer = http.get("/api/map/columns", headers={"If-None-Match": ", ".join(etags)})
        assert answer.status_code == 200, "another's map is not this one's"
        assert len(answer.json()["assets"]["id"]) == 4


def test_a_tile_server_is_allowed_by_its_origin_and_nothing_else_is(city):
    entry = MapEntry(tiles="https://tiles.example:8443/zh/{z}/{x}/{y}.png", attribution="© us")
    tiles = Tiles(url=entry.tiles, attribution=entry.attribution, max_zoom=entry.max_zoom)
    with serving(city.data, tiles=tiles) as http:
        policy = http.get("/").headers["content-security-policy"]
        assert "img-src 'self' data: https://tiles.example:8443;" in policy
        assert policy.count("https://") == 1
        assert http.get("/api/map/columns").json()["tiles"] == {
            "url": entry.tiles, "attribution": "© us", "max_zoom": 19,
        }  # fmt: skip
    with serving(city.data) as http:
        assert "img-src 'self' data:;" in http.get("/").headers["content-security-policy"]


@pytest.mark.parametrize(
    "url",
    [
        "https://tiles.example/{z}/{x}.png",
        "https://{s}.tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example/{z}/{x}/{y}.png; script-src *",
        "ftp://tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example",
        "https://tiles.example/{z}/{x}/{y}/{y}.png",
    ],
)
def test_an_address_of_tiles_that_would_not_do_is_refused(url):
    with pytest.raises(ValueError, match=r"tiles"):
        MapEntry(tiles=url)


def test_a_code_is_found_before_what_only_holds_it(city):
    site = SimpleNamespace(registry=city.registry)
    finder, sight = Finder(), Sight(ANYBODY, None)

    def found(text: str) -> list[str]:
        return [city.registry.assets.id[row] for row in finder.find(site, sight, text, most=9)]

    assert found(ONE) == [ONE]
    assert found(GAS) == [ONE], "a channel's code leads to its asset"
    assert found("410100-gas") == [ONE, OTHER]
    assert found("000124") == [OTHER]
    assert found("中原路") == [ONE]
    assert found("  tongbai  RD ") == [OTHER]
    assert found("no such thing") == found("") == []
    assert np.array_equal(found("410100"), [ONE, OTHER, DRAIN, WATCHDOG])
