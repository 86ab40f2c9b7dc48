// The two lists. A row keeps its place while one reads; new rows wait and announce themselves.
import { byId, h, mark } from "./dom.js";
import { arrow, valued } from "./numbers.js";
import { lang, say } from "./words.js";

const READING_MS = 20000, STANDING_MS = 86400000; // EEMUA 191 counts an alarm of a day as standing
const FLOOD_MS = 600000; // the window in which a flood gathered before it was one
const places = { unacked: [], acked: [] }; // ids in the order shown
let waiting = new Set();
let touched = -READING_MS;

export const touch = () => { touched = performance.now(); };
export const letGo = () => { touched = -READING_MS; };
export const reading = () => performance.now() - touched < READING_MS;
// What is held by design or by maintenance waits beside what was acknowledged: it is no call.
export const quiet = (a) => a.acked || a.held.length > 0;
export const order = () => [...places.unacked, ...places.acked];
export const waitingCount = () => waiting.size;

const worstFirst = (a, b) => b.severity - a.severity || (b.raised_ms ?? 0) - (a.raised_ms ?? 0) || (a.id < b.id ? -1 : 1);

// Take the newest alarms. Sorts everything anew unless somebody reads.
export function place(alarms, selected) {
  const held = new Map(alarms.map((a) => [a.id, a]));
  const busy = reading() && order().length > 0;
  if (!busy) {
    const sorted = [...alarms].filter((a) => !a.ended).sort(worstFirst);
    places.unacked = sorted.filter((a) => !quiet(a)).map((a) => a.id);
    places.acked = sorted.filter(quiet).map((a) => a.id);
    waiting = new Set();
    return;
  }
  const shown = new Set(order());
  waiting = new Set(alarms.filter((a) => !a.ended && !shown.has(a.id)).map((a) => a.id));
  for (const section of Object.keys(places)) {
    places[section] = places[section].filter((id) => held.has(id) || id === selected);
  }
}

export function elapsed(alarm, now_ms) {
  const s = Math.max(0, Math.round((now_ms - (alarm.onset_ms ?? alarm.event_ms)) / 1000));
  const u = lang() === "zh" ? ["秒", "分", "时", "天"] : [" s", " m", " h", " d"];
  const two = (n) => String(n).padStart(2, "0");
  const [days, hours, minutes] = [Math.floor(s / 86400), Math.floor(s / 3600), Math.floor(s / 60)];
  if (hours >= 48) return `${days}${u[3]}`;
  if (hours) return `${hours}${u[2]} ${two(minutes % 60)}${u[1]}`;
  return minutes ? `${minutes}${u[1]} ${two(s % 60)}${u[0]}` : `${s}${u[0]}`;
}

export function markOf(alarm, size) {
  const state = quiet(alarm) || alarm.ended ? "" : "unacked";
  return mark(alarm.severity, state, alarm.active ? "" : "returned", size);
}

export function levelWord(alarm, levels) {
  const level = levels.find((x) => x.severity === alarm.severity);
  return level ? (lang() === "zh" ? level.zh : level.name) : "";
}

// How the alarm stands, in badges for list and detail alike: nobody has heard of its channel for three
// intervals (its condition is as last known), and it stands for more than a day (ISA-18.2 calls that stale).
export function oldness(alarm, now, now_ms) {
  const unheard = alarm.active && alarm.gap_ms && now && now_ms - now.at_ms > Math.max(alarm.gap_ms, 60000);
  return [unheard && say("care.unheard"), alarm.active && now_ms - alarm.raised_ms > STANDING_MS && say("care.stands")].filter(Boolean);
}

const oldText = (alarm, now, now_ms, after) => { const said = oldness(alarm, now, now_ms).join(" · "); return said && after ? ` · ${said}` : said; };

// What the channel says now; where it says nothing, what the alarm was raised with.
export function reads(alarm, now) {
  if (!now || alarm.late) return alarm.words[lang()].value;
  return `${valued(now.value, alarm)} ${arrow(now, alarm.decimals)}`.trim();
}

// The first of a flood, by onset: what began is looked at before what followed.
export function firstOf(alarms, flood) {
  if (!flood?.since_ms) return "";
  const of = alarms.filter((a) => !a.ended && a.raised_ms >= flood.since_ms - FLOOD_MS);
  return of.sort((a, b) => (a.onset_ms ?? a.raised_ms) - (b.onset_ms ?? b.raised_ms) || (a.id < b.id ? -1 : 1))[0]?.id ?? "";
}

// A row is made anew only when its alarm, or how it stands here, has changed; `tick` moves its numbers.
const made = new WeakMap();
function row(alarm, view) {
  const key = [lang(), alarm.id === view.selected, view.firstOut === alarm.id, places.unacked.includes(alarm.id), alarm.ended, view.levels.length].join();
  const held = made.get(alarm);
  if (held?.key === key) return held.element;
  const element = rowOf(alarm, view);
  made.set(alarm, { key, element });
  return element;
}
function rowOf(alarm, { selected, levels, choose, now_ms, now, firstOut }) {
  const w = alarm.words[lang()];
  const notes = [
    alarm.acked && places.unacked.includes(alarm.id) && say("ackedWord"), alarm.ended ? say("over") : !alarm.active && say("returned"),
    ...alarm.held.map((held) => say(held.hold, held.cause)), !alarm.confirmed && say("unconfirmed"), alarm.over_range && say("overRange"), alarm.late && say("late"),
    alarm.chattering && say("care.chatters"), firstOut === alarm.id && say("care.first"),
    alarm.assigned_to && say("care.with", alarm.assigned_to),
  ].filter(Boolean);
  const chosen = alarm.id === selected;
  return h("li", {
    class: `row${chosen ? " chosen" : ""}${alarm.ended ? " over" : ""}`, "data-id": alarm.id, "data-word": alarm.word,
    role: "option", tabindex: chosen ? "0" : "-1", "aria-selected": String(chosen), onclick: () => choose(alarm.id),
  },
  markOf(alarm),
  h("span", { class: "elapsed", "data-onset": alarm.id }, elapsed(alarm, now_ms)),
  h("span", { class: "what" }, `${w.what} `, h("em", { "data-now": alarm.id }, reads(alarm, now(alarm)))),
  h("span", { class: "level" }, levelWord(alarm, levels)),
  h("span", { class: "place" }, w.place),
  h("span", { class: "notes" }, notes.join(" · "), h("span", { "data-old": alarm.id }, oldText(alarm, now(alarm), now_ms, notes.length > 0))));
}

export function draw(held, view) {
  const rowsOf = () => [...byId("alarm-lists").querySelectorAll(".row")];
  const hadFocus = rowsOf().includes(document.activeElement);
  for (const section of ["unacked", "acked"]) {
    const rows = places[section].map((id) => held.get(id)).filter((a) => a && view.wanted(a));
    const count = rows.filter((a) => !a.ended && quiet(a) === (section === "acked")).length;
    byId(`${section}-title`).replaceChildren(h("span", {}, `${say(section)} ${count}`), view.only ? h("span", { class: "only" }, say("only", view.only)) : "");
    const silence = view.only ? say("quietHere") : say("quiet");
    const none = h("li", { class: "none", role: "presentation" }, section === "unacked" && ![...held.values()].some(view.wanted) ? silence : say("none"));
    byId(section).setAttribute("role", rows.length ? "listbox" : "group"); // a listbox without options is none
    byId(section).replaceChildren(...(rows.length ? rows.map((a) => row(a, view)) : [none]));
  }
  if (!rowsOf().some((r) => r.tabIndex === 0)) rowsOf()[0]?.setAttribute("tabindex", "0");
  if (hadFocus) rowsOf().find((r) => r.classList.contains("chosen"))?.focus({ preventScroll: true });
}

export function tick(held, { now_ms, now }) {
  for (const cell of document.querySelectorAll("[data-onset]")) {
    const alarm = held.get(cell.dataset.onset);
    if (alarm) cell.textContent = elapsed(alarm, now_ms);
  }
  for (const cell of document.querySelectorAll("[data-now]")) {
    const alarm = held.get(cell.dataset.now);
    if (alarm && !alarm.ended) cell.textContent = reads(alarm, now(alarm));
  }
  for (const cell of document.querySelectorAll("[data-old]")) {
    const alarm = held.get(cell.dataset.old);
    if (alarm) cell.textContent = oldText(alarm, now(alarm), now_ms, Boolean(cell.previousSibling?.textContent));
  }
}
