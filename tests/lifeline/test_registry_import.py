"""Tables of devices become the registry their YAML would be, or every bad cell is named."""

from __future__ import annotations

import datetime as dt
import time
import zipfile

import openpyxl
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifeline.registry_import.importing import read_table
from lifeline.registry_import.table import Unreadable
from rules.registry_file import load_registry, registry_bytes, registry_of
from tests.registry_tables import (
    WRITERS,
    ZH,
    as_yaml,
    checked,
    csv_text,
    imported,
    problems,
    row,
    write_csv,
    write_xlsx,
)


class Quoting(yaml.SafeDumper):
    """PyYAML leaves 09 bare, which YAML 1.2 reads as a number: here all texts are quoted."""


Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def quoted(held) -> str:
    return yaml.dump(held, Dumper=Quoting, allow_unicode=True)


@pytest.fixture
def city(tmp_path):
    folder = tmp_path / "registry"
    imported(write_csv(tmp_path / "city.csv", [row(i) for i in range(1, 8)]), folder)
    return folder


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_table_of_any_kind_is_the_registry_its_yaml_would_be(tmp_path, suffix):
    rows = [row(i) for i in range(1, 20)]
    path = WRITERS[suffix](tmp_path / f"devices{suffix}", rows)
    outcome = imported(path, tmp_path / "registry")
    same = registry_of({"city.yaml": quoted(as_yaml(rows))})
    assert registry_bytes(outcome.registry) == registry_bytes(same)
    assert registry_bytes(load_registry(tmp_path / "registry")) == registry_bytes(same)
    again = checked(path, tmp_path / "registry")
    assert not again.wrong
    assert not again.changes.any
    assert again.changes.unchanged == 3 * len(rows)  # assets, devices, channels


texts = (
    st.text("中原路井甲乙ABCabc 019", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda t: t not in ("", "-"))
)
cities = st.lists(
    st.fixed_dictionaries(
        {
            "name_zh": texts,
            "port": st.integers(0, 65535),
            "range_high": st.integers(1, 100),
            "resolution": st.sampled_from([0, 0.01, 0.5]),
            "every": st.sampled_from(["30s", "5m", "1h30m"]),
            "class": st.sampled_from(["safety", "maintenance", "info"]),
            "state": st.sampled_from(["planned", "installed", "accepted", "in_service"]),
        }
    ),
    min_size=1,
    max_size=12,
)
CORRUPT = {
    "asset": "410100-gsa-mh-000001", "device": "410100 gas-mo-1", "kind": "gatway",
    "transport": "http", "codec": "xml", "device_every": "60", "quantity": "ch44",
    "unit": "kPa", "port": "-1", "range_high": "5,0", "resolution": "fine", "every": "5 parsecs",
    "class": "safe", "state": "broken", "calibrated_on": "31.1.2026",
    "calibration_due": "2027-02-30", "longitude": "13.62", "latitude": "x", "channel": "a/b",
    "sensor": "ch 4",
}  # fmt: skip
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(drawn=cities)
def test_any_valid_table_is_the_registry_its_yaml_would_be(tmp_path_factory, drawn):
    rows = [row(i, **more) for i, more in enumerate(drawn, 1)]
    folder = tmp_path_factory.mktemp("city")
    for suffix, write in WRITERS.items():
        outcome = checked(write(folder / f"t{suffix}", rows), folder / "registry")
        assert not outcome.wrong
        same = registry_of({"c.yaml": quoted(as_yaml(rows))})
        assert registry_bytes(outcome.registry) == registry_bytes(same)


@SLOW
@given(drawn=cities, field=st.sampled_from(sorted(CORRUPT)), data=st.data())
def test_any_single_corrupted_cell_is_named_and_nothing_else(tmp_path_factory, drawn, field, data):
    rows = [row(i, **more) for i, more in enumerate(drawn, 1)]
    at = data.draw(st.integers(0, len(rows) - 1))
    rows[at][field] = CORRUPT[field]
    folder = tmp_path_factory.mktemp("city")
    column = chr(65 + list(rows[0]).index(field))
    said = problems(write_csv(folder / "t.csv", rows), folder / "registry")
    assert [s.split(": ")[0] for s in said] == [f"t.csv {column}{at + 2}"], said
    said = problems(write_xlsx(folder / "t.xlsx", rows), folder / "registry")
    assert [s.split(": ")[0] for s in said] == [f"t.xlsx 设备!{column}{at + 2}"], said
    assert not (folder / "registry").exists()


def test_chinese_headers_words_and_full_width_digits_are_read(tmp_path):
    rows = [row(1, port="１２", quantity="甲烷", kind="模块", state="在用", every="5分钟")]
    rows[0]["class"] = "安全"
    path = tmp_path / "t.csv"
    path.write_bytes(csv_text(rows, ZH).encode("gb18030"))
    outcome = imported(path, tmp_path / "registry")
    assert "read as GB 18030" in outcome.findings.table.said[0]
    channels = outcome.registry.channels
    assert (channels.port[0], channels.quantity[0]) == (12, "ch4")
    assert outcome.registry.assets.name_zh == ("中原路1号井",)


def test_a_text_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("asset,name\nx,Müller Straße\n".encode("latin-1"))
    with pytest.raises(Unreadable, match=r"t.csv: line 2: .*save it as CSV UTF-8"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes("asset\n".encode("utf-16"))
    with pytest.raises(Unreadable, match="UTF-16"):
        read_table(tmp_path / "t.csv")


def test_headers_are_mapped_ignored_or_named_with_what_is_near(tmp_path):
    rows = [row(1, **{"Lng (deg)": 1, "备注": "x", "calibrated": "y"})]
    (said,) = [
        s for s in problems(write_csv(tmp_path / "t.csv", rows), tmp_path / "r") if "AA1" in s
    ]
    assert "Y1" in problems(tmp_path / "t.csv", tmp_path / "r")[0]  # longitude a second time
    assert '"calibrated": unknown column (did you mean "calibrated_on"' in said
    rows = [{("Geo X" if k == "longitude" else k): v for k, v in row(1).items()}]
    outcome = checked(
        write_csv(tmp_path / "t.csv", rows), tmp_path / "r", mapping={"geox": "longitude"}
    )
    assert not outcome.wrong


def test_dates_may_be_cells_or_text_but_not_both_in_a_column(tmp_path):
    day = dt.date(2026, 1, 31)
    rows = [row(i, calibrated_on=day) for i in (1, 2, 3)]
    outcome = imported(write_xlsx(tmp_path / "t.xlsx", rows), tmp_path / "registry")
    assert outcome.registry.channels.calibrated_on == ("2026-01-31",) * 3
    rows[2]["calibrated_on"] = "2026/1/31"
    (said,) = problems(write_xlsx(tmp_path / "t.xlsx", rows), tmp_path / "registry")
    assert said.startswith('t.xlsx 设备!W4: "2026/1/31": dates of this column are written in')
    assert 'like "2026-01-31" (a date cell) in 设备!W2' in said


def test_formulas_and_merged_cells_are_named(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sheet1"
    sheet.append(list(row(1)))
    sheet.append(list(row(1).values()))
    sheet["B3"], sheet["P2"] = "=B2", "=1+1"
    sheet.merge_cells("A5:B6")
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(Unreadable) as caught:
        read_table(tmp_path / "t.xlsx")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        "t.xlsx Sheet1!P2", "t.xlsx Sheet1!B3", "t.xlsx Sheet1!A5:B6",
    ]  # fmt: skip
    (said,) = problems(write_csv(tmp_path / "t.csv", [row(1, port="=1+1")]), tmp_path / "r")
    assert said.startswith('t.csv P2: "=1+1": a formula')


def packed(path, text: bytes, **more: bytes):
    link = b'<Relationships><Relationship Id="r1" Target="worksheets/sheet1.xml"/></Relationships>'
    book = (
        b'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r='
        b'"http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
        b'<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", book)
        archive.writestr("xl/_rels/workbook.xml.rels", link)
        archive.writestr("xl/worksheets/sheet1.xml", text)
    return path


def test_bombs_are_refused_at_once(tmp_path):
    began = time.perf_counter()
    huge = packed(tmp_path / "a.xlsx", b"<sheetData>" + b" " * (300 << 20))
    began = time.perf_counter()
    with pytest.raises(Unreadable, match="zip bomb"):
        read_table(huge)
    entities = b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><sheetData>&b;</sheetData>'
    with pytest.raises(Unreadable, match="defines entities"):
        read_table(packed(tmp_path / "b.xlsx", entities))
    large = tmp_path / "c.xlsx"
    with large.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(Unreadable, match="100 MiB, more than 64"):
        read_table(large)
    assert time.perf_counter() - began < 1.0


def test_a_part_that_unfolds_to_more_than_its_directory_claims_is_refused(tmp_path):
    path = packed(tmp_path / "a.xlsx", b"<sheetData>" + b"<row/>" * 40_000)
    held = bytearray(path.read_bytes())
    entry = held.rindex(b"PK\x01\x02")
    held[entry + 24 : entry + 28] = (5_000).to_bytes(4, "little")
    path.write_bytes(held)
    with pytest.raises(Unreadable, match="unfolds to more than it claims"):
        read_table(path)


def test_swapped_and_far_coordinates_are_told(tmp_path, city):
    rows = [row(31, longitude=34.75, latitude=113.62), row(32, longitude=120.1), row(33)]
    said = problems(write_csv(tmp_path / "t.csv", rows), city)
    assert said[0].startswith('t.csv E2: "34.75": longitude 34.75 and latitude 113.62 are swapped')
    assert said[1].startswith('t.csv E3: "120.1": more than 1.5° from the registered assets')
    assert len(said) == 2


def test_rows_that_disagree_or_stand_twice_are_both_named(tmp_path):
    rows = [row(1), row(1, channel="lel", port=2), row(1, channel="t", port=3, name_zh="x"), row(1)]
    rows[1]["device"] = rows[0]["device"]
    said = problems(write_csv(tmp_path / "t.csv", rows), tmp_path / "r")
    assert said == [
        't.csv M5: "vol": 410100-gas-mh-000001/ch4-01/vol stands twice, first at M2',
        't.csv C4: "x": of 410100-gas-mh-000001 is "中原路1号井" in C2: all rows of it must agree',
    ]


def test_a_diff_says_what_is_added_changed_and_retired(tmp_path, city):
    rows = [
        row(1),
        row(2, port=9, name_zh="新名"),
        row(3, state="retired"),
        row(40),
    ]
    outcome = imported(write_csv(tmp_path / "t.csv", rows), city)
    changes = outcome.changes
    told = [(c.noun, c.field, c.before, c.after) for c in changes.changed]
    assert told == [("asset", "name_zh", "中原路2号井", "新名"), ("channel", "port", 1, 9)]
    assert changes.retired == [("channel", "410100-gas-mh-000003/ch4-01/vol")]
    assert len(changes.added) == 3
    registry = load_registry(city)
    assert not registry.channels.alive[registry.channel_row["410100-gas-mh-000003/ch4-01/vol"]]
    assert len(registry.channels.id) == 8


@pytest.mark.parametrize(
    ("old", "new", "fine"),
    [
        ("planned", "installed", True), ("planned", "in_service", False),
        ("installed", "accepted", True), ("accepted", "in_service", True),
        ("in_service", "planned", False), ("in_service", "retired", True),
        ("retired", "in_service", False),
    ],
)  # fmt: skip
def test_only_allowed_steps_of_a_state_are_taken(tmp_path, old, new, fine):
    folder = tmp_path / "r"
    imported(write_csv(tmp_path / "a.csv", [row(1, state=old)]), folder)
    said = problems(write_csv(tmp_path / "b.csv", [row(1, state=new)]), folder)
    assert (said == []) == fine
    if not fine:
        assert said[0].startswith(f't.csv V2: "{new}"'.replace("t.csv", "b.csv"))
        assert f"is {old}, after which comes" in said[0]


def test_a_device_changes_only_where_the_table_says_what_it_replaces(tmp_path, city):
    new = row(1, device="410100-gas-mo-000999")
    (said,) = problems(write_csv(tmp_path / "t.csv", [new]), city)
    assert said.startswith(
        't.csv G2: "410100-gas-mo-000999": 410100-gas-mh-000001/ch4-01 is spoken'
    )
    before = load_registry(city)
    rows = [new | {"replaces": "410100-gas-mo-000001"}]
    outcome = imported(write_csv(tmp_path / "t.csv", rows), city)
    assert outcome.changes.retired == [("device", "410100-gas-mo-000001")]
    after = load_registry(city, previous=before)
    assert after.channels.id == before.channels.id
    assert after.devices.id[after.channels.device[0]] == "410100-gas-mo-000999"
    assert not after.devices.alive[after.device_row["410100-gas-mo-000001"]]
    assert not checked(tmp_path / "t.csv", city).changes.any


def test_a_table_wrong_in_every_row_is_told_soon(tmp_path):
    rows = [
        row(i, quantity=f"word {i}", device_asset=f"410100-gas-xx-{i:06d}") for i in range(4000)
    ]
    began = time.perf_counter()
    outcome = checked(write_csv(tmp_path / "t.csv", rows), tmp_path / "r")
    assert time.perf_counter() - began < 15
    assert outcome.findings.counts["quantity"] == 4000
    assert outcome.findings.counts["device asset"] == 4000


def test_an_asset_of_thousands_of_sensors_is_composed_soon(tmp_path):
    one = {"asset": "410100-gas-mh-000001", "name_zh": "a", "zone": "", "longitude": 113.62}
    rows = [row(i, sensor=f"s{i}", **one) for i in range(6000)]
    began = time.perf_counter()
    assert not checked(write_csv(tmp_path / "t.csv", rows), tmp_path / "r").wrong
    assert time.perf_counter() - began < 15
