"""How long an import of a city takes, and how much memory: a process of its own a file."""

from __future__ import annotations

import csv
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.importing import Asked, apply_outcome, check_table, read_table
from lifeline.registry_import.workbook import workbook_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S: Final = 30.0
HEADERS: Final = (
    "资产编号", "资产类型", "资产名称", "分区", "经度", "纬度", "设备编号", "设备类别", "传输方式",
    "报文格式", "上报周期", "传感器编号", "通道编号", "监测量", "单位", "端口", "量程下限",
    "量程上限", "分辨率", "采样周期", "级别", "状态", "校准日期", "校准有效期",
)  # fmt: skip
KINDS: Final = (
    ("gas-mh", "manhole", "甲烷", "%{vol}", 0, 5, 0.01),
    ("water-pp", "pipe", "压力", "kPa", 0, 1600, 1),
    ("drain-mh", "manhole", "液位", "m", 0, 10, 0.01),
)


def rows(count: int) -> Iterator[list[Any]]:
    """Yield the rows of a made city: the same ones every time."""
    for n in range(count):
        code, kind, quantity, unit, low, high, step = KINDS[n % len(KINDS)]
        at = (round(113.5 + n % 400 * 0.0007, 7), round(34.6 + n // 400 * 0.0012, 7))
        yield [
            f"410100-{code}-{n:06d}", kind, f"中原路{n}号", f"z-{n // 50}", *at,
            f"410100-{code}-9{n:06d}", "模块", "coap", "compact", "1h", "s-01", "v", quantity, unit,
            1, low, high, step, "5m", "安全", "在用", "2026-01-31", "2027-01-31",
        ]  # fmt: skip


def measure(count: int) -> list[dict[str, Any]]:
    """Return seconds and MiB of a first import and of one without changes, of CSV and workbook."""
    found = []
    with TemporaryDirectory() as folder:
        for suffix in (".csv", ".xlsx"):
            path = Path(folder) / f"city{suffix}"
            _write(path, count)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found.append(pool.apply(_one, (str(path),)))
    return found


def _write(path: Path, count: int) -> None:
    if path.suffix == ".xlsx":
        path.write_bytes(workbook_bytes(HEADERS, list(rows(count))))
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        writer.writerows(rows(count))


def _one(name: str) -> dict[str, Any]:
    path = Path(name)
    registry = path.parent / f"registry{path.suffix}"
    took: dict[str, Any] = {"file": path.suffix, "mib": round(path.stat().st_size / 2**20, 1)}
    for what in ("first_s", "again_s"):
        began = time.perf_counter()
        cpu = time.process_time()
        table = read_table(path)
        outcome = check_table(table, registry, Asked())
        if outcome.wrong or outcome.changes.any != (what == "first_s"):
            raise RuntimeError(f"{path}: {outcome.findings.problems[:3]}, {outcome.changes}")
        if outcome.changes.any:
            apply_outcome(outcome, registry)
        took[what] = round(time.perf_counter() - began, 2)
        took[what.replace("_s", "_cpu_s")] = round(time.process_time() - cpu, 2)
        took["rows"] = len(table.rows)
        del table, outcome
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took["peak_mib"] = peak >> (20 if sys.platform == "darwin" else 10)
    return took
