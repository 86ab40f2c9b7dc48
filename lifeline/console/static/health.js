// The health strip, and what stands behind it: silent, late and bad sensors, lag, blind times.
import { ask } from "./api.js";
import { byId, h, mark } from "./dom.js";
import { label } from "./numbers.js";
import { clock, learn, length, levelName, say } from "./words.js";

learn({
  health: {
    title: ["Health of the sensors and of ourselves", "传感器与系统健康状况"], open: ["health of sensors and system", "传感器与系统健康状况"],
    silent: ["{0} silent", "失联 {0} 台"], late: ["{0} late", "迟到 {0} 个"], bad: ["{0} bad", "异常 {0} 个"], lag: ["lag {0}", "滞后 {0}"], lagUnknown: ["lag unknown", "滞后未知"], blind: ["{0} × blind", "监测中断 {0} 次"],
    silentOf: ["Silent devices", "失联设备"], lateOf: ["Late: out of order within the last hour", "近一小时迟到的测点"], badOf: ["Bad: suspect, failed, or not heard of in time", "异常测点：可疑、失效或逾期未报"],
    lagOf: ["Lag: what readers have not done yet", "处理滞后"], blindOf: ["Blind times: nothing was judged", "监测中断时段"],
    since: ["since {0}", "自 {0}"], times: ["measured {0}, received {1}", "测于 {0}，收于 {1}"], count: ["{0} late readings", "迟到 {0} 条"], newest: ["newest of {0}", "最新读数 {0}"],
    why: { suspect: ["suspect", "可疑"], fail: ["FAILED", "失效"], old: ["not heard of in time", "逾期未报"] },
    more: ["and {0} more", "另有 {0} 项"], now: ["Blind now.", "当前处于监测中断。"], done: ["done all", "已全部处理"], waits: ["{0} waiting, the oldest since {1}", "待处理 {0}，最早 {1}"], reader: ["reader", "处理环节"], state: ["state", "状态"],
    close: ["Close (Esc)", "关闭 (Esc)"],
  },
}, { u: ["health: silent, late, bad sensors, lag, blind times", "健康状况：失联、迟到、异常测点，滞后，监测中断"] });

const LAG_LOUD_S = 10;

// Five numbers in the top row; quiet while all is well.
export function strip(state, pulse) {
  const { late = 0, bad = 0, lag_s = null } = pulse.health ?? {};
  const part = (id, text, shown, loud = false) => h("span", { id, class: loud ? "loud" : shown ? "some" : "" }, text);
  const parts = [
    part("silent", say("health.silent", state.silent), state.silent), part("late", say("health.late", late), late), part("bad", say("health.bad", bad), bad),
    part("lag", lag_s == null ? say("health.lagUnknown") : say("health.lag", length(lag_s)), lag_s > 1, lag_s > LAG_LOUD_S), part("blinds", say("health.blind", state.blinds.length), state.blinds.length),
  ];
  const button = byId("health-button"), text = parts.map((x) => `${x.className} ${x.textContent}`).join();
  if (button.dataset.drawn === text) return;
  button.dataset.drawn = text;
  button.replaceChildren(...parts.flatMap((x, i) => (i ? [" · ", x] : [x])));
  button.setAttribute("aria-label", `${say("health.open")}: ${parts.map((x) => x.textContent).join(", ")}`);
}

export async function open(view) {
  try {
    draw(await ask("/api/sensor-health"), view);
  } catch (error) { view.tell(error.message); }
}
function draw(told, view) {
  const box = byId("health");
  const close = h("button", { class: "plain", onclick: () => box.close() }, say("health.close"));
  const go = (id) => { box.close(); view.openCode(id); };
  const when = (ms) => clock(ms, view.zone, true);
  const sensor = (each, ...more) => h("li", {}, h("button", { class: "link", onclick: () => go(each.id) }, [label(each.name), each.label ? label(each.label) : ""].filter(Boolean).join(" · ")), ` ${more.join(" · ")}`);
  const device = (each) => h("li", {}, mark(each.severity), h("button", { class: "link", onclick: () => go(each.asset || each.id) }, label(each.name)), ` ${[levelName(each.severity), each.id, say("health.since", when(each.since_ms))].join(" · ")}`);
  const late = (each) => sensor(each, say("health.count", each.count), say("health.times", when(each.measured_ms), when(each.received_ms)));
  const bad = (each) => sensor(each, say(`health.why.${each.why}`), say("health.newest", when(each.measured_ms)));
  box.replaceChildren(h("h2", { id: "health-title" }, say("health.title")),
    ...section("silentOf", told.silent, device), ...section("lateOf", told.late, late), ...section("badOf", told.bad, bad),
    h("h3", {}, say("health.lagOf")), readers(told.readers, when),
    h("h3", {}, `${say("health.blindOf")} ${told.blinds.length}`), told.blind ? h("p", { class: "loud" }, say("health.now")) : "",
    told.blinds.length ? h("ul", { id: "blind-list" }, ...told.blinds.map((b) => h("li", {}, `${when(b.from_ms)} – ${when(b.to_ms)}`))) : h("p", { class: "why" }, say("none")),
    close);
  if (!box.open) box.showModal();
  (box.querySelector("button.link") ?? close).focus();
}
function section(name, { total, listed }, line) {
  const rest = total > listed.length ? h("p", { class: "why" }, say("health.more", total - listed.length)) : "";
  return [h("h3", {}, `${say(`health.${name}`)} ${total}`), listed.length ? h("ul", { id: `${name}-list` }, ...listed.map(line)) : h("p", { class: "why" }, say("none")), rest];
}
function readers(held, when) {
  const state = (x) => x.trouble || (x.behind > 0 ? say("health.waits", x.behind, when(x.since_ms)) : say("health.done"));
  const head = h("tr", {}, ...["reader", "state"].map((name) => h("th", { scope: "col" }, say(`health.${name}`))));
  return h("table", { class: "history" }, h("thead", {}, head), h("tbody", {}, ...held.map((x) => h("tr", {}, h("td", {}, x.reader), h("td", {}, state(x))))));
}
