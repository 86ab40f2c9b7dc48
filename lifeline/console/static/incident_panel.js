// An incident in full: the flow, what may be ordered, alarms, whom it concerns, cameras, what happened.
import { ask } from "./api.js";
import { CAUSES } from "./care.js";
import { byId, dialog, h, mark } from "./dom.js";
import { fieldLog } from "./field_log.js";
import { keyOf, offered } from "./incidents.js";
import { levelWord, markOf } from "./list.js";
import { clock, lang, length, say } from "./words.js";

const AGAIN_MS = 4000;
const FLOW = ["raised", "acknowledged", "verified", "dispatched", "on_site", "mitigated", "closed"];
const RED = 4;
let told = null; // the newest answer about the one shown
let asked = 0;
let missed = ""; // one that could not be had

export const kept = (id) => (told?.incident.id === id ? told.incident : undefined);
export function keep(incident) {
  if (told?.incident.id === incident.id) told.incident = incident;
  asked = 0;
}

export function draw(incident, view) {
  const box = byId("selected");
  const focused = document.activeElement?.id;
  const full = told?.incident.id === incident.id ? told : null;
  const w = incident.words[lang()];
  const badges = [say(`incident.stages.${incident.stage}`), incident.news && say("incident.news"), incident.partial && say("incident.partial"), incident.simulation && say("simulation")]
    .filter(Boolean).map((text) => h("span", { class: "badge" }, text));
  box.replaceChildren(
    h("h2", {}, mark(incident.severity, incident.stage === "raised" || incident.news ? "unacked" : "", incident.active ? "" : "returned"), h("span", {}, `${say("incident.one")} · ${levelWord(incident, view.levels)} · ${w.place}`), ...badges),
    h("p", { class: "sentence" }, h("span", { class: "soft" }, `${say("incident.firstOut")} `), w.sentence),
    ...(incident.handover ? [h("p", { class: "handover", id: "handover" }, h("strong", {}, say("incident.handoverBy", incident.handover_by)), incident.handover)] : []),
    flow(incident, view), h("p", { class: "why", id: "dues" }, dues(incident, view.now_ms())), orders(incident, view),
    incident.partial ? h("p", { class: "why" }, say("incident.partialWhy")) : "",
    ended(incident),
    h("h3", {}, say(incident.members === 1 ? "incident.alone" : "incident.members", incident.members)), h("div", { id: "members", class: "picks" }, ...members(incident, full, view)),
    h("h3", {}, say("incident.concern")), h("div", { id: "concern" }, ...concern(full)),
    ...fieldLog(full?.field, view.zone),
    h("h3", {}, say("history")), h("table", { id: "history", class: "history" }, ...story(full, view)),
  );
  if (focused && focused !== "selected" && box.contains(byId(focused))) byId(focused).focus({ preventScroll: true });
  refresh(incident, view);
}
export function tick(incident, view) {
  if (byId("dues")) byId("dues").textContent = dues(incident, view.now_ms());
  refresh(incident, view);
}

function flow(incident, view) {
  const end = incident.stage === "false_alarm" ? ["false_alarm"] : ["closed"];
  const stages = [...FLOW.slice(0, -1), ...end];
  const at = stages.indexOf(incident.stage);
  return h("ol", { class: "flow", "aria-label": say("incident.flow") }, ...stages.map((stage, n) => {
    const when = n <= at ? incident.reached[stage] : null;
    const by = n <= at ? incident.by[stage] : "";
    return h("li", { class: n === at ? "here" : n < at && when ? "done" : "", "aria-current": n === at ? "step" : null }, h("b", {}, say(`incident.stages.${stage}`)), h("span", {}, when ? [clock(when, view.zone), by].filter(Boolean).join(" ") : "–"));
  }));
}
function dues(incident, now_ms) {
  if (incident.over) return "";
  return incident.dues.filter((d) => !d.met_ms).map((d) => {
    const stage = say(`incident.stages.${d.stage}`), apart = length(Math.abs(now_ms - d.due_ms) / 1000);
    return say(d.due_ms < now_ms ? "incident.overdue" : "incident.due", stage, apart);
  }).join(" · ");
}
// The next step of the flow stands first and filled; what else there is stands beside it.
function orders(incident, view) {
  const back = h("button", { class: "second phone", onclick: view.back }, say("back"));
  if (!view.may("operator")) return h("div", { class: "orders" }, back);
  return h("div", { class: "orders many" }, ...offered(incident).map((name, n) => h("button", {
    id: `order-${name}`, class: n === 0 && incident.orders.length ? null : "second", onclick: () => view.give(name),
  }, `${say(`incident.orders.${name}`)} (${keyOf(name)})`)), back);
}
function ended(incident) {
  if (!incident.over) return "";
  const cause = incident.cause ? say(incident.cause === "returned" ? "incident.returned" : `causes.${incident.cause}`) : "";
  return h("p", { id: "ended" }, h("strong", {}, [say(`incident.stages.${incident.stage}`), cause].filter(Boolean).join(" · ")), incident.reason ? ` – ${incident.reason}` : "");
}
function members(incident, full, view) {
  const known = new Map([...(full?.alarms ?? []), ...view.alarms()].map((a) => [a.id, a]));
  return incident.alarms.map((id) => known.get(id)).filter(Boolean).map((a) => {
    const w = a.words[lang()];
    const state = a.ended ? say("over") : !a.active ? say("returned") : a.acked ? say("ackedWord") : say("incident.stands");
    const marks = [a.id === incident.first_out && say("incident.first"), state].filter(Boolean).join(" · ");
    return h("button", { class: "pick", id: `member-${a.id}`, disabled: !view.has(a.id), onclick: () => view.choose(a.id) }, markOf(a), ` ${w.what} ${w.value} – ${w.place} `, h("span", { class: "soft" }, marks));
  });
}
function concern(full) {
  if (!full) return [];
  if (!full.concern) return [h("p", { class: "none" }, say("incident.noRegistry"))];
  const cameras = full.concern.cameras.map((c) => h("li", {}, h("a", { href: c.url, rel: "noreferrer", target: "_blank" }, say("incident.camera", c.asset))));
  return [...full.concern.says[lang()].map((line) => h("p", { class: "step" }, line)), ...(cameras.length ? [h("ul", { class: "cameras", "aria-label": say("incident.cameras") }, ...cameras)] : [])];
}
function story(full, view) {
  if (!full) return [];
  const words = new Map(full.alarms.map((a) => [a.id, a.words[lang()]]));
  return full.events.slice(-30).reverse().map((e) => {
    const w = words.get(e.alarm);
    const said = [w && `${w.what} ${w.place}`, e.to, e.cause && say(`causes.${e.cause}`), e.reason].filter(Boolean).join(" · ");
    return h("tr", {}, h("td", {}, clock(e.at_ms, view.zone, true)), h("td", {}, say(`incident.events.${e.type}`)), h("td", {}, [e.by, said].filter(Boolean).join(": ")));
  });
}

// Ask for the whole of it: at once when it has changed, else every four seconds.
async function refresh(incident, view) {
  const stale = told?.incident.id !== incident.id || told.incident.seq < incident.seq;
  if (asked && performance.now() - asked < (stale && missed !== incident.id ? 300 : AGAIN_MS)) return;
  asked = performance.now();
  try {
    const answer = await ask(`/api/incidents/${incident.id}`);
    missed = "";
    if (view.incident() !== incident.id) return;
    told = answer;
    view.side();
  } catch (error) {
    missed = incident.id;
    view.tell(error.message);
  }
}
// A link to one that is over, or not in the list: its answer makes it one that can be shown.
export async function fetchOne(id) {
  told = await ask(`/api/incidents/${id}`);
  asked = performance.now();
  return told.incident;
}

const field = (id, text, box) => h("label", { for: id }, h("span", {}, text), box);
// Asks for what an order must say, or may; Enter gives it, Escape leaves it.
export function form(name, incident, send) {
  const must = ["false-alarm", "reopen", "comment", "hand-over"].includes(name);
  const fields = [];
  if (["close", "false-alarm"].includes(name)) {
    fields.push(field("order-cause", say("care.cause"), h("select", { id: "order-cause", required: "" }, h("option", { value: "" }, "–"), ...CAUSES.map((c) => h("option", { value: c }, say(`causes.${c}`))))));
  }
  if (name === "assign") fields.push(field("order-to", say("care.to"), h("input", { id: "order-to", maxlength: "64", autocomplete: "off", value: incident.assigned_to })));
  else fields.push(field("order-reason", say(must ? `incident.says.${name}` : "incident.says.any"), h("input", { id: "order-reason", maxlength: "1000", autocomplete: "off", required: must })));
  const value = (id) => byId(id)?.value.trim();
  const submit = (event) => {
    event.preventDefault();
    const said = { to: value("order-to"), cause: value("order-cause"), reason: value("order-reason") };
    send(Object.fromEntries(Object.entries(said).filter(([, text]) => text !== undefined)), close);
  };
  const early = name === "dispatch" && incident.severity === RED && incident.stage === "acknowledged" ? h("p", { class: "why" }, say("incident.redFirst")) : "";
  const close = dialog(h("h2", {}, `${say(`incident.orders.${name}`)} – ${incident.words[lang()].place}`), early,
    h("form", { class: "care", onsubmit: submit }, ...fields, h("button", { type: "submit" }, say(`incident.orders.${name}`))));
}
