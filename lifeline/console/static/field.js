// The field page: one asset on a phone, what is open there, and what a person does; docs/field.md.
import { ask, commandId, onStranger, trust } from "./api.js";
import { arrive, calibrate, canScan, note, outcome, photo, plain, scan } from "./field_acts.js";
import { entryRow } from "./field_log.js";
import { add, all, drop, put, send } from "./field_store.js";
import { byId, calmly, h, mark } from "./dom.js";
import { clock, lang, length, levelName, say, toggle } from "./words.js";

const ROLES = ["viewer", "operator", "engineer", "admin"], AGAIN_MS = 5000, KEPT = "field-here";
const FORMS = { "on-site": arrive, note, photo, calibrate };
let me = JSON.parse(localStorage.getItem("field-me") ?? "null"); // of the last time there was a link
const loginLink = () => `/login?next=${encodeURIComponent(location.pathname)}`;
let out = false; // logged out
let here = null, old_ms = 0, form = "", gap = false, waiting = [], found = [], failed = "";
const may = (role) => me && ROLES.indexOf(me.role) >= ROLES.indexOf(role);
const asset = () => decodeURIComponent(location.pathname.slice("/field/".length)).split("/")[0];
const by = () => (me?.accounts ? me.login : localStorage.getItem("by") ?? "");
const view = {
  get here() { return here; }, get asset() { return asset(); }, get zone() { return here?.zone ?? "Asia/Shanghai"; },
  may, tell, give, now_ms: () => Date.now(), back: () => { form = ""; draw(); },
};

function tell(text) {
  byId("toast").textContent = text;
  byId("toast").hidden = false;
  clearTimeout(tell.later);
  tell.later = setTimeout(() => { byId("toast").hidden = true; }, 6000);
}
// ── with the server ──────────────────────────────────────────────────────────────────────────
async function known() {
  const told = await ask("/api/me");
  if (me && told.login !== me.login) localStorage.removeItem(KEPT); // what another person saw
  me = told;
  out = false;
  trust(told.csrf ?? "");
  localStorage.setItem("field-me", JSON.stringify({ ...told, csrf: "" }));
}
async function refresh() {
  try {
    await known();
    gap = false;
    const state = (await send(me.login ?? "", count));
    gap = state === "gap";
    if (asset()) keep(await ask(`/api/field/${encodeURIComponent(asset())}`));
    failed = "";
  } catch (error) {
    if (!error.status) gap = true;
    else if (error.status !== 401) { failed = error.message; here = null; }
  }
  await count();
  quietly();
}
function keep(told) {
  here = told;
  old_ms = 0;
  localStorage.setItem(KEPT, JSON.stringify({ told, at_ms: Date.now() }));
}
function remembered() {
  const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
  if (kept?.told.id === asset()) [here, old_ms] = [kept.told, kept.at_ms];
}
async function count() {
  waiting = await all();
  top();
}
async function give(order, body) {
  if (!by()) { tell(say("field.askName")); byId("by")?.focus(); return; }
  const named = me?.accounts ? {} : { by: by() };
  try {
    await add({ asset: asset(), order, body: { ...body, ...named, command: commandId() }, made_ms: Date.now(), login: me?.login ?? "" });
  } catch (error) { tell(say("field.notKept", error.message)); return; }
  form = "";
  await count();
  draw();
  await refresh();
  const open = waiting.filter((o) => !o.refused).length;
  tell(open ? say("field.kept") : say("field.sent"));
}
// ── what is seen ─────────────────────────────────────────────────────────────────────────────
// A form somebody writes in is left alone: only what stands round it is drawn anew.
const quietly = () => calmly(around);
function around() {
  top();
  const at = document.activeElement;
  if (!asset() || form || (at && ["INPUT", "TEXTAREA", "SELECT", "VIDEO"].includes(at.tagName) && byId("here").contains(at))) return;
  const typed = ["as-found", "as-left", "outcome"].some((id) => byId(id)?.value);
  if (!typed) draw();
}
function top() {
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  document.title = `${here ? here.name[lang()] : say("field.title")} · City Lifeline`;
  byId("language").textContent = lang() === "zh" ? "English" : "中文";
  byId("me").textContent = me?.accounts ? `${me.name || me.login} · ${say(`roles.${me.role}`)}` : "";
  byId("banner").hidden = !here?.simulation;
  byId("banner").textContent = say("banner");
  byId("gap").hidden = !gap && !out;
  byId("gap").replaceChildren(out ? h("a", { href: loginLink() }, `${say("login.ended")} – ${say("login.enter")}`) : say("field.gap"));
  byId("waits").hidden = !waiting.length;
  byId("waits").replaceChildren(h("h2", {}, say("field.waits", waiting.length)), h("ul", { id: "waiting" }, ...waiting.map(waitingRow)));
}
function waitingRow(order) {
  const others = order.login !== (me?.login ?? "") ? ` · ${say("field.of", order.login)}` : "";
  const again = () => put({ ...order, refused: "" }).then(refresh), away = () => drop(order).then(count);
  return h("li", {}, h("strong", {}, say(`field.orders.${order.order}`)), ` ${order.asset} · ${clock(order.made_ms, view.zone)}${others} `, h("span", { class: "soft" }, order.body.text ?? ""),
    order.refused ? h("p", { role: "alert" }, say("field.refused", order.refused)) : null,
    order.refused ? h("div", { class: "row" }, h("button", { onclick: again }, say("field.again")), h("button", { onclick: away }, say("field.away"))) : null);
}
function draw() {
  top();
  byId("here").replaceChildren(...(asset() ? one() : door()));
}
function door() {
  const code = h("input", { id: "code", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "200", required: true, enterkeyhint: "go" });
  const video = h("video", { id: "camera", playsinline: true, muted: true, hidden: true });
  const look = () => { video.hidden = false; scan(video, open, (why) => { video.hidden = true; tell(say("field.noCamera", why)); }); };
  return [
    h("h1", {}, say("field.title")),
    h("form", { id: "find", onsubmit: (event) => { event.preventDefault(); seek(plain(code.value)); } },
      h("label", { for: "code" }, h("span", {}, say("field.code")), code),
      h("div", { class: "row" }, h("button", { type: "submit", class: "first" }, say("field.open")), canScan() ? h("button", { type: "button", id: "scan", onclick: look }, say("field.scan")) : null)),
    video, h("p", { class: "soft" }, say("field.plate")),
    h("ul", { id: "found" }, ...found.map((each) => h("li", {}, h("button", { onclick: () => open(each.id) }, each.name[lang()]), h("p", { class: "soft" }, each.id)))),
  ];
}
async function seek(text) {
  try {
    found = (await ask(`/api/find?q=${encodeURIComponent(text)}`)).assets;
    const exact = found.find((each) => each.id === text.split("/")[0]);
    if (exact || found.length === 1) { open((exact ?? found[0]).id); return; }
    if (!found.length) tell(say("field.nothing", text));
    draw();
  } catch (error) {
    if (error.status) tell(error.message);
    else open(text); // without a link: the code itself, perhaps of what was seen last
  }
}
function open(code) {
  history.pushState(null, "", `/field/${encodeURIComponent(code.split("/")[0])}`);
  arrived();
}
function arrived() {
  [here, form, failed, old_ms] = [null, "", "", 0];
  remembered();
  draw();
  refresh();
}
function one() {
  const head = h("h1", {}, here ? here.name[lang()] : asset());
  if (failed) return [head, h("p", { role: "alert" }, failed), h("div", { class: "acts" }, h("a", { class: "act", href: "/field" }, say("back")))];
  const told = here ? [
    h("p", { class: "soft" }, h("span", { id: "asset" }, here.id), here.at ? ` · ${here.at[1].toFixed(5)}, ${here.at[0].toFixed(5)}` : ""),
    old_ms ? h("p", { id: "old" }, h("strong", {}, say("field.old", length((Date.now() - old_ms) / 1000)))) : null,
  ] : [h("p", { class: "soft" }, gap ? say("field.unseen") : say("field.asking"))];
  const acts = form ? [FORMS[form](view)] : [actions(), ...works().map((work) => outcome(work, view))];
  return [head, ...told, ...acts, ...(here ? open_here() : [])].filter(Boolean);
}
function actions() {
  if (me && !may("operator")) return h("p", { id: "may-not" }, say("mayNot"));
  const name = me && !me.accounts ? h("label", { for: "by", class: "wide" }, h("span", {}, say("operator")), h("input", { id: "by", maxlength: "64", autocomplete: "name", value: by(), onchange: (e) => localStorage.setItem("by", e.target.value.trim()) })) : null;
  const press = (order, first) => h("button", { id: `do-${order}`, class: first ? "first" : null, disabled: order === "calibrate" && !here, onclick: () => { form = order; draw(); byId("here").querySelector("form")?.scrollIntoView(); byId("said")?.focus(); } }, say(`field.orders.${order}`));
  return h("div", { class: "acts", id: "acts" }, name, press("on-site", true), press("note"), press("photo"), press("calibrate"));
}
// Calibrations whose result is not noted: those told, and those that wait in the phone. The newest first, one at a time.
function works() {
  const noted = new Set([...(here?.entries ?? []).filter((e) => e.did === "result").map((e) => e.of), ...waiting.filter((o) => o.order === "result").map((o) => o.body.of)]);
  const mine = waiting.filter((o) => o.order === "calibrate" && o.asset === asset() && !o.refused)
    .map((o) => ({ of: o.body.command, until_ms: o.made_ms + o.body.minutes * 60000, by: o.login || o.body.by, subject: o.body.subject }));
  const told = (here?.entries ?? []).filter((e) => e.did === "calibrate").map((e) => ({ of: e.id, until_ms: e.until_ms, by: e.by, subject: e.subject }));
  return [...mine, ...told].filter((work) => !noted.has(work.of)).slice(0, 1);
}
function open_here() {
  const list = (id, title, rows) => [h("h2", {}, say(title)), rows.length ? h("ul", { id }, ...rows) : h("p", { class: "soft" }, say("none"))];
  return [
    ...list("alarms", "openAlarms", here.alarms.map(alarmRow)), ...list("incidents", "incident.title", here.incidents.map(incidentRow)),
    ...list("values", "channels", here.channels.map(channelRow)), ...list("entries", "field.log", here.entries.map((e) => entryRow(e, view.zone))),
  ];
}
function alarmRow(a) {
  const w = a.words[lang()], state = a.word === "OOSRV" ? say("field.oosrv") : a.acked ? say("ackedWord") : say("unacked");
  return h("li", {}, mark(a.severity), h("strong", {}, ` ${levelName(a.severity)} ${w.what} ${w.value}`), h("p", { class: "soft" }, `${state} · ${clock(a.onset_ms, view.zone, true)}`));
}
function incidentRow(incident) {
  return h("li", {}, mark(incident.severity), h("strong", {}, ` ${incident.words[lang()].what}`), h("p", { class: "soft" }, `${say(`incident.stages.${incident.stage}`)} · ${say(incident.members === 1 ? "incident.alone" : "incident.members", incident.members)}`));
}
function channelRow(c) {
  const value = c.value === null ? say("noData") : `${Number(c.value).toFixed(c.decimals ?? 2)} ${c.unit_word}`;
  return h("li", {}, `${c.label[lang()]} `, h("strong", {}, value), h("p", { class: "soft" }, [c.quality === "good" ? "" : say(`quality.${c.quality}`), c.last_ms ? clock(c.last_ms, view.zone, true) : ""].filter(Boolean).join(" · ")));
}
// A form somebody writes in stays; what it gives is kept, and sent once they have come in again.
onStranger(() => {
  localStorage.removeItem(KEPT);
  out = true;
  if (!form) location.assign(loginLink());
});
byId("language").addEventListener("click", () => { toggle(); draw(); });
byId("home").addEventListener("click", (event) => { event.preventDefault(); history.pushState(null, "", "/field"); found = []; arrived(); });
window.addEventListener("popstate", arrived);
window.addEventListener("online", refresh);
window.addEventListener("offline", () => { gap = true; quietly(); });
document.addEventListener("visibilitychange", () => document.hidden || refresh());
setInterval(() => { if (!document.hidden || waiting.length) refresh(); }, AGAIN_MS);
navigator.serviceWorker?.register("/field-worker.js", { scope: "/field" }).catch(() => {}); // without one it works, but opens with a link only
navigator.storage?.persist?.();
count().then(arrived, (error) => { arrived(); tell(say("field.notKept", error.message)); });
