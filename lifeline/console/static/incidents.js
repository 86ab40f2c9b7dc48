// Incidents: alarms of one cause in one row. The list, which one is chosen, and what is ordered of it.
import { ask, commandId } from "./api.js";
import { byId, h, mark } from "./dom.js";
import * as panel from "./incident_panel.js";
import { elapsed, levelWord, reading, touch } from "./list.js";
import { lang, length, say } from "./words.js";

// What each key orders, in the order of the flow; false alarm and reopening beside it.
export const KEYS = {
  a: "acknowledge", v: "verify", d: "dispatch", o: "on-site", c: "mitigate", x: "close", f: "false-alarm", r: "reopen",
  w: "assign", t: "comment", h: "hand-over",
};
const NOTES = ["assign", "comment", "hand-over"]; // these move no stage
let held = new Map(); // by id, in no order
let order = []; // ids as shown
let shown = false; // this list instead of the alarms
let chosen = "";

export const open = () => shown;
export const selected = () => chosen;
export const one = () => held.get(chosen) ?? panel.kept(chosen);
export const of = (alarmId) => [...held.values()].find((i) => i.alarms.includes(alarmId));
export const overdue = (incident, now_ms) => incident.dues.filter((d) => !incident.over && !d.met_ms && d.due_ms < now_ms);

const worstFirst = (a, b) => b.severity - a.severity || (b.raised_ms ?? 0) - (a.raised_ms ?? 0) || (a.id < b.id ? -1 : 1);

// Take the newest; rows keep their place while one reads, and new ones come below.
export function take(incidents, alarms) {
  const words = new Map(alarms.map((a) => [a.id, a.words])); // of its first-out, where that is listed
  held = new Map(incidents.map((i) => [i.id, { ...i, words: i.words ?? words.get(i.first_out) }]));
  const sorted = [...incidents].sort(worstFirst).map((i) => i.id);
  const stay = reading() ? order.filter((id) => held.has(id)) : [];
  order = [...stay, ...sorted.filter((id) => !stay.includes(id))];
}
export function choose(id) {
  chosen = id;
  if (id) shown = true;
}
export function show(on) {
  shown = on;
  if (!on) chosen = "";
}
export function move(by, wanted) {
  const ids = order.filter((id) => wanted(held.get(id)));
  if (!ids.length) return false;
  const at = ids.indexOf(chosen);
  chosen = ids[Math.min(ids.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : ids.length - 1) : at + by))];
  touch();
  return true;
}
export const focus = () => { const row = document.querySelector(".inc.chosen"); row?.scrollIntoView({ block: "nearest" }); row?.focus({ preventScroll: true }); };

function notes(i, now_ms) {
  const late = overdue(i, now_ms).map((d) => say("incident.overdue", say(`incident.stages.${d.stage}`), length((now_ms - d.due_ms) / 1000)));
  return [
    say(`incident.stages.${i.stage}`), say(i.members === 1 ? "incident.alone" : "incident.members", i.members), i.partial && say("incident.partial"),
    i.news && say("incident.news"), ...late, !i.active && say("returned"), i.assigned_to && say("care.with", i.assigned_to), i.handover && say("incident.handed"),
  ].filter(Boolean).join(" · ");
}
function row(i, { levels, now_ms, choose: pick }) {
  const w = i.words[lang()];
  const isChosen = i.id === chosen;
  const call = i.stage === "raised" || i.news ? "unacked" : "";
  return h("li", {
    class: `row inc${isChosen ? " chosen" : ""}`, "data-incident": i.id, "data-stage": i.stage, role: "option", tabindex: isChosen ? "0" : "-1",
    "aria-selected": String(isChosen), onclick: () => pick(i.id),
  },
  mark(i.severity, call, i.active ? "" : "returned"),
  h("span", { class: "elapsed", "data-raised": i.id }, elapsed({ onset_ms: i.raised_ms }, now_ms)),
  h("span", { class: "what" }, w.what), h("span", { class: "level" }, levelWord(i, levels)), h("span", { class: "place" }, w.place),
  h("span", { class: "notes", "data-notes": i.id }, notes(i, now_ms)));
}
export function draw(view) {
  const rows = order.map((id) => held.get(id)).filter(view.wanted);
  const hadFocus = document.activeElement?.classList.contains("inc");
  byId("alarm-lists").hidden = shown;
  byId("incident-lists").hidden = !shown;
  for (const [id, on, text] of [["show-alarms", !shown, say("incident.showAlarms", view.count)], ["show-incidents", shown, say("incident.showIncidents", rows.length)]]) {
    byId(id).textContent = text;
    byId(id).setAttribute("aria-pressed", String(on));
  }
  byId("incidents").setAttribute("aria-label", say("incident.title"));
  byId("incidents").setAttribute("role", rows.length ? "listbox" : "group"); // a listbox without options is none
  byId("incidents").replaceChildren(...(rows.length ? rows.map((i) => row(i, view)) : [h("li", { class: "none", role: "presentation" }, say("incident.none"))]));
  if (!document.querySelector(".inc[tabindex='0']")) document.querySelector(".inc")?.setAttribute("tabindex", "0");
  if (hadFocus) document.querySelector(".inc.chosen")?.focus({ preventScroll: true });
}
export function tick(now_ms) {
  for (const cell of document.querySelectorAll("[data-raised]")) {
    const i = held.get(cell.dataset.raised);
    if (i) cell.textContent = elapsed({ onset_ms: i.raised_ms }, now_ms);
  }
  for (const cell of document.querySelectorAll("[data-notes]")) {
    const i = held.get(cell.dataset.notes);
    if (i) cell.textContent = notes(i, now_ms);
  }
}

// What may be ordered now, by name: steps the server offers, and notes where all of it is seen.
export const offered = (i) => [...i.orders, ...NOTES.filter((name) => name === "comment" || (!i.partial && !i.over))];
export const keyOf = (name) => Object.keys(KEYS).find((key) => KEYS[key] === name);

// Carries out an order: what wants words asks for them first. ``who`` gives the name or "" and says so.
export function give(name, view) {
  const i = one();
  if (!i) return;
  if (!offered(i).includes(name)) { view.tell(say("incident.notNow", say(`incident.orders.${name}`), say(`incident.stages.${i.stage}`))); return; }
  if (!view.who()) return;
  touch();
  const send = async (said, close) => {
    const body = { by: view.who(), command: commandId(), ...(NOTES.includes(name) ? {} : { expected_seq: i.seq }), ...said };
    try {
      const { incident } = await ask(`/api/incidents/${i.id}/${name}`, body);
      close();
      if (incident.over) held.delete(incident.id);
      else held.set(incident.id, incident);
      if (!incident.over && !order.includes(incident.id)) order.push(incident.id);
      panel.keep(incident);
      view.tell(say("incident.done", say(`incident.orders.${name}`), say(`incident.stages.${incident.stage}`)));
      view.draw();
    } catch (error) { view.tell(error.message); }
  };
  if (name === "acknowledge") send({}, () => {}); // it has no form: one opened meanwhile is another's
  else panel.form(name, i, send);
}
