"""What is exported comes back without a difference; GCJ-02 agrees with published points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeline.registry_import.coordinates import gcj02_to_wgs84, wgs84_to_gcj02
from lifeline.registry_import.exporting import export
from lifeline.registry_import.importing import Asked, apply_outcome, check_table, read_table
from lifeline.registry_import.present import read_present
from rules.registry_file import load_registry, registry_bytes

POINTS = {  # of the tests of googollee/eviltransform: WGS 84 lat, lon → GCJ-02 lat, lon
    "Shanghai": (31.1774276, 121.5272106, 31.17530398364597, 121.531541859215),
    "Shenzhen": (22.543847, 113.912316, 22.540796131694766, 113.9171764808363),
    "Beijing": (39.911954, 116.377817, 39.91334545536069, 116.38404722455657),
}
BY_HAND = """
version: 1
simulation: true
sites: [{id: 410100-st-000001, name: Zhongyuan, name_zh: 中原区}]
devices:
- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000001, every: 60s, state: installed}
- {id: 410100-gas-gw-000002, kind: gateway, transport: mqtt, codec: json,
   asset: 410100-gas-gw-000001, every: 90s}
assets:
- {id: 410100-gas-gw-000001, type: gateway, site: 410100-st-000001, at: [113.6200004, 34.75]}
- id: 410100-gas-mh-000123
  type: manhole
  site: 410100-st-000001
  name: "=no formula"
  name_zh: 中原路123号井
  at: [113.621234567, 34.75]
  exposed_people: 120
  attributes: {depth: 4.2, neighbours: [a, b]}
  tags: {near_sewer: true}
  sensors:
  - id: ch4-01
    device: 410100-gas-gw-000001
    lel_basis: 4.4
    tags: {wide: false}
    channels:
    - {id: lel, quantity: ch4, unit: "%{LEL}", port: 1, key: ch4, range: [0, 100],
       resolution: 0.5, every: 1m30s, fault_codes: [-999, 65535.5], tags: {own: x}}
    - {id: acc, quantity: accel, calibrated_on: 2026-01-31, class: info, state: planned}
    - {id: rms, quantity: accel, derived: {from: acc, feature: rms, every: 60s}}
"""


@pytest.mark.parametrize("name", POINTS)
def test_gcj02_agrees_with_published_points_and_comes_back(name):
    lat, lon, gcj_lat, gcj_lon = (np.array([x]) for x in POINTS[name])
    x, y = wgs84_to_gcj02(lon, lat)
    assert abs(x - gcj_lon) < 1e-12
    assert abs(y - gcj_lat) < 1e-12
    x, y = gcj02_to_wgs84(x, y)
    assert abs(x - lon) < 1e-9
    assert abs(y - lat) < 1e-9


@given(st.floats(74, 135), st.floats(4, 53))
def test_gcj02_comes_back_anywhere_in_china(lon, lat):
    x, y = gcj02_to_wgs84(*wgs84_to_gcj02(np.array([lon]), np.array([lat])))
    assert abs(x[0] - lon) < 1e-8
    assert abs(y[0] - lat) < 1e-8


def test_outside_china_nothing_is_shifted():
    x, y = wgs84_to_gcj02(np.array([-0.1276]), np.array([51.5072]))
    assert (x[0], y[0]) == (-0.1276, 51.5072)


@pytest.mark.parametrize("crs", ["wgs84", "gcj02"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".geojson"])
def test_an_export_imports_without_a_difference_and_makes_the_same_city(tmp_path, suffix, crs):
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "city.yaml").write_text(BY_HAND.replace('"=no formula"', "Manhole 123"))
    path = tmp_path / f"out{suffix}"
    assert export(read_present(folder), path, crs=crs) == 5
    outcome = check_table(read_table(path), folder, Asked(crs=crs))
    assert [str(p) for p in outcome.findings.problems] == []
    assert not outcome.changes.any, outcome.changes
    if crs == "gcj02":
        shown = read_table(path)
        lon = shown.columns[shown.headers.index("longitude")]
        assert min(abs(float(v) - 113.62) for v in lon if v is not None) > 0.004
        return
    fresh = tmp_path / "fresh"
    outcome = check_table(read_table(path), fresh, Asked())
    apply_outcome(outcome, fresh)
    made, first = load_registry(fresh), load_registry(folder)
    assert made.channels.id == first.channels.id
    for name in ("tags", "lel_basis", "range_hi", "fault_codes", "derived", "state", "key"):
        assert str(getattr(made.channels, name)) == str(getattr(first.channels, name)), name
    assert made.assets.attributes == first.assets.attributes
    assert made.devices.state == first.devices.state
    assert made.sites == first.sites


def test_a_name_that_looks_like_a_formula_is_written_as_text(tmp_path):
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "city.yaml").write_text(BY_HAND)
    export(read_present(folder), tmp_path / "o.xlsx")
    shown = read_table(tmp_path / "o.xlsx")
    assert "=no formula" in shown.columns[shown.headers.index("name")]
    assert registry_bytes(load_registry(folder))
