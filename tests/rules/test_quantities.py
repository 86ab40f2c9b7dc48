"""Units are exact, and never taken for one another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ucumvert import PintUcumRegistry

from rules.quantities import (
    QUANTITIES,
    UnknownQuantity,
    UnknownUnit,
    canonical,
    factor,
    per_time,
)
from rules.units import known_codes, parse


def test_every_canonical_unit_is_itself():
    for name, quantity in QUANTITIES.items():
        assert factor(name, quantity.unit) == (1.0, 0.0)
        assert quantity.label
        assert quantity.label_zh


@pytest.mark.parametrize(
    ("quantity", "unit", "scale", "offset"),
    [
        ("ch4", "%{LEL}", 0.05, 0.0),
        ("ch4", "%LEL", 0.05, 0.0),
        ("ch4", "[ppm]", 0.0001, 0.0),
        ("pressure", "MPa", 1000.0, 0.0),
        ("pressure", "m[H2O]", 9.80665, 0.0),
        ("flow", "L/s", 3.6, 0.0),
        ("temperature", "K", 1.0, -273.15),
        ("temperature", "[degF]", 5 / 9, -160 / 9),
        ("level", "mm", 0.001, 0.0),
        ("strain", "10*-6", 1.0, 0.0),
        ("humidity", "%", 1.0, 0.0),
        ("visibility", "/km", 0.001, 0.0),
        ("accel", "m[g]", 0.00980665, 0.0),
        ("accel", "m.s-2", 1.0, 0.0),
        ("turbidity", "NTU", 1.0, 0.0),
        ("wind", "km/h", 1 / 3.6, 0.0),
        ("chlorine", "ug/L", 0.001, 0.0),
    ],
)
def test_a_unit_converts_to_the_nearest_float(quantity, unit, scale, offset):
    assert factor(quantity, unit) == (scale, offset)


def test_a_gas_in_ppm_becomes_mg_per_m3_by_its_molar_mass_at_20_degrees():
    assert factor("co", "[ppm]")[0] == pytest.approx(1.165, abs=1e-3)
    assert factor("h2s", "[ppm]")[0] == pytest.approx(1.417, abs=1e-3)


def test_percent_lel_follows_the_sensors_own_basis():
    assert factor("ch4", "%{LEL}", lel_basis=4.4) == (0.044, 0.0)
    assert canonical("ch4", "%LEL", 3) == 0.15  # 3 * 0.05 in floats is 0.15000000000000002


def test_percentages_of_different_wholes_are_refused():
    for quantity, unit in [("o2", "%LEL"), ("humidity", "%vol"), ("ch4", "%RH"), ("ch4", "%")]:
        with pytest.raises(UnknownUnit):
            factor(quantity, unit)


@pytest.mark.parametrize(
    ("quantity", "unit", "said"),
    [
        ("level", "kPa", "kept in m"),
        ("pressure", "kpa", '"kPa"'),
        ("turbidity", "1", "{NTU}"),
        ("ch4", "%", "ambiguous"),
        ("state", "", "not a unit"),
        ("pressure", "kPa/", "ends too early"),
        ("pressure", "k(Pa", "k(Pa"),
        ("pressure", "Pa99", "exponent"),
    ],
)
def test_an_unknown_unit_says_what_would_do(quantity, unit, said):
    with pytest.raises(UnknownUnit) as caught:
        factor(quantity, unit)
    assert said in str(caught.value)


def test_an_unknown_quantity_names_the_near_ones():
    with pytest.raises(UnknownQuantity, match="pressure"):
        factor("presure", "kPa")


def test_a_difference_has_no_offset():
    assert canonical("temperature", "K", 3, difference=True) == 3.0
    assert canonical("temperature", "Cel", 45) == 45.0


def test_a_rate_is_a_unit_over_a_time():
    assert per_time("pressure", "MPa/min") == (1000, 60_000_000_000)
    assert per_time("temperature", "Cel/h")[1] == 3_600_000_000_000
    assert per_time("accel", "m/s2/min") == (1, 60_000_000_000)
    with pytest.raises(UnknownUnit, match="kPa/min"):
        per_time("pressure", "kPa")


def test_the_table_agrees_with_pint_where_both_know_a_unit():
    pint = PintUcumRegistry()
    compared = 0
    for code in (*known_codes(), "L/s", "mg/m3", "kPa/min", "uS/cm", "kN", "m3/h", "mm/h", "kW.h"):
        if code.startswith("dB") or code in ("Cel", "[degF]", "[pH]", "{NTU}", "S", "10*", "10^"):
            continue  # levels and offsets are no factors; pint names 10* its own way
        theirs = pint.from_ucum(code).to_base_units()
        assert float(parse(code).scale) == pytest.approx(float(theirs.magnitude), rel=1e-5), code
        compared += 1
    assert compared > 50


@settings(max_examples=300)
@given(st.text(alphabet="mkgshPaCel%{}[]()./-123µ vol", max_size=20))
def test_no_text_raises_anything_but_unknown_unit(text):
    try:
        factor("pressure", text)
    except UnknownUnit:
        pass
    else:
        assert parse(text).dimension == parse("kPa").dimension
