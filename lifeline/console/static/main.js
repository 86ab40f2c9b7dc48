// The console: takes the state as it streams in, draws it, and carries out what the keyboard orders.
import { ask, commandId, listen } from "./api.js";
import * as care from "./care.js";
import { byId, calmly, h, mark } from "./dom.js";
import * as duty from "./duty.js";
import { find } from "./find.js";
import * as health from "./health.js";
import * as incidents from "./incidents.js";
import * as incidentPanel from "./incident_panel.js";
import * as list from "./list.js";
import * as map from "./map.js";
import * as panel from "./panel.js";
import * as session from "./session.js";
import * as sound from "./sound.js";
import { library } from "./trend.js";
import * as wall from "./wall.js";
import * as warnings from "./warnings.js";
import { clock, keys, lang, length, pick, say, toggle } from "./words.js";

const UNDO_MS = 10000;
let state = null; // the newest from serve
let pulse = { at: 0 };
let held = new Map(); // alarms by id, with those that just ended
let selected = ""; // an alarm; else an asset, and in it a channel
let asset = null, channel = "";
let only = ""; // one lifeline
let told = new Set(); // alarms announced already
let drawnAsset = 0;
let lostSince = 0, heardAt = performance.now();
let undo = null;

const now_ms = () => (pulse.now_ms ?? Date.now()) + (performance.now() - pulse.at) * (pulse.factor ?? 1);
const wanted = (a) => !only || a.domain === only;
const onlyWord = () => { const d = state?.domains.find((x) => x.domain === only); return d ? (lang() === "zh" ? d.zh : d.en) : ""; };
const reading = (a) => pulse.now?.[a.channel];
const view = {
  get selected() { return selected; }, get levels() { return state?.levels ?? []; }, get zone() { return state?.zone ?? "UTC"; },
  get now_ms() { return now_ms; }, wanted, reading, choose: (id) => choose(id), acknowledge: (a) => acknowledge(a), reset: (a) => reset(a), care: (a) => look(a), tell: (text) => tell(text),
  may: session.may, alarms: () => [...held.values()], openChannel: (id) => { channel = id; draw(); }, openAsset: (found, itsChannel) => open(found, itsChannel), openCode: (id) => openCode(id), assetName: () => asset?.name, back: () => back(),
  incident: () => incidents.selected(), of: incidents.of, toIncident: (id) => openIncident(id), give: (name) => incidents.give(name, view), has: (id) => held.has(id), who: () => who(), draw: () => calmly(draw), side: () => calmly(side),
  toMap: (a) => { map.centre(a.at); byId("map").scrollIntoView({ block: "center" }); },
};
const listView = () => ({ selected, levels: view.levels, choose: view.choose, now_ms: now_ms(), now: reading, wanted, only: onlyWord(), firstOut: list.firstOf([...held.values()], pulse.flood) });

function take(answer) {
  const fresh = new Map(answer.alarms.map((a) => [a.id, a]));
  for (const [id, a] of held) { // what has ended stays readable until one lets go
    if (!fresh.has(id) && (list.reading() || id === selected)) fresh.set(id, { ...a, ended: true });
  }
  announce(answer.alarms);
  const domains = state?.domains.length;
  state = answer;
  held = fresh;
  beat(answer);
  list.place([...held.values()], selected);
  incidents.take(answer.incidents, answer.alarms);
  calmly(draw);
  if (domains !== answer.domains.length) chart();
}
function beat(answer) {
  pulse = { ...pulse, ...answer, at: performance.now() };
  calmly(top);
}
// For those who listen instead of look: what is new since the page stood, worst first, once each.
function announce(alarms) {
  const fresh = alarms.filter((a) => !list.quiet(a) && !told.has(`${a.id} ${a.severity}`));
  const first = told.size === 0 && !state;
  told = new Set(alarms.map((a) => `${a.id} ${a.severity}`));
  const worst = fresh.sort((a, b) => b.severity - a.severity)[0];
  if (first || !worst) return;
  const w = worst.words[lang()];
  byId("announce").textContent = say("newAlarm", list.levelWord(worst, view.levels), `${w.what} ${w.value}, ${w.place}`);
}
function draw() {
  if (!state) return;
  words();
  session.draw();
  list.draw(held, listView());
  incidents.draw({ ...listView(), choose: (id) => openIncident(id), count: [...held.values()].filter((a) => !a.ended && wanted(a)).length });
  map.draw([...held.values()], view);
  board();
  tiles();
  top();
  side();
}
function board() {
  const alarms = [...held.values()];
  wall.draw(alarms, { levels: view.levels, now_ms: now_ms(), reading });
  sound.update(alarms);
}
function side() {
  const alarm = held.get(selected), incident = incidents.one();
  document.body.classList.toggle("opened", Boolean(alarm || asset || incident));
  if (!alarm && !asset && !channel && incident) { panel.leave(); incidentPanel.draw(incident, view); }
  else if (alarm) panel.showAlarm(alarm, view);
  else if (channel) panel.showChannel(channel, view);
  else if (asset) panel.showAsset(asset, view);
  else panel.clear();
}
function words() {
  const put = (id, name) => byId(id).setAttribute("aria-label", say(name));
  [["tiles", "counts"], ["lists", "list"], ["map", "map"], ["selected", "detail"], ["unacked", "unacked"], ["acked", "acked"], ["worst", "wall.name"]].forEach(([id, name]) => put(id, name));
  duty.words();
  byId("language").textContent = lang() === "zh" ? "English" : "中文";
  byId("help-button").setAttribute("aria-label", say("help"));
  byId("find-button").setAttribute("aria-label", say("find"));
}

function top() {
  if (!state) return;
  const put = (id, text, shown = true) => { byId(id).textContent = text; byId(id).hidden = !shown; };
  const mode = state.replay ? "replay" : state.simulation ? "simulation" : "live";
  put("mode", pulse.behind ? `${say(mode)} · ${say("behind")}` : say(mode));
  put("clock", `${clock(now_ms(), state.zone, true)}${pulse.factor > 1 ? ` ×${pulse.factor}` : ""}`);
  put("age", pulse.data_age_s == null ? say("noData") : say("dataAge", length(pulse.data_age_s)));
  byId("age").classList.toggle("loud", Boolean(pulse.stale));
  put("old", pulse.data_age_s == null ? say("neverData") : say("oldData", length(pulse.data_age_s)), Boolean(pulse.stale));
  health.strip(state, pulse);
  const sight = pulse.blind ? say("blind", length(pulse.heartbeat_age_s)) : "";
  put("blind", sight, Boolean(sight));
  put("limits", state.approved ? say("approved") : say("notApproved"));
  put("banner", state.simulation || state.replay ? say("banner") : "", state.simulation || state.replay);
  put("new", say("newRows", list.waitingCount()), list.waitingCount() > 0);
  const blinds = state.blinds.slice(-1).map((b) => say("blindTimes", clock(b.from_ms, state.zone, true), clock(b.to_ms, state.zone)));
  const problems = [...Object.values(pulse.problems ?? {}), ...(state.more ? [say("more")] : [])];
  const flood = pulse.flood ?? {};
  put("flood", say("flood", clock(flood.since_ms, state.zone), flood.announced ?? "–"), Boolean(flood.since_ms));
  warnings.draw(pulse.warnings ?? [], view);
  put("problems", problems.join(" · "), problems.length > 0);
  put("by-label", say("operator"));
  put("foot", [say("safety"), ...(pulse.watched === false ? [say("unwatched")] : []), ...blinds].join("   ·   "));
}
function tiles() {
  const system = state.counts[""] ? [{ domain: "", en: pick(["system", "系统"]), zh: "系统" }] : [];
  byId("tiles").replaceChildren(...[...state.domains, ...system].map((d) => h("button", { class: "tile", "aria-pressed": String(only === d.domain && Boolean(only)), onclick: () => filter(d.domain) }, h("b", {}, lang() === "zh" ? d.zh : d.en),
    ...state.levels.map((level) => {
      const [all, open] = state.counts[d.domain]?.[level.severity] ?? [0, 0];
      const word = lang() === "zh" ? level.zh : level.name;
      return h("span", { class: `count${all ? "" : " zero"}`, title: word, "aria-label": `${word} ${all}` }, mark(level.severity, open ? "unacked" : ""), String(all));
    }))));
}

function filter(domain) {
  only = only === domain ? "" : domain;
  if (only && held.get(selected) && !wanted(held.get(selected))) selected = "";
  draw();
}
function open(found, itsChannel = "") {
  [selected, asset, channel] = ["", found, itsChannel];
  if (found) map.centre(found.at);
  draw();
}
// Links from elsewhere, such as a dashboard: #alarm=<id>, #asset=<id>, #channel=<id>.
// /code/<id>: the code of an asset, or of a sensor or channel on it.
function followCode() {
  const code = location.pathname.startsWith("/code/") ? decodeURIComponent(location.pathname.slice(6)).replace(/^\/|\/$/g, "") : "";
  if (code) openCode(code);
}
function openCode(code) {
  const id = code.split("/")[0];
  open(map.assetById(id) ?? { id, name: { en: id, zh: id } }, code.split("/").length === 3 ? code : "");
}
function follow() {
  const [name, ...rest] = location.hash.slice(1).split("=");
  let id = rest.join("=");
  try { id = decodeURIComponent(id); } catch { /* a stray % stands for itself */ }
  if (!id || !["alarm", "asset", "channel", "incident"].includes(name)) return followCode();
  if (name === "incident") { incidentPanel.fetchOne(id).then(() => openIncident(id)).catch((error) => tell(error.message)); return; }
  if (name === "alarm") {
    if (held.has(id)) choose(id);
    else tell(say("noSuchAlarm", id));
    return;
  }
  openCode(name === "channel" ? id : id.split("/")[0]);
}
function openIncident(id) {
  list.touch();
  [selected, asset, channel] = ["", null, ""];
  incidents.choose(id);
  draw();
  if (matchMedia("(max-width: 900px)").matches) document.querySelector("main").scrollTop = 0;
}
// Between the two lists; from an alarm to its incident and back.
function other() {
  const its = incidents.of(selected);
  if (!incidents.open() && its) { openIncident(its.id); incidents.focus(); return; }
  incidents.show(!incidents.open());
  if (!incidents.open() || !selected) [selected, asset, channel] = ["", null, ""];
  draw();
}
function back() {
  if (selected && incidents.selected()) { selected = ""; return draw(); } // from an alarm to its incident
  if (channel) channel = "";
  else if (asset) asset = null;
  else if (incidents.selected()) incidents.choose("");
  else return letGo();
  draw();
}
function choose(id, { keyboard = false } = {}) {
  list.touch();
  [selected, asset, channel] = [id, null, ""];
  draw();
  const row = document.querySelector("#alarm-lists .row.chosen");
  if (keyboard) { row?.scrollIntoView({ block: "nearest" }); row?.focus({ preventScroll: true }); }
  if (matchMedia("(max-width: 900px)").matches) document.querySelector("main").scrollTop = 0;
}
function move(by) {
  if (incidents.open()) {
    [selected, asset, channel] = ["", null, ""];
    if (incidents.move(by, wanted)) { draw(); incidents.focus(); }
    return;
  }
  const ids = list.order().filter((id) => held.has(id) && wanted(held.get(id)));
  if (!ids.length) return;
  const at = ids.indexOf(selected);
  choose(ids[Math.min(ids.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : ids.length - 1) : at + by))], { keyboard: true });
}
function letGo({ keep = false } = {}) {
  list.letGo();
  if (!keep) selected = "";
  held = new Map([...held].filter(([, a]) => !a.ended));
  list.place([...held.values()], selected);
  draw();
}
const settle = () => letGo({ keep: true });

function who() {
  if (!session.may("operator")) { tell(say("mayNot")); return ""; }
  if (session.login()) return session.login();
  const by = byId("by").value.trim();
  byId("by").classList.toggle("missing", !by);
  if (!by) { byId("by").focus(); tell(say("askOperator")); }
  return by;
}
let asking = Promise.resolve(); // the acknowledgement under way: the stream may show it before its answer is here
function acknowledge(alarm) {
  if (!alarm || alarm.acked || alarm.ended) return;
  const by = who();
  if (!by) return;
  list.touch();
  asking = acknowledgeBy(alarm, by);
}
async function acknowledgeBy(alarm, by) {
  try {
    const body = { by, comment: byId("comment")?.value ?? "", expected_seq: alarm.seq, command: commandId() };
    const { alarm: told } = await ask(`/api/alarms/${alarm.id}/ack`, body);
    held.set(told.id, told);
    undo = { alarm: told, by, until: performance.now() + UNDO_MS };
    calmly(draw);
    toast();
  } catch (error) { tell(error.message); }
}
async function takeBack() {
  await asking;
  if (!undo) return;
  const { alarm, by } = undo;
  undo = null;
  try {
    const { alarm: told } = await ask(`/api/alarms/${alarm.id}/ack/revoke`, { by, command: commandId() });
    held.set(told.id, told);
    tell(say("undone"));
    calmly(draw);
  } catch (error) { tell(error.message); }
}
// Shelve, note, assign, judge: the dialog orders, and the answer is drawn as if it had streamed in.
function look(alarm) {
  if (!alarm || !who()) return;
  list.touch();
  const close = care.open(alarm, view, async (path, body, said) => {
    try {
      const { alarm: told } = await ask(`/api/alarms/${alarm.id}/${path}`, { by: who(), command: commandId(), ...body });
      close();
      held.set(told.id, told);
      tell(said);
      calmly(draw);
    } catch (error) { tell(error.message); }
  });
}
async function reset(alarm) {
  const by = who();
  const reason = by && window.prompt(say("resetAsk"));
  if (!reason) return;
  try {
    await ask(`/api/alarms/${alarm.id}/reset`, { by, reason, command: commandId() });
    tell(say("resetSent"));
  } catch (error) { tell(error.message); }
}

let toastEnds = 0;
function tell(text) {
  byId("toast").replaceChildren(h("span", {}, text));
  byId("toast").hidden = false;
  toastEnds = performance.now() + 8000;
}
function toast() {
  const left = undo ? Math.ceil((undo.until - performance.now()) / 1000) : 0;
  if (left <= 0) {
    if (undo) { undo = null; byId("toast").hidden = true; }
    return;
  }
  const w = undo.alarm.words[lang()];
  byId("toast").replaceChildren(h("span", {}, say("done", `${w.what} ${w.value} – ${w.place}`)), h("button", { onclick: takeBack }, say("undo", left)));
  byId("toast").hidden = false;
  toastEnds = Infinity;
}
function help() {
  const rows = keys().map(([key, text]) => h("tr", {}, h("td", {}, h("kbd", {}, key)), h("td", {}, text)));
  byId("help").replaceChildren(h("h2", {}, say("help")), h("table", {}, ...rows), h("p", {}, say("safety")));
  if (byId("help").open) byId("help").close();
  else byId("help").showModal();
}
const ORDERS = {
  i: () => other(), j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), a: () => acknowledge(held.get(selected)), s: () => look(held.get(selected)), z: takeBack,
  Enter: () => { if (!selected && !incidents.selected()) move(1); map.centre(held.get(selected || incidents.one()?.first_out)?.at); }, m: () => map.whole(), n: () => settle(), Escape: () => escape(),
  l: () => speak(), w: () => { wall.toggle(); sound.draw(); draw(); }, q: () => sound.toggle(), "/": () => find(view), "?": help, p: () => duty.figures(), u: () => health.open(view), h: () => duty.shift(),
};
// With an incident on the right its own keys come first.
const orderOf = (key) => (incidents.selected() && !selected && !asset && incidents.KEYS[key] ? () => incidents.give(incidents.KEYS[key], view) : ORDERS[key]);
for (let i = 1; i <= 8; i += 1) ORDERS[i] = () => { const d = state?.domains[i - 1]; if (d) filter(d.domain); };
function escape() {
  if (channel || asset || selected || incidents.selected()) return back();
  only = "";
  letGo();
}
function speak() {
  toggle();
  sound.draw();
  draw();
  chart();
}
function chart() {
  map.title();
  if (state) map.legend(state.domains);
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ((event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) && !event.target.closest("dialog:not([open])")) { // a field has the focus for a frame yet when its dialog has closed
    if (document.querySelector("dialog[open]:not(#find)")) return; // its forms answer Enter, the dialog Escape
    if (event.key === "Escape" || event.key === "Enter") event.target.blur();
    return;
  }
  if (event.target instanceof HTMLButtonElement && event.key === "Enter") return;
  if (event.target === byId("map") && (event.key.startsWith("Arrow") || ["Enter", "+", "-", "="].includes(event.key))) return; // the map's own
  const order = orderOf(event.key);
  if (!order || document.querySelector("dialog[open]:not(#help)") || (byId("help").open && event.key !== "?")) return;
  if (event.repeat && event.key === "a") return;
  event.preventDefault();
  order();
});
byId("by").value ||= localStorage.getItem("by") ?? ""; // one may have begun to type before the page began
byId("by").addEventListener("input", () => { localStorage.setItem("by", byId("by").value.trim()); byId("by").classList.remove("missing"); });
byId("language").addEventListener("click", speak);
byId("find-button").addEventListener("click", () => find(view));
byId("help-button").addEventListener("click", help);
byId("health-button").addEventListener("click", () => health.open(view));
byId("show-alarms").addEventListener("click", () => { if (incidents.open()) other(); });
byId("show-incidents").addEventListener("click", () => { if (!incidents.open()) other(); });
byId("new").addEventListener("click", settle);
byId("lists").addEventListener("pointermove", list.touch);
document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { map.recolour(); panel.recolour(); chart(); draw(); }); // what is typed stays

setInterval(() => document.body.classList.toggle("blink"), 500);
function lost() {
  byId("lost").hidden = !lostSince;
  document.body.classList.toggle("lost", Boolean(lostSince));
  if (lostSince) byId("lost").textContent = say("lost", length((performance.now() - lostSince) / 1000));
}
setInterval(() => {
  const silent = performance.now() - heardAt;
  if (silent > 4000 && !lostSince) lostSince = heardAt;
  calmly(lost);
  if (undo) toast();
  if (performance.now() > toastEnds) byId("toast").hidden = true;
  if (state) { calmly(top); board(); }
  list.tick(held, { now_ms: now_ms(), now: reading });
  incidents.tick(now_ms());
  if (state && !list.reading() && list.waitingCount()) calmly(settle);
  const alarm = held.get(selected);
  if (alarm) panel.refresh(alarm, view);
  else if (incidents.one() && !asset && !channel) incidentPanel.tick(incidents.one(), view);
  else if ((asset || channel) && performance.now() - drawnAsset > 4000) { drawnAsset = performance.now(); calmly(side); }
}, 1000);
if (!wall.isOn()) setTimeout(() => library().catch((error) => tell(error.message)), 3000);
wall.show();
sound.start();
panel.clear();
duty.start({ who, name: () => session.login() || byId("by").value.trim(), may: session.may, tell: (text) => tell(text), now_ms, get zone() { return view.zone; } });
// A link is followed once there is something to show: the map's assets and the first state.
const known = session.start({ back: () => source.open(), tell, zone: () => view.zone }).catch((error) => tell(error.message));
const drawn = known.then(() => map.start(() => ask("/api/map/columns"), open)).then(() => { chart(); draw(); }).catch((error) => tell(error.message));
let arrived;
Promise.all([drawn, new Promise((done) => { arrived = done; })]).then(follow);
addEventListener("hashchange", follow);
const source = listen({
  state: (answer) => { try { take(answer); } finally { arrived(); } }, pulse: beat,
  heard: () => { heardAt = performance.now(); lostSince = 0; },
});
addEventListener("pagehide", () => source.close());
draw();
