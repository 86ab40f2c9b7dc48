"""Tables of devices for tests: a small city as rows, written as CSV, workbook or GeoJSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import openpyxl

from lifeline.registry_import.importing import Asked, apply_outcome, check_table, read_table

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = (
    "asset", "asset_type", "name_zh", "zone", "longitude", "latitude", "device", "kind",
    "transport", "codec", "device_every", "sensor", "channel", "quantity", "unit", "port",
    "range_low", "range_high", "resolution", "every", "class", "state", "calibrated_on",
    "calibration_due",
)  # fmt: skip
ZH = (
    "资产编号", "资产类型", "资产名称", "分区", "经度", "纬度", "设备编号", "设备类别",
    "传输方式", "报文格式", "上报周期", "传感器编号", "通道编号", "监测量", "单位", "端口",
    "量程下限", "量程上限", "分辨率", "采样周期", "级别", "状态", "校准日期", "校准有效期",
)  # fmt: skip


def row(number: int, **other: Any) -> dict[str, Any]:
    """One manhole with its own module and one methane channel."""
    held = dict(
        zip(
            HEADERS,
            (
                f"410100-gas-mh-{number:06d}", "manhole", f"中原路{number}号井",
                f"z-{number // 10}", round(113.62 + number * 1e-5, 7), 34.75,
                f"410100-gas-mo-{number:06d}", "module", "coap", "compact", "1h", "ch4-01", "vol",
                "ch4", "%{vol}", 1, 0, 5, 0.01, "5m", "safety", "in_service", "2026-01-31",
                "2027-01-31",
            ),
            strict=True,
        )
    )  # fmt: skip
    return held | other


def csv_text(rows: list[dict[str, Any]], headers: tuple[str, ...] = HEADERS) -> str:
    names = list(rows[0])
    shown = dict(zip(HEADERS, headers, strict=True))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([shown.get(name, name) for name in names])
    writer.writerows([r.get(name) for name in names] for r in rows)
    return out.getvalue()


def write_xlsx(path: Path, rows: list[dict[str, Any]], sheet: str = "设备") -> Path:
    book = openpyxl.Workbook(write_only=True)
    held = book.create_sheet(sheet)
    names = list(rows[0])
    held.append(names)
    for r in rows:
        held.append([r.get(name) for name in names])
    book.save(path)
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(csv_text(rows), encoding="utf-8")
    return path


def write_geojson(path: Path, rows: list[dict[str, Any]]) -> Path:
    features = []
    for r in rows:
        held = dict(r)
        point = [held.pop("longitude"), held.pop("latitude")]
        geometry = {"type": "Point", "coordinates": point}
        features.append({"type": "Feature", "geometry": geometry, "properties": held})
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    return path


WRITERS = {".csv": write_csv, ".xlsx": write_xlsx, ".geojson": write_geojson}


def as_yaml(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the registry's own file says of rows: written here without the importer."""
    devices = [
        {
            "id": r["device"], "kind": r["kind"], "transport": r["transport"], "codec": r["codec"],
            "asset": r["asset"], "every": r["device_every"],
        }
        for r in rows
    ]  # fmt: skip
    assets = [
        {
            "id": r["asset"], "type": r["asset_type"], "name_zh": r["name_zh"], "zone": r["zone"],
            "at": [r["longitude"], r["latitude"]],
            "sensors": [
                {
                    "id": r["sensor"],
                    "device": r["device"],
                    "channels": [
                        {
                            "id": r["channel"], "quantity": r["quantity"], "unit": r["unit"],
                            "port": r["port"], "range": [r["range_low"], r["range_high"]],
                            "resolution": r["resolution"], "every": r["every"],
                            "class": r["class"], "state": r["state"],
                            "calibrated_on": r["calibrated_on"],
                            "calibration_due": r["calibration_due"],
                        }
                    ],
                }
            ],
        }
        for r in rows
    ]  # fmt: skip
    return {"version": 1, "devices": devices, "assets": assets}


def checked(path, folder, **asked):
    return check_table(read_table(path), folder, Asked(**asked))


def problems(path, folder, **asked):
    outcome = checked(path, folder, **asked)
    assert outcome.wrong == len(outcome.findings.problems)
    return [str(p) for p in outcome.findings.problems]


def imported(path, folder, **asked):
    outcome = checked(path, folder, **asked)
    assert not outcome.wrong, [str(p) for p in outcome.findings.problems]
    apply_outcome(outcome, folder)
    return outcome
