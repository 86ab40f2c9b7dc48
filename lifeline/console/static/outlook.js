// What rules expect of a channel: the range they call usual, when they foretell a limit is reached;
// and where there is nothing, or nothing sure, to be seen.
import { css, h } from "./dom.js";
import { number, valued } from "./numbers.js";
import { clock, lang, learn, levelName, say } from "./words.js";

learn({
  outlook: {
    forecast: ["Forecast", "预测"], reaches: ["{0} may reach {1}{2} at {3}, most likely {4}, {5}", "{0} 预计最早 {3}、最可能 {4}、{5}达到{1} {2}"],
    level: ["the {0} limit ", "{0}色限值"], limit: ["", "限值"], late: ["at the latest {0}", "最迟 {0} "], open: ["or never", "也可能不会"], never: ["never", "不会"],
    by: ["by rule {0}, a line through the last {1} min ({2})", "规则 {0}，按近 {1} 分钟趋势线（{2}）"],
    usual: ["Usual now: {0} ({1}), rule {2}", "当前常见范围：{0}（{1}），规则 {2}"], middle: ["middle {0}", "中值 {0}"], upTo: ["up to {0}", "不高于 {0}"], from: ["from {0}", "不低于 {0}"],
    silence: ["no data", "无数据"], doubt: ["suspect", "可疑"], band: ["usual range, {0}", "常见范围，{0}"],
  },
}, {});

const HOUR = 3600000, MOST_SHADES = 60;
const drawable = (told) => (told.forecasts ?? []).filter((f) => f.p10_ms != null && typeof f.value === "number" && typeof f.limit === "number");

// Until when the axis goes: a forecast's middle with some room, at most as far ahead as it looks back.
export function end(told) {
  const ends = drawable(told).map((f) => Math.max(f.p50_ms ?? f.p10_ms, told.to_ms) + HOUR / 12);
  if (!ends.length) return told.to_ms;
  const most = 2 * told.to_ms - told.from_ms;
  return Math.min(Math.max(...ends) + (Math.max(...ends) - told.to_ms) * 0.15, most);
}
// What must be on the y axis beside readings.
export const heights = (told) => [...drawable(told).map((f) => f.limit), ...(told.usual ?? []).flatMap((u) => [...u.middle, ...(u.high ?? []), ...(u.low ?? [])])];

// The usual range as one area, broken where nothing was judged.
export function bands(told, at) {
  return (told.usual ?? []).map((u) => {
    const low = u.low ?? u.middle, high = u.high ?? u.middle;
    const x = [], y = [];
    const flush = (from, to) => {
      if (to - from < 2) return;
      const forth = [...Array(to - from).keys()].map((i) => from + i), back = [...forth].reverse();
      x.push(...forth.map((i) => at(u.t[i])), ...back.map((i) => at(u.t[i])), at(u.t[from]), null);
      y.push(...forth.map((i) => high[i]), ...back.map((i) => low[i]), high[from], null);
    };
    const steps = u.t.slice(1).map((t, i) => t - u.t[i]).sort((a, b) => a - b);
    const gap = Math.max(told.gap_ms, 3 * (steps[Math.floor(steps.length / 2)] ?? 0));
    let from = 0;
    u.t.forEach((t, i) => { if (i && t - u.t[i - 1] > gap) { flush(from, i); from = i; } });
    flush(from, u.t.length);
    return { x, y, mode: "lines", type: "scatter", fill: "toself", fillcolor: tint("--pale", 0.3), line: { width: 0 }, hoveron: "fills", hoverinfo: "text", text: say("outlook.band", u.rule) };
  });
}
// A line to the limit, and the wedge between the early and the late crossing.
export function forecasts(told, at, until) {
  return drawable(told).flatMap((f) => {
    const to = (eta) => { // where a line that crosses then is at the edge of the picture
      const crossing = eta ?? Infinity;
      const x = Math.min(crossing, until);
      return [x, f.value + (f.limit - f.value) * ((x - f.at_ms) / (crossing - f.at_ms || 1))];
    };
    const wedge = [[f.at_ms, f.value], to(f.p10_ms), to(f.p90_ms)];
    const line = [[f.at_ms, f.value], to(f.p50_ms)];
    const area = { mode: "lines", type: "scatter", fill: "toself", fillcolor: tint("--data", 0.18), line: { width: 0 }, hoverinfo: "skip" };
    const dash = { mode: "lines", type: "scatter", line: { color: css("--data"), width: 1.6, dash: "dash" }, hoverinfo: "text", text: say("outlook.forecast") };
    const drawn = (points, more) => ({ ...more, x: points.map(([x]) => at(x)), y: points.map(([, y]) => y) });
    return [drawn(wedge, area), ...(f.p50_ms == null ? [] : [drawn(line, dash)])];
  });
}
// Silences longer than three intervals, and runs of suspect samples.
export function shades(told, begin) {
  const found = [];
  const add = (kind, from, to) => { if (to > Math.max(from, begin)) found.push({ kind, from: Math.max(from, begin), to }); };
  told.t.forEach((t, i) => {
    const next = told.t[i + 1] ?? told.to_ms;
    if (next - t > told.gap_ms) add("silence", t, next);
    else if (told.suspect[i] && (told.suspect[i + 1] || i + 1 === told.t.length)) add("doubt", t, next);
  });
  return joined(found).sort((a, b) => b.to - b.from - (a.to - a.from)).slice(0, MOST_SHADES);
}
function joined(found) {
  const made = [];
  for (const each of found) {
    const last = made.at(-1);
    if (last && last.kind === each.kind && last.to === each.from) last.to = each.to;
    else made.push({ ...each });
  }
  return made;
}
export const shade = (kind) => tint("--soft", kind === "silence" ? 0.1 : 0.2); // colour is for alarms
function tint(name, alpha) {
  const [r, g, b] = css(name).match(/[0-9a-f]{2}/gi)?.map((x) => parseInt(x, 16)) ?? [128, 128, 128];
  return `rgba(${r},${g},${b},${alpha})`;
}

// The same in words: for who does not see the chart, and for the exact times.
export function sayOutlook(box, told, view) {
  if (!box) return;
  const lines = [...drawable(told).map((f) => foretold(f, told, view)), ...(told.usual ?? []).map((u) => usual(u, told))].filter(Boolean);
  box.replaceChildren(...lines.map((line) => h("p", { class: "why" }, line)));
}
function foretold(f, told, view) {
  const when = (ms) => (ms - told.to_ms > 20 * HOUR ? clock(ms, view.zone, true).slice(0, 11) : clock(ms, view.zone).slice(0, 5));
  const limit = f.limit_severity ? say("outlook.level", levelName(f.limit_severity)) : say("outlook.limit");
  const late = f.p90_ms == null ? say("outlook.open") : say("outlook.late", when(f.p90_ms));
  const likely = f.p50_ms == null ? say("outlook.never") : when(f.p50_ms);
  const by = say("outlook.by", f.rule, Math.round(f.window_s / 60), say(`source.${f.source}`));
  const what = `${say("outlook.forecast")}${lang() === "zh" ? "：" : ": "}${told.label[lang()] || told.label.en}`;
  const said = say("outlook.reaches", what, limit, valued(f.limit, told), when(f.p10_ms), likely, late);
  return lang() === "zh" ? `${said}；${by}` : `${said}; ${by}`;
}
function usual(u, told) {
  const last = u.t.length - 1;
  if (last < 0) return "";
  const text = (v) => `${number(v, told.decimals)} ${told.unit}`;
  const [low, high] = [u.low?.[last], u.high?.[last]];
  const range = low != null && high != null ? `${number(low, told.decimals)} – ${text(high)}` : high != null ? say("outlook.upTo", text(high)) : say("outlook.from", text(low));
  return say("outlook.usual", range, say("outlook.middle", text(u.middle[last])), u.rule);
}
