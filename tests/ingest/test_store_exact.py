"""What is written to a real InfluxDB reads back bit for bit: every float64, every text."""

import itertools
import json
import struct
import urllib.parse
import urllib.request

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.store.lines import LineEncoder
from ingest.store.schema import escape_string, escape_tag
from rules.readings import Readings
from tests import servers, store_server, store_twin

RUNS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
bits = st.integers(0, 2**64 - 1)
edges = st.sampled_from([0, 1 << 63, 1, 0x7FEFFFFFFFFFFFFF, 0x0010000000000000, 0x3FF0000000000001])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def influxd():
    with servers.influxd() as running:
        store_server.query(running, "CREATE DATABASE b")
        yield running


@pytest.fixture(scope="module")
def names():
    """A new measurement or tag value for each example, so that none sees another's points."""
    return (f"x{n}" for n in itertools.count())


def _read(influxd, text):
    """Return the rows of the one series; whole numbers stay floats, so that -0 keeps its sign."""
    asked = urllib.parse.urlencode({"q": text, "db": "b", "epoch": "ns"}).encode()
    with urllib.request.urlopen(f"{influxd.url}/query", asked, timeout=20) as answer:  # noqa: S310
        result = json.loads(answer.read(), parse_int=float)["results"][0]
    (series,) = result["series"]
    return series


@RUNS
@given(patterns=st.lists(bits | edges, min_size=50, max_size=300))
def test_every_finite_float64_comes_back_bit_for_bit(influxd, names, patterns):
    values = np.array(patterns, np.uint64).view(np.float64)
    district = next(names)
    rows = Readings.of(
        {"channel": [0] * len(values), "judged_ns": np.arange(len(values)), "value": values}
    )
    encoder = LineEncoder(store_twin.registry(quantities=("ch4",), district=district))
    lines = encoder.encode(rows, np.zeros(len(values), np.uint8))
    finite = values[np.isfinite(values)]
    assert lines.count == len(finite)
    if not lines.count:
        return
    store_server.write(influxd, "b", lines.body)
    found = _read(influxd, f"SELECT value FROM gas WHERE district = '{district}'")  # noqa: S608 - a name of ours
    back = [struct.pack("<d", value) for _, value in found["values"]]
    assert back == [struct.pack("<d", value) for value in finite]


@RUNS
@given(text=texts)
def test_every_text_of_a_field_comes_back(influxd, names, text):
    measurement = next(names)
    line = f'{measurement} said="{escape_string(text)}" 1\n'
    store_server.write(influxd, "b", line.encode())
    query = f"SELECT said FROM {measurement}"  # noqa: S608 - a name of ours
    assert _read(influxd, query)["values"][0][1] == text


@RUNS
@example(text="\\")
@example(text="a\\\\")
@example(text="a\\ \\,")
@given(text=texts)
def test_every_text_of_a_tag_comes_back_but_for_what_line_protocol_cannot_say(influxd, names, text):
    """A line break and a tab are changed as influxdb-client does; a last backslash is a space."""
    measurement = next(names)
    line = f"{measurement},name={escape_tag(text)} v=1 1\n"
    store_server.write(influxd, "b", line.encode())
    query = f'SELECT v FROM {measurement} GROUP BY "name"'  # noqa: S608 - a name of ours
    found = _read(influxd, query)["tags"]["name"]
    told = text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    if text.endswith("\\"):
        told = told[:-1] + " "  # it would escape what follows
    assert found == told
