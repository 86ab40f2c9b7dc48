// The two lists. A row keeps its place while one reads; new rows wait and announce themselves.
import { byId, h, mark } from "./dom.js";
import { lang, length, say } from "./words.js";

const READING_MS = 20000;
const places = { unacked: [], acked: [] }; // ids in the order shown
let waiting = new Set();
let touched = -READING_MS;

export const touch = () => { touched = performance.now(); };
export const letGo = () => { touched = -READING_MS; };
export const reading = () => performance.now() - touched < READING_MS;
export const order = () => [...places.unacked, ...places.acked];
export const waitingCount = () => waiting.size;

const worstFirst = (a, b) => b.severity - a.severity || (b.raised_ms ?? 0) - (a.raised_ms ?? 0) || (a.id < b.id ? -1 : 1);

// Take the newest alarms. Sorts everything anew unless somebody reads.
export function place(alarms, selected) {
  const held = new Map(alarms.map((a) => [a.id, a]));
  const busy = reading() && order().length > 0;
  if (!busy) {
    const sorted = [...alarms].filter((a) => !a.ended).sort(worstFirst);
    places.unacked = sorted.filter((a) => !a.acked).map((a) => a.id);
    places.acked = sorted.filter((a) => a.acked).map((a) => a.id);
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
  if (s >= 172800) return `${Math.floor(s / 86400)} d`;
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${two(minutes)}:${two(s % 60)}`;
}

export function markOf(alarm, size) {
  const state = alarm.acked || alarm.ended ? "" : "unacked";
  return mark(alarm.severity, state, alarm.active ? "" : "returned", size);
}

export function levelWord(alarm, levels) {
  const level = levels.find((x) => x.severity === alarm.severity);
  return level ? (lang() === "zh" ? level.zh : level.name) : "";
}

function row(alarm, { selected, levels, choose, now_ms }) {
  const w = alarm.words[lang()];
  const notes = [
    alarm.acked && places.unacked.includes(alarm.id) && say("ackedWord"), alarm.ended ? say("over") : !alarm.active && say("returned"),
    !alarm.confirmed && say("unconfirmed"), alarm.over_range && say("overRange"), alarm.late && say("late"),
  ].filter(Boolean).join(" · ");
  const made = h("li", {
    class: `row${alarm.id === selected ? " chosen" : ""}${alarm.ended ? " over" : ""}`, "data-id": alarm.id,
    "data-word": alarm.word, tabindex: "-1", "aria-current": alarm.id === selected ? "true" : null, onclick: () => choose(alarm.id),
  },
  markOf(alarm),
  h("span", { class: "elapsed", "data-onset": alarm.id }, elapsed(alarm, now_ms)),
  h("span", { class: "what" }, `${w.what} `, h("em", {}, w.value)),
  h("span", { class: "level" }, levelWord(alarm, levels)),
  h("span", { class: "place" }, [w.place, notes].filter(Boolean).join(" · ")));
  return made;
}

export function draw(held, view) {
  for (const section of ["unacked", "acked"]) {
    const rows = places[section].map((id) => held.get(id)).filter(Boolean);
    const count = rows.filter((a) => !a.ended && a.acked === (section === "acked")).length;
    byId(`${section}-title`).textContent = `${say(section)} ${count}`;
    const none = h("li", { class: "none" }, section === "unacked" && !held.size ? say("quiet") : say("none"));
    byId(section).replaceChildren(...(rows.length ? rows.map((a) => row(a, view)) : [none]));
  }
}

export function tick(held, now_ms) {
  for (const cell of document.querySelectorAll("[data-onset]")) {
    const alarm = held.get(cell.dataset.onset);
    if (alarm) cell.textContent = elapsed(alarm, now_ms);
  }
}
