from __future__ import annotations

from collections import Counter

import pytest
from city_fixture import demo_registry

from rules.registry_file import load_registry
from simulators.city import city_map, generate, write_registry
from simulators.city.layout import draw, lonlat, metres


def test_the_same_seed_builds_the_same_city_and_another_seed_another():
    assert generate("demo", 7) == generate("demo", 7)
    assert generate("demo", 7) != generate("demo", 8)
    assert city_map("demo", 7) == city_map("demo", 7)
    assert city_map("demo", 7) != city_map("demo", 8)


def test_the_demo_city_has_every_lifeline_on_gateways_and_modules():
    registry = demo_registry()
    assert registry.simulation
    assert len(registry.channels.id) >= 300
    kinds = Counter(registry.devices.kind)
    assert kinds["gateway"] - 1 >= 6  # one of them is the heartbeat's
    assert kinds["module"] >= 40
    by_codec = Counter(
        codec
        for codec, transport in zip(registry.devices.codec, registry.devices.transport, strict=True)
        if transport == "mqtt"
    )
    assert by_codec["json"] == by_codec["senml"] == 1
    domains = {"gas", "bridge", "tunnel", "water", "drain", "heat", "gallery"}
    assert domains <= set(registry.assets.domain)
    assert registry.channels.quantity.count("heartbeat") == 1
    assert all(registry.assets.name)
    assert all(any("\u4e00" <= c <= "\u9fff" for c in name) for name in registry.assets.name_zh)


def test_another_seed_is_a_valid_registry_too(tmp_path):
    write_registry(tmp_path, "demo", 12345)
    assert len(load_registry(tmp_path).channels.id) == len(demo_registry().channels.id)


def test_the_map_draws_streets_river_and_mains_around_the_assets():
    drawn = city_map()
    kinds = Counter(f["properties"]["kind"] for f in drawn["features"])
    wanted = {"street", "ring", "river", "railway", "gas_main", "water_main", "drain_main"}
    assert wanted | {"heat_main", "gallery", "tunnel"} <= set(kinds)
    assert kinds["street"] > 16
    registry = demo_registry()
    lons = [p[0] for f in drawn["features"] for p in f["geometry"]["coordinates"]]
    lats = [p[1] for f in drawn["features"] for p in f["geometry"]["coordinates"]]
    assert min(lons) <= registry.assets.lon.min() <= registry.assets.lon.max() <= max(lons)
    assert min(lats) <= registry.assets.lat.min() <= registry.assets.lat.max() <= max(lats)


def test_bridges_stand_over_the_river_and_gas_manholes_on_their_main():
    registry = demo_registry()
    layout = draw(20260301)
    for row, kind in enumerate(registry.assets.asset_type):
        x, y = metres(registry.assets.lon[row], registry.assets.lat[row])
        if kind == "span":
            assert abs(y - layout.river_y(x)) < 30
        if kind == "manhole" and registry.assets.domain[row] == "gas":
            assert min(abs(y - 6 - street) for street in layout.rows_m) < 1


def test_places_turn_into_degrees_and_back():
    assert metres(*lonlat((1234.0, -567.0))) == pytest.approx((1234.0, -567.0), abs=0.2)


def test_an_unknown_profile_is_refused_by_name():
    with pytest.raises(ValueError, match="there is demo, bozhou, hefei"):
        generate("atlantis")
