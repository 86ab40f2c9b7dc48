// Words of the shift's dialogs: figures, hand-over, proof tests.
import { learn } from "./words.js";

learn({
  duty: {
    figures: ["Figures (p)", "指标 (p)"], shift: ["Shift (h)", "值班 (h)"], days: ["{0} d", "{0} 天"], hours: ["24 h", "24 小时"],
    figure: ["figure", "指标"], value: ["value", "数值"], target: ["target", "目标"], met: ["met", "达标"], notMet: ["not met", "未达标"],
    perTen: ["calls in {0}, worst {1}; line: 10", "每 {0} 报警数，最多 {1}；虚线为 10"], sources: ["Noisiest sources", "主要报警源"],
    counts: ["{0} calls, {1} alarms began, {2} ended, {3} floods", "报警 {0} 次，新增 {1} 条，结束 {2} 条，泛滥 {3} 次"], verdicts: ["Verdicts by rule", "按规则的研判结果"],
    told: ["{0} true, {1} false, {2} not judged", "真报警 {0}，误报 {1}，未研判 {2}"], unprotected: ["Red-risk assets without a working safety channel", "无有效监护的红色风险设施"],
    times: ["Times to answer (half / 90 % / 99 %)", "响应时间（50% / 90% / 99%）"], acked: ["acknowledged", "确认"], closed: ["closed", "办结"],
    runs: ["Shift {0}: {1} – {2}", "班次 {0}：{1} 至 {2}"], open: ["open {0}: unacknowledged {1}, shelved {2}", "未结束 {0} 条，其中未确认 {1} 条、已搁置 {2} 条"],
    give: ["Hand over", "交班"], to: ["to whom", "接班人"], note: ["what they have to know", "交接说明"], given: ["Handed over; {0} confirms.", "已交班，待 {0} 确认。"],
    waits: ["{0} hands over to {1}, {2}", "{0} 于 {2} 交班给 {1}"], take: ["Take over", "确认接班"], taken: ["Taken over.", "已接班。"], remark: ["remark (optional)", "备注（可选）"],
    keep: ["Take back", "撤回"], kept: ["Taken back.", "已撤回。"], before: ["Hand-overs", "交接记录"], left: ["open then: {0}", "当时未结束 {0} 条"],
    state: { offered: ["waits for confirmation", "待确认"], taken: ["taken over", "已接班"], kept: ["taken back", "已撤回"] },
    report: ["Report of this shift", "本班报告"], last: ["Report of the last shift", "上一班报告"],
    tests: ["Proof tests: {0} overdue, {1} FAILED", "功能测试：逾期 {0} 项，未通过 {1} 项"], testState: { overdue: ["overdue", "逾期"], failed: ["FAILED", "未通过"], good: ["good", "正常"] },
    never: ["never tested", "从未测试"], lastTest: ["last {0}", "上次 {0}"], passed: ["passed", "通过"], failed: ["failed", "未通过"], seen: ["what was seen", "情况说明"],
    recorded: ["Test recorded.", "测试已记录。"], close: ["Close (Esc)", "关闭 (Esc)"],
  },
}, { p: ["figures of the alarm system", "报警系统指标"], h: ["shift: hand-over, report, proof tests", "值班：交接、报告、功能测试"] });
