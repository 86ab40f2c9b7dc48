"""Computed channels, in a bucket of their own, are on the dashboards like any other."""

import json
import re
import urllib.request

import pytest

from lifeline.grafana.build import files, site_city
from lifeline.packs import copy_packs
from tests import servers, store_server
from tests.lifeline.test_grafana_boards import drawn

pytestmark = pytest.mark.real
REGISTRY = """
version: 1
devices:
- {id: 410100-bridge-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-bridge-sp-000001, every: 60s}
assets:
- id: 410100-bridge-sp-000001
  type: span
  sensors:
  - id: acc
    device: 410100-bridge-gw-000001
    channels:
    - {id: z, quantity: accel, port: 1}
    - {id: t, quantity: temperature, port: 2}
    - {id: f1, quantity: frequency,
       derived: {from: z, feature: peak_frequency, every: 10m, band: [1, 3.5]}}
"""
F1, T = (f"410100-bridge-sp-000001/acc/{name}" for name in ("f1", "t"))


def asked(board, title):
    (panel,) = [p for p in drawn(board) if p["title"].startswith(title)]
    for target in panel["targets"]:
        text = target["query"].replace("$timeFilter", "time > 0 and time < 100s")
        text = text.replace("$__interval", "60s").replace("$channel", F1.replace("/", "\\/"))
        yield re.sub(r"\$(\w+)", ".*", text)


def test_the_value_of_a_computed_channel_is_found_in_its_bucket_without_fault_codes(tmp_path):
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "city.yaml").write_text(REGISTRY, encoding="utf-8")
    copy_packs(tmp_path / "rules")
    (tmp_path / "city.toml").write_text('[influx]\nbucket = "zz"\n', encoding="utf-8")
    texts = dict(files(site_city(tmp_path)))
    board = json.loads(texts["lifeline-channel.json"])
    with servers.influxd() as influxd:
        for name, line in (
            ("zz", f"climate,channel={T},domain=bridge,quantity=temperature value=20 50000000000"),
            ("zz_features", f"other,channel={F1},domain=bridge,quantity=frequency value=2.1 1"),
            ("zz_features", f"other,channel={F1},domain=bridge,faulty=1 value=65535 2"),
            ("zz", f"limits,channel={F1},domain=bridge blue=3 1"),
        ):
            store_server.query(influxd, f"CREATE DATABASE {name}")
            body = urllib.request.Request(f"{influxd.url}/write?db={name}", line.encode())  # noqa: S310
            urllib.request.urlopen(body, timeout=10).close()  # noqa: S310
        found = [
            series["values"]
            for text in asked(board, "Value and limits")
            for series in store_server.query(influxd, text, db="zz")
            if series["name"] == "other"
        ]
        assert [values[0][1] for values in found] == [2.1]
        names = store_server.query(
            influxd,
            'SHOW TAG VALUES FROM "climate", "limits" WITH KEY = "channel"',
            db="zz",
        )
    (variable,) = [v for v in board["templating"]["list"] if v["name"] == "channel"]
    assert '"limits"' in variable["query"]
    assert {value for series in names for _, value in series["values"]} == {T, F1}


def test_a_city_without_computed_channels_asks_one_bucket():
    assert all("_features" not in text for _, text in files(site_city(None)))
