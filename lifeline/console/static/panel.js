// The selected alarm: one sentence, why, the trend, what can be ordered, what happened.
import { ask } from "./api.js";
import { byId, h } from "./dom.js";
import { levelWord, markOf } from "./list.js";
import { drawTrend } from "./trend.js";
import { clock, lang, say } from "./words.js";

const HOUR = 3600000;
let span = 6 * HOUR;
let shown = "";
let shownSeq = 0;
let asked = 0;

export function clear() {
  shown = "";
  byId("selected").replaceChildren(h("p", { class: "none" }, say("nothing")));
}

// Draws the words anew and leaves the trend's element and the comment where they are.
export function show(alarm, view) {
  const box = byId("selected");
  const comment = byId("comment")?.value ?? "";
  const focused = document.activeElement?.id === "comment";
  const w = alarm.words[lang()];
  const badges = [
    !alarm.confirmed && say("unconfirmed"), !alarm.active && say("returned"), alarm.over_range && say("overRange"),
    alarm.late && say("late"), alarm.ended && say("over"), alarm.simulation && say("simulation"),
  ].filter(Boolean).map((text) => h("span", { class: "badge" }, text));
  const same = shown === alarm.id;
  const trend = (same && byId("trend")) || h("div", { id: "trend" });
  const history = (same && byId("history")) || h("table", { class: "history", id: "history" });
  box.replaceChildren(
    h("h2", {}, markOf(alarm), `${levelWord(alarm, view.levels)} · ${w.place}`, ...badges),
    h("p", { class: "sentence" }, w.sentence.slice(0, w.sentence.length - (w.why ? w.why.length : 0)).replace(/[;；]\s*$/, "")),
    h("p", { class: "why" }, w.why),
    orders(alarm, view, comment),
    alarm.channel ? ranges(alarm, view) : h("p", { class: "none" }, say("noTrend")),
    ...(alarm.channel ? [trend] : []),
    history,
  );
  if (focused) byId("comment")?.focus();
  if (!same || shownSeq !== alarm.seq) asked = 0;
  [shown, shownSeq] = [alarm.id, alarm.seq];
  refresh(alarm, view);
}

function orders(alarm, view, comment) {
  if (alarm.acked) {
    const by = say("ackedBy", alarm.acked_by, clock(alarm.acked_ms, view.zone));
    return h("div", { class: "orders" }, h("span", { class: "why" }, alarm.comment ? `${by}: ${alarm.comment}` : by), resetButton(alarm, view));
  }
  return h("div", { class: "orders" },
    h("button", { id: "ack", onclick: () => view.acknowledge(alarm) }, say("ack")),
    h("input", { id: "comment", value: comment, placeholder: say("comment"), maxlength: "1000" }),
    resetButton(alarm, view));
}

function resetButton(alarm, view) {
  return alarm.over_range ? h("button", { class: "second", onclick: () => view.reset(alarm) }, say("reset")) : null;
}

function ranges(alarm, view) {
  const buttons = [1, 6, 24, 168].map((hours) => h("button", {
    class: "plain", "aria-pressed": String(span === hours * HOUR),
    onclick: () => { span = hours * HOUR; asked = 0; show(alarm, view); },
  }, hours < 48 ? `${hours} h` : `${hours / 24} d`));
  return h("div", { class: "ranges" }, ...buttons, h("span", { class: "space" }), alarm.channel);
}

// Fetch trend and history, at most every four seconds.
export async function refresh(alarm, view) {
  if (performance.now() - asked < 4000 && asked) return;
  asked = performance.now();
  try {
    const detail = await ask(`/api/alarms/${alarm.id}`);
    if (shown !== alarm.id) return;
    byId("history")?.replaceChildren(...detail.events.slice(-12).reverse().map((e) => h("tr", {},
      h("td", {}, clock(e.event_ms, view.zone, true)), h("td", {}, e.type), h("td", {}, e.by ? `${e.by}${e.comment ? `: ${e.comment}` : ""}` : ""))));
    if (!alarm.channel) return;
    const to = Math.round(view.now_ms());
    const told = await ask(`/api/trend?channel=${encodeURIComponent(alarm.channel)}&from=${to - span}&to=${to}`);
    if (shown === alarm.id && byId("trend")) await drawTrend(byId("trend"), told, alarm, view.zone);
  } catch (error) {
    view.tell(error.message);
  }
}
