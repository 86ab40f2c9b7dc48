"""Registry files become columns; what is wrong is said all at once, with its place."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.language import compile_plan, load_rules
from rules.problems import Invalid
from rules.registry_file import (
    load_registry,
    read_texts,
    registry_bytes,
    registry_from_bytes,
    registry_of,
)

GOOD = """
version: 1
simulation: true
sites: [{id: 410100-st-000001, name: Zhongyuan, name_zh: 中原区}]
devices:
- {id: 410100-gas-gw-000001, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000001, every: 60s}
assets:
- {id: 410100-gas-gw-000001, type: gateway}
- id: 410100-gas-mh-000123
  type: manhole
  site: 410100-st-000001
  name: Zhongyuan Rd manhole 123
  name_zh: 中原路123号井
  district: Zhongyuan
  zone: z-gas-03
  at: [113.62, 34.75]
  exposed_people: 120
  attributes: {depth: 4.2}
  tags: {near_sewer: true}
  sensors:
  - id: ch4-01
    device: 410100-gas-gw-000001
    lel_basis: 4.4
    channels:
    - {id: lel, quantity: ch4, unit: "%{LEL}", port: 1, key: ch4, range: [0, 100],
       resolution: 0.5, every: 1m30s, class: safety, fault_codes: [-999], tags: {wide: false}}
    - {id: temp, quantity: temperature, class: maintenance}
"""


def problems_of(text, **more):
    with pytest.raises(Invalid) as caught:
        registry_of({"city.yaml": text}, **more)
    return [str(p) for p in caught.value.problems]


def test_a_registry_file_becomes_columns_in_canonical_units():
    registry = registry_of({"city.yaml": GOOD})
    channels, row = registry.channels, registry.channel_row["410100-gas-mh-000123/ch4-01/lel"]
    assert registry.simulation
    assert channels.range_hi[row] == 4.4  # 100 %LEL of this sensor
    assert channels.resolution[row] == 0.022
    assert channels.interval_ns[row] == 90_000_000_000
    assert channels.fault_codes[row] == (-999.0,)
    assert channels.tags[row] == {"near_sewer": True, "wide": False}
    assert registry.assets.domain[channels.asset[row]] == "gas"
    assert registry.assets.attributes[channels.asset[row]]["depth"] == 4.2
    assert registry.sites.name_zh == ("中原区",)
    other = registry.channel_row["410100-gas-mh-000123/ch4-01/temp"]
    assert channels.unit[other] == "Cel"
    assert channels.interval_ns[other] == 60_000_000_000  # the device's
    assert channels.port[other] == -1
    assert channels.key[other] == "ch4-01/temp"
    assert np.isneginf(channels.range_lo[other])


def test_all_problems_come_at_once_with_line_column_and_remedy():
    text = """\
version: 1
devices:
- {id: 410100-gas-gw-000001, kind: gatway, transport: mqtt, codec: compact, aset: x, every: 60}
- {id: 410100-gas-gw-000002, kind: gateway, transport: mqtt, codec: compact,
   asset: 410100-gas-gw-000009, every: 60s}
assets:
- {id: 410100-gas-gw-000002, type: gateway, name: on, at: [34.75, 113.62]}
- {id: 410100-gsa-mh-000123, type: manhole}
- {id: 410100-gas-mh-000124, type: manhole, sensors: [{id: a/b, device: 410100-gas-gw-000002,
   channels: [{id: vol, quantity: ch5, every: 22:30}]}]}
- id: 410100-gas-mh-000125
  type: manhole
  sensors:
  - id: s
    device: 410100-gas-gw-000002
    channels:
    - {id: a, quantity: ch4, unit: kPa, port: 1}
    - {id: b, quantity: ch4, port: 1, key: s/a, range: [5, 0], every: 0s}
    - {id: a, quantity: ch4}
"""
    found = "\n".join(problems_of(text))
    for said in (
        'city.yaml:3:3: device "410100-gas-gw-000001": key "asset" is missing',
        "city.yaml:3:36: device \"410100-gas-gw-000001\": kind: must be 'gateway' or 'module'",
        'city.yaml:3:77: device "410100-gas-gw-000001": unknown key "aset" (did you mean "asset"?)',
        "every: 60 has no unit of time: write 60s or 60m",
        "unknown asset '410100-gas-gw-000009' (did you mean \"410100-gas-gw-000002\"",
        "YAML reads on as true or false",
        "is not [longitude, latitude]",
        "area-domain-type-serial",
        "'a/b' is no id",
        "unknown quantity 'ch5' (did you mean \"ch4\"?)",
        "YAML reads 22:30 as a number to base 60",
        "unit 'kPa' does not measure ch4",
        'port 1 of device 410100-gas-gw-000002 is taken by "410100-gas-mh-000125/s/a"',
        'key s/a of device 410100-gas-gw-000002 is taken by "410100-gas-mh-000125/s/a"',
        "range: [5.0, 0.0] must rise",
        "every: must be longer than 0s",
        "the id stands twice, first at city.yaml:17",
    ):
        assert said in found, f"{said}\n--\n{found}"


def test_files_are_merged_and_an_id_in_two_files_names_both(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("version: 1\nassets: [{id: 410100-gas-mh-000123, type: x}]\n")
    with pytest.raises(Invalid) as caught:
        load_registry(tmp_path)
    assert 'b.yaml:2:15: asset "410100-gas-mh-000123": the id stands twice' in str(caught.value)
    assert "a.yaml:10" in str(caught.value)
    (tmp_path / "b.yaml").write_text("version: 1\nassets: [{id: 410100-gas-mh-000124, type: x}]\n")
    assert len(load_registry(tmp_path).assets.id) == 3


def test_a_folder_without_yaml_and_a_file_that_is_not_utf8_are_told(tmp_path):
    with pytest.raises(Invalid, match=r"holds no \.yaml file"):
        load_registry(tmp_path)
    (tmp_path / "a.yaml").write_bytes(b"version: 1\n# \xff\n")
    with pytest.raises(Invalid, match=r"a\.yaml:2:3: byte 0xFF is not UTF-8"):
        load_registry(tmp_path)
    with pytest.raises(Invalid, match="no such file"):
        load_registry(tmp_path / "none")


def test_rows_keep_their_meaning_when_channels_come_and_go():
    first = registry_of({"city.yaml": GOOD})
    without = GOOD.replace("id: lel,", "id: vol,")
    second = registry_of({"city.yaml": without}, previous=first)
    gone = "410100-gas-mh-000123/ch4-01/lel"
    assert second.channel_row[gone] == first.channel_row[gone]
    assert not second.channels.alive[second.channel_row[gone]]
    assert second.channel_row["410100-gas-mh-000123/ch4-01/vol"] == 2
    third = registry_of({"city.yaml": GOOD}, previous=registry_from_bytes(registry_bytes(second)))
    assert third.channels.alive[third.channel_row[gone]]
    assert third.channels.alive.sum() == 2
    assert len(third.channels.id) == 3


def test_a_channel_cannot_change_its_quantity_under_its_id():
    first = registry_of({"city.yaml": GOOD})
    found = problems_of(GOOD.replace("quantity: temperature", "quantity: humidity"), previous=first)
    assert "was temperature and its old readings still are" in found[0]


def test_equal_registries_give_equal_bytes_and_come_back_whole():
    registry = registry_of({"city.yaml": GOOD})
    data = registry_bytes(registry)
    back = registry_from_bytes(data)
    assert registry_bytes(back) == data
    assert back.content_hash == registry.content_hash == registry_of({"x.yaml": GOOD}).content_hash
    assert back.channels.fault_codes == registry.channels.fault_codes
    assert registry_of({"city.yaml": GOOD.replace("4.2", "4.3")}).content_hash != back.content_hash


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"format": "x"}', b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_registry_are_refused(data):
    with pytest.raises(Invalid, match="not a stored registry"):
        registry_from_bytes(data)


def test_a_city_of_85_000_channels_loads_from_bytes_in_two_seconds():
    small = registry_of({"city.yaml": GOOD})
    n = 85_000
    columns = {}
    for name in small.channels.__slots__:
        column = getattr(small.channels, name)
        many = np.repeat(column, n // 2) if isinstance(column, np.ndarray) else column * (n // 2)
        columns[name] = many
    columns["id"] = tuple(f"410100-gas-mh-{i:06d}/ch4-01/lel" for i in range(n))
    big = type(small)(
        content_hash="",
        assets=small.assets,
        devices=small.devices,
        channels=type(small.channels)(**columns),
    )
    data = registry_bytes(big)
    began = time.perf_counter()
    back = registry_from_bytes(data)
    assert time.perf_counter() - began < 2.0
    assert back.channels.id == big.channels.id


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=60).map(lambda b: b.decode("latin-1")))
def test_no_text_raises_anything_but_invalid(text):
    for whole in (text, GOOD[: len(text) * 5] + text, GOOD.replace("manhole", text)):
        try:
            registry_of({"city.yaml": whole})
        except Invalid as invalid:
            assert invalid.problems  # noqa: PT017


def in_states(device: str, channel: str = "", more: str = "") -> str:
    text = GOOD.replace("every: 60s}", f"every: 60s, state: {device}}}")
    said = f", state: {channel}" if channel else ""
    return text.replace("class: maintenance}", f"class: maintenance{said}{more}}}")


def test_a_channel_is_in_the_state_of_its_device_or_in_its_own():
    registry = registry_of({"city.yaml": in_states("installed", "planned")})
    assert registry.devices.state == ("installed",)
    assert registry.channels.state == ("installed", "planned")
    assert registry.channels.alive.all()
    again = registry_from_bytes(registry_bytes(registry))
    assert again.channels.state == registry.channels.state


def test_a_retired_channel_is_a_tombstone_and_frees_its_place_at_the_device():
    text = in_states("in_service", "retired", ", port: 1, key: ch4")
    registry = registry_of({"city.yaml": text})
    assert registry.channels.alive.tolist() == [True, False]
    assert problems_of(in_states("retired", "in_service"))[0].endswith(
        "state: device 410100-gas-gw-000001 is retired: name the device that speaks for it now"
    )
    everything = registry_of({"city.yaml": in_states("retired")})
    assert not everything.channels.alive.any()
    assert not everything.devices.alive.any()


def test_what_is_gone_from_the_files_is_retired():
    before = registry_of({"city.yaml": GOOD})
    cut = GOOD.replace("    - {id: temp, quantity: temperature, class: maintenance}\n", "")
    after = registry_of({"city.yaml": cut}, previous=before)
    assert after.channels.id == before.channels.id
    assert after.channels.state == ("in_service", "retired")


def test_calibration_dates_are_dates_in_order_and_change_no_text_that_has_none():
    dated = in_states("in_service", more=", calibrated_on: 2026-01-31, calibration_due: 2027-01-31")
    registry = registry_of({"city.yaml": dated})
    assert registry.channels.calibration_due == ("", "2027-01-31")
    assert registry_from_bytes(registry_bytes(registry)).channels.calibrated_on[1] == "2026-01-31"
    assert b"calibrat" not in registry_bytes(registry_of({"city.yaml": GOOD}))
    assert b"state" not in registry_bytes(registry_of({"city.yaml": GOOD}))
    (said,) = problems_of(dated.replace("2027-01-31", "2026-01-31"))
    assert "calibration_due: 2026-01-31 is not after calibrated_on 2026-01-31" in said
    (said,) = problems_of(dated.replace("2027-01-31", "2026-02-30"))
    assert "'2026-02-30' is no date" in said


SILENT = """
version: 1
rules:
- {id: silent, kind: deadman, class: maintenance, source: estimate, select: {kind: gateway},
   missing: {yellow: 5m}, message: silent}
"""


@pytest.mark.parametrize(("state", "watched"), [("planned", 0), ("installed", 1), ("retired", 0)])
def test_silence_of_a_planned_device_means_nothing(state, watched):
    plan, _ = compile_plan(
        load_rules({"silent.yaml": SILENT}), registry_of({"a.yaml": in_states(state)})
    )
    assert sum(len(rule.device) for rule in plan.deadman_rules) == watched


def as_json(text: str) -> str:
    return json.dumps(yaml.safe_load(text), ensure_ascii=False)


def test_a_file_of_json_means_the_same_and_tells_the_same_places():
    written = as_json(GOOD)
    assert registry_bytes(registry_of({"city.yaml": written})) == registry_bytes(
        registry_of({"city.yaml": GOOD})
    )
    (said,) = problems_of(written.replace('"every": "60s"', '"every": "60"'))
    column = written.index('"60s"') + 1
    assert said.startswith(f'city.yaml:1:{column}: device "410100-gas-gw-000001": every: 60 has')


def test_a_change_of_several_files_is_seen_whole_from_the_moment_it_is_decided(tmp_path):
    (tmp_path / "a.yaml").write_text("old: 1\n")
    (tmp_path / "b.yaml").write_text("old: 2\n")
    (tmp_path / ".c.new").write_text("new: 3\n")
    assert set(read_texts(tmp_path)) == {"a.yaml", "b.yaml"}
    decided = {"files": {"a.yaml": None, "c.yaml": ".c.new"}}
    (tmp_path / ".import").write_text(json.dumps(decided))
    new = {"b.yaml": "old: 2\n", "c.yaml": "new: 3\n"}
    assert read_texts(tmp_path) == new
    (tmp_path / ".c.new").replace(tmp_path / "c.yaml")
    assert read_texts(tmp_path) == new
    (tmp_path / "a.yaml").unlink()
    assert read_texts(tmp_path) == new
    (tmp_path / ".import").write_text("{")
    with pytest.raises(Invalid, match="is damaged"):
        read_texts(tmp_path)
