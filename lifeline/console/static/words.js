// Every word of the page in both languages; alarms bring their own sentences.
const WORDS = {
  live: ["live", "实时"], simulation: ["simulation", "仿真"], replay: ["replay", "回放"],
  banner: ["演练 · SIMULATION — these are not real readings, nothing leaves this machine", "演练 · 仿真 — 非真实数据，不对外通知"],
  dataAge: ["data {0} old", "数据 {0} 前"], noData: ["no data yet", "尚无数据"],
  silent: ["{0} silent", "{0} 个失联"],
  notApproved: ["default limits, not approved for this site", "默认限值，未经本地批准"],
  approved: ["limits approved for this site", "限值已批准"],
  blind: ["BLIND: no heartbeat through the chain for {0}", "失明：{0} 未收到看门狗心跳"],
  unwatched: ["no watchdog probe in the rules", "规则中没有看门狗探测点"],
  blindTimes: ["blind {0} – {1}", "失明时段 {0} – {1}"],
  newRows: ["{0} new – show (n)", "{0} 条新报警 – 显示 (n)"],
  operator: ["operator", "值班员"], askOperator: ["Write your name first: an acknowledgement carries it.", "请先填写姓名：确认将记录姓名。"],
  unacked: ["UNACKNOWLEDGED", "未确认"], acked: ["ACKNOWLEDGED", "已确认"], none: ["none", "无"],
  nothing: ["Select an alarm: j / k, Enter.", "用 j / k 选择报警，Enter 打开。"],
  quiet: ["No alarm stands. The city is quiet.", "当前无报警。"],
  ack: ["Acknowledge (a)", "确认 (a)"], ackedBy: ["acknowledged by {0}, {1}", "{0} 于 {1} 确认"],
  ackedWord: ["acknowledged", "已确认"], comment: ["comment (optional)", "备注（可选）"], reset: ["Reset after re-test", "复测后复位"],
  resetAsk: ["What did the re-test on site show?", "现场复测结果如何？"],
  resetSent: ["Reset ordered; the engine will answer.", "已下达复位，等待引擎响应。"],
  done: ["Acknowledged: {0}", "已确认：{0}"], undo: ["Undo (z) {0} s", "撤销 (z) {0} 秒"],
  undone: ["Acknowledgement taken back.", "已撤销确认。"],
  lost: ["CONNECTION LOST {0} – what you see is old", "连接中断 {0} – 画面非最新"],
  behind: ["catching up", "正在追赶"],
  unconfirmed: ["unconfirmed", "待证实"], returned: ["returned", "已恢复"], late: ["late data", "迟到数据"],
  over: ["over", "已结束"], overRange: ["beyond range", "超量程"],
  safety: ["Not SIL-rated. Supplements and never replaces local gas alarms, interlocks and barriers. Levels are monitoring alarm levels (监测报警等级), not public warnings.",
    "未经 SIL 认证。仅作补充，绝不替代现场燃气报警器、联锁和防护。等级为监测报警等级，非公众预警。"],
  more: ["More alarms than this page shows.", "报警过多，未全部显示。"],
  limit: ["limit", "限值"], source: { clause: ["clause", "条文"], vendor: ["vendor", "厂家"], estimate: ["estimate", "估计"] },
  onset: ["onset", "起始"], raised: ["raised", "报警"], suspect: ["suspect", "可疑"], lateMark: ["late", "迟到"],
  measured: ["measured", "测于"], received: ["received", "收到"], noTrend: ["No trend: this alarm is about a device that is silent.", "无趋势：设备失联。"],
  emptyTrend: ["No readings in this range.", "该时段无数据。"], system: ["system", "系统"],
  help: ["Keys", "按键"], keys: {
    "j / k": ["next / previous alarm", "下一条 / 上一条"], "Enter": ["open: centre the map on it", "打开并定位"],
    "a": ["acknowledge the selected alarm", "确认所选报警"], "z": ["undo the acknowledgement (10 s)", "撤销确认（10 秒内）"],
    "n": ["show new alarms, sort the list again", "显示新报警并重新排序"], "m": ["whole map", "全图"],
    "l": ["Chinese / English", "中 / 英"], "Esc": ["let go of the selection", "取消选择"], "?": ["this help", "本帮助"],
  },
};
let language = localStorage.getItem("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
export const lang = () => language;
export function toggle() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  document.documentElement.lang = language;
}
export const pick = (pair) => pair[language === "zh" ? 1 : 0];
export function say(name, ...values) {
  const found = name.split(".").reduce((at, key) => at?.[key], WORDS);
  return pick(found ?? [name, name]).replace(/\{(\d)\}/g, (_, n) => values[n]);
}
export const keys = () => Object.entries(WORDS.keys).map(([key, pair]) => [key, pick(pair)]);
const UNITS = { en: [" s", " min", " h", " d"], zh: [" 秒", " 分", " 时", " 天"] };
export function length(seconds) {
  const u = UNITS[language];
  if (seconds < 100) return Math.max(0, Math.round(seconds)) + u[0];
  if (seconds < 6000) return Math.round(seconds / 60) + u[1];
  if (seconds < 172800) return (seconds / 3600).toFixed(1) + u[2];
  return Math.round(seconds / 86400) + u[3];
}
export function clock(ms, zone, withDay = false) {
  if (!ms) return "–";
  const said = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(ms);
  return said.slice(withDay ? 5 : 11);
}
