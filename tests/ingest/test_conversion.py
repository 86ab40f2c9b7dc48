"""A value that equals a limit in the device's unit equals it in the canonical one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.conversion import convert, factors
from rules.quantities import canonical

UNITS = [
    ("ch4", "%{LEL}"),
    ("h2s", "[ppm]"),
    ("co", "[ppm]"),
    ("temperature", "[degF]"),
    ("flow", "L/s"),
]


@pytest.mark.parametrize(("quantity", "unit"), UNITS)
def test_columns_convert_as_the_rule_language_converts_one_number(quantity, unit):
    raw = np.concatenate((np.arange(0, 500) / 10, np.arange(-50, 5000, 7) / 100))
    by = np.tile(np.array(factors(quantity, unit, lel_basis=5.0)), (len(raw), 1))
    wanted = [canonical(quantity, unit, r) for r in raw.tolist()]
    # a decimal is not the double that stands for it: only a tie-breaking last digit may differ
    assert convert(raw, by).tolist() == pytest.approx(wanted, rel=2.3e-16, abs=1e-14)
    whole = raw == np.rint(raw)
    assert convert(raw, by)[whole].tolist() == np.array(wanted)[whole].tolist()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=5), st.sampled_from(UNITS))
def test_any_double_converts_and_missing_stays_missing(values, what):
    raw = np.array(values)
    by = np.tile(np.array(factors(*what, lel_basis=5.0)), (len(raw), 1))
    got = convert(raw, by)
    with np.errstate(over="ignore", invalid="ignore"):
        plain = raw * by[0, 0] + by[0, 2]
    assert np.isnan(got).tolist() == np.isnan(raw).tolist()
    assert np.isinf(got).tolist() == np.isinf(plain).tolist()
