"""Rows grouped by key: the obvious way says the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.segments import segments_of

KEYS = 1 << 18


@given(
    st.lists(
        st.one_of(st.integers(-1, 5), st.sampled_from([65_535, 65_536, 65_537, KEYS - 1])),
        max_size=60,
    ),
    st.one_of(st.none(), st.sets(st.integers(0, 59))),
)
def test_rows_are_grouped_by_key_in_their_order(keys, chosen):
    key = np.array(keys, np.int32)
    rows = None
    if chosen is not None:
        rows = np.array(sorted(n for n in chosen if n < len(keys) and keys[n] >= 0), np.int64)
    asked = range(len(keys)) if rows is None else rows.tolist()
    groups = {}
    for row in asked:
        if keys[row] >= 0:
            groups.setdefault(keys[row], []).append(row)
    found = segments_of(key, rows, np.zeros(KEYS, np.int64))
    told = {
        k: found.order[a:b].tolist()
        for k, a, b in zip(found.key.tolist(), found.start, found.stop, strict=True)
    }
    assert told == groups
    assert found.single == all(len(each) == 1 for each in groups.values())
    if not found.single:
        assert found.key.tolist() == sorted(groups)
