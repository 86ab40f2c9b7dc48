"""The words of the shift report, (English, Chinese)."""

from __future__ import annotations

from typing import Final

from rules.events import EventType

Pair = tuple[str, str]

TEXTS: Final[dict[str, Pair]] = {
    "title": ("Shift report {0}", "值班报告 {0}"),
    "span": ("From {0} to {1} ({2})", "时段 {0} 至 {1}（{2}）"),
    "running": ("This shift still runs; as of {0}", "本班次尚未结束，统计截至 {0}"),
    "made": ("Made {0}", "生成于 {0}"),
    "drill": ("SIMULATION: these are not real readings", "演练 · 仿真：非真实数据"),
    "counts": (
        "{0} alarms and escalations, {1} actions; left open {2}: unacknowledged {3}, shelved {4}",
        "报警及升级 {0} 次，人员操作 {1} 次；遗留未结束 {2} 条，其中未确认 {3} 条、已搁置 {4} 条",
    ),
    "none": ("none", "无"),
    "hand_overs": ("Hand-over", "交接班"),
    "open": ("Open at the end: {0}", "班末未结束报警：{0} 条"),
    "shelved": ("Shelved: {0}", "搁置中：{0} 条"),
    "came": ("What came: {0}", "本班报警：{0} 次"),
    "done": ("What was done: {0}", "本班处置：{0} 次"),
    "blind": ("Not judged (blind)", "监测中断时段"),
    "tests": ("Proof tests", "功能测试"),
    "kpis": ("Figures", "指标"),
    "at": ("at", "时间"),
    "from_whom": ("from", "交班人"),
    "to_whom": ("to", "接班人"),
    "state": ("state", "状态"),
    "state_offered": ("waits for confirmation", "待接班确认"),
    "state_taken": ("taken over", "已接班"),
    "state_kept": ("taken back", "已撤回"),
    "note": ("note", "说明"),
    "remark": ("remark of the taker", "接班人备注"),
    "left": ("open then", "当时未结束"),
    "level": ("level", "等级"),
    "word": ("word", "状态"),
    "what": ("what, where", "内容与位置"),
    "since": ("since", "起始"),
    "until": ("until", "截止"),
    "acked_by": ("acknowledged by", "确认人"),
    "assigned": ("assigned to", "负责人"),
    "id": ("id", "编号"),
    "by": ("by", "人员"),
    "why": ("why", "原因"),
    "happened": ("what happened", "事件"),
    "rule": ("rule", "规则"),
    "said": ("said", "内容"),
    "long": ("for", "时长"),
    "result": ("result", "结果"),
    "passed": ("passed", "通过"),
    "failed": ("FAILED", "未通过"),
    "figure": ("figure", "指标"),
    "value": ("value", "数值"),
    "target": ("target", "目标"),
    "judged": ("", ""),
    "met": ("met", "达标"),
    "not_met": ("not met", "未达标"),
    "per_ten": ("Calls in ten minutes; line: ten", "每 10 分钟报警数，虚线为 10"),
    "verdict_true": ("true alarm", "真报警"),
    "verdict_false": ("false alarm", "误报"),
}

EVENT_WORDS: Final[dict[EventType, Pair]] = {
    EventType.RAISED: ("raised", "报警"),
    EventType.ESCALATED: ("worse", "升级"),
    EventType.LATE_FINDING: ("found in late data", "迟到数据中发现"),
    EventType.RERUN_DIFFERS: ("re-run differs", "重算不一致"),
    EventType.ACKED: ("acknowledged", "确认"),
    EventType.ACK_REVOKED: ("acknowledgement taken back", "撤销确认"),
    EventType.SHELVE_ASKED: ("asked to shelve", "申请搁置"),
    EventType.SHELVED: ("shelved", "搁置"),
    EventType.UNSHELVED: ("unshelved", "取消搁置"),
    EventType.COMMENTED: ("note", "备注"),
    EventType.ASSIGNED: ("assigned", "指派"),
    EventType.CLASSIFIED: ("judged", "研判"),
}

_CAUSES: Final[dict[str, Pair]] = {
    "leak": ("leak", "泄漏"),
    "third-party": ("third party", "第三方破坏"),
    "equipment": ("equipment", "设备故障"),
    "process": ("process", "工艺运行"),
    "weather": ("weather", "天气"),
    "biogas": ("biogas", "沼气"),
    "calibration": ("calibration", "标定"),
    "sensor": ("sensor", "传感器故障"),
    "communication": ("communication", "通信"),
    "maintenance": ("maintenance", "检修"),
    "rule": ("rule too tight", "规则不当"),
    "test": ("test", "测试"),
    "unknown": ("unknown", "不明"),
}


def cause_word(cause: str, language: str) -> str:
    """Return what people call a cause."""
    return _CAUSES.get(cause, (cause, cause))[language == "zh"]
