"""What an import says: problems and changes, bounded for people, whole for --json."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from lifeline.registry_import.fields import FIELDS

if TYPE_CHECKING:
    from rich.console import Console

    from lifeline.registry_import.importing import Outcome

SHOWN: Final = 50
SHOWN_CHANGES: Final = 20
_ZH: Final = {
    "formula": "公式", "spreadsheet error": "表格错误值", "text": "文本", "id": "编号",
    "word": "取值",
    "number": "数字", "duration": "时长", "date": "日期", "date formats mixed": "日期格式混用",
    "quantity": "监测量", "json": "JSON", "id missing": "缺少编号", "id twice": "编号重复",
    "rows disagree": "各行不一致", "coordinate": "坐标", "coordinates swapped": "经纬度颠倒",
    "state": "状态变更", "replaces": "设备更换", "range": "量程", "column unknown": "未知列",
    "column twice": "列重复", "column unnamed": "列无表头", "column missing": "缺少必要列",
    "column": "列映射", "present registry": "与现有台账冲突",
}  # fmt: skip
_NOUNS: Final = {
    "site": "站点", "asset": "资产", "device": "设备", "sensor": "传感器", "channel": "通道",
}  # fmt: skip


def tell_problems(outcome: Outcome, said: Console) -> None:
    """Print the first problems, and how many there are of each kind."""
    findings = outcome.findings
    for problem in findings.problems[:SHOWN]:
        said.print(str(problem), markup=False)
    if outcome.wrong > SHOWN:
        said.print(f"… and {outcome.wrong - SHOWN} more; --json FILE has them")
    counts = ", ".join(f"{n} × {kind}" for kind, n in findings.counts.most_common())
    said.print(f"{findings.table.file}: {outcome.wrong} problems ({counts}); nothing was written")
    counted = "，".join(f"{_zh(kind)} {n} 处" for kind, n in findings.counts.most_common())
    said.print(f"{findings.table.file}：共 {outcome.wrong} 处错误（{counted}），未写入任何内容")


def _zh(kind: str) -> str:
    """Return what a kind of mistake is called in Chinese; the loader's are ``noun key``."""
    noun, _, key = kind.partition(" ")
    field = next((f for f in FIELDS.values() if f.of == noun and f.key == key), None)
    name = next((w for w in field.also if w > "\u4e00"), key) if field is not None else key
    return _ZH.get(kind) or f"{_NOUNS.get(noun, noun)}{name}"


def tell_changes(outcome: Outcome, said: Console, *, crs: str) -> None:
    """Print what would be added, changed field by field, retired, and what stays."""
    changes = outcome.changes
    added = Counter(noun for noun, _ in changes.added)
    for noun, name in changes.added[:SHOWN_CHANGES]:
        said.print(f"+ {noun} {name}", markup=False)
    _more(said, len(changes.added))
    for change in changes.changed[:SHOWN_CHANGES]:
        told = f"~ {change.noun} {change.id}: {change.field}: {change.before} → {change.after}"
        said.print(told, markup=False)
    _more(said, len(changes.changed))
    for noun, name in changes.retired[:SHOWN_CHANGES]:
        said.print(f"- {noun} {name}: retired, its history stays", markup=False)
    _more(said, len(changes.retired))
    new = ", ".join(f"{n} {noun}s" for noun, n in added.items()) or "nothing"
    counts = f"{len({(c.noun, c.id) for c in changes.changed})} changed, "
    counts += f"{len(changes.retired)} retired, {changes.unchanged} unchanged"
    said.print(f"added {new}; {counts}")
    if crs == "cgcs2000":
        said.print("CGCS2000 is taken as WGS 84: they agree within decimetres")
    elif crs == "gcj02":
        said.print("coordinates were converted from GCJ-02 to WGS 84")


def _more(said: Console, count: int) -> None:
    if count > SHOWN_CHANGES:
        said.print(f"  … and {count - SHOWN_CHANGES} more")


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return problems and changes as plain values."""
    changes = outcome.changes
    return {
        "file": outcome.findings.table.file,
        "read": outcome.findings.table.said,
        "problems": [problem.to_json() for problem in outcome.findings.problems],
        "counts": dict(outcome.findings.counts),
        "added": [{"noun": noun, "id": name} for noun, name in changes.added],
        "changed": [
            {"noun": c.noun, "id": c.id, "field": c.field, "before": c.before, "after": c.after}
            for c in changes.changed
        ],
        "retired": [{"noun": noun, "id": name} for noun, name in changes.retired],
        "replaced": [{"sensor": s, "before": b, "after": a} for s, b, a in changes.replaced],
        "unchanged": changes.unchanged,
    }
