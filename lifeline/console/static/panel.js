// The right side: an alarm, an asset or one channel; always value, limit, distance, age, trend.
import { ask } from "./api.js";
import { drawAsset } from "./asset.js";
import { line as careLine } from "./care.js";
import { byId, h, mark } from "./dom.js";
import { levelWord, markOf, oldness } from "./list.js";
import { arrow, distance, label, moving, nearest, number, old, valued } from "./numbers.js";
import { sayOutlook } from "./outlook.js";
import { similar } from "./similar.js";
import { drawTrend } from "./trend.js";
import { clock, lang, levelName, say } from "./words.js";

const HOUR = 3600000, AGAIN_MS = 4000;
let span = 6 * HOUR;
let shown = ""; // what stands there, and how new
let shownSeq = 0;
let asked = 0;
let told = null; // the newest trend answer of the channel shown

export function clear() {
  shown = "";
  told = null;
  byId("selected").replaceChildren(h("p", { class: "none" }, say("nothing")));
}
export const recolour = () => { asked = 0; }; // the trend is drawn anew
export const leave = () => { [shown, told] = ["", null]; }; // something else takes the right side
const keep = (same, id, tag, attributes = {}) => (same && byId(id)) || h(tag, { id, ...attributes });

// Draws the words anew and leaves the trend's element and the comment where they are.
export function showAlarm(alarm, view) {
  const box = byId("selected");
  const comment = byId("comment")?.value ?? "";
  const focused = document.activeElement?.id;
  const w = alarm.words[lang()];
  const badges = [
    !alarm.confirmed && say("unconfirmed"), !alarm.active && say("returned"), alarm.over_range && say("overRange"),
    alarm.late && say("late"), alarm.ended && say("over"), alarm.simulation && say("simulation"),
  ].filter(Boolean).map((text) => h("span", { class: "badge" }, text));
  const same = shown === alarm.id;
  if (!same) told = null;
  box.replaceChildren(
    h("h2", {}, markOf(alarm), h("span", {}, `${levelWord(alarm, view.levels)} · ${w.place}`), ...badges, h("span", { id: "oldness" })),
    h("p", { class: "sentence" }, w.sentence.slice(0, w.sentence.length - (w.why ? w.why.length : 0)).replace(/[;；]\s*$/, "")),
    keep(same, "now", "div"),
    orders(alarm, view, comment), h("p", { class: "why", id: "cared" }, careLine(alarm)),
    ...(alarm.channel ? trendParts(alarm.channel, same, view, () => showAlarm(alarm, view)) : [h("p", { class: "none" }, say("noTrend"))]),
    keep(same, "todo", "div"), h("p", { class: "why" }, w.why),
    h("h3", {}, say("history")), keep(same, "history", "table", { class: "history" }),
    keep(same, "similar", "section"),
  );
  if (["comment", "ack"].includes(focused)) byId(focused)?.focus();
  if (!same || shownSeq !== alarm.seq) asked = 0;
  [shown, shownSeq] = [alarm.id, alarm.seq];
  aged(alarm, view);
  if (told) { numbers(alarm, view); sayOutlook(byId("outlook"), told, view); }
  refresh(alarm, view);
}

// As last known, or standing too long: moves with the clock, so in an element of its own.
function aged(alarm, view) {
  const said = oldness(alarm, view.reading(alarm), view.now_ms());
  const box = byId("oldness");
  if (box && box.textContent !== said.join("")) box.replaceChildren(...said.map((text) => h("span", { class: "badge" }, text)));
}

function trendParts(channel, same, view, again) {
  return [ranges(channel, again), keep(same, "trend", "div"), keep(same, "outlook", "div"), keep(same, "beside", "div")];
}

function orders(alarm, view, comment) {
  const onMap = h("button", { class: "second phone", onclick: () => view.toMap(alarm) }, say("onMap"));
  const back = h("button", { class: "second phone", onclick: view.back }, say("back"));
  const its = view.of(alarm.id);
  const whole = its ? h("button", { id: "its-incident", class: "second", onclick: () => view.toIncident(its.id) }, say("incident.open")) : null;
  const may = view.may("operator"); // what one may not do is not offered
  const more = may ? h("button", { id: "more", class: "second", onclick: () => view.care(alarm) }, say("care.open")) : null;
  if (alarm.acked) {
    const by = say("ackedBy", alarm.acked_by, clock(alarm.acked_ms, view.zone));
    return h("div", { class: "orders" }, h("span", { class: "why" }, alarm.comment ? `${by}: ${alarm.comment}` : by), resetButton(alarm, view), more, whole, onMap, back);
  }
  if (!may) return h("div", { class: "orders" }, whole, onMap, back);
  return h("div", { class: "orders" },
    h("button", { id: "ack", onclick: () => view.acknowledge(alarm) }, say("ack")),
    h("input", { id: "comment", value: comment, placeholder: say(alarm.ack_wants === "comment" ? "commentWanted" : "comment"), "aria-label": say("comment"), maxlength: "1000" }),
    resetButton(alarm, view), more, whole, onMap, back);
}

function resetButton(alarm, view) {
  return alarm.over_range && view.may("operator") ? h("button", { class: "second", onclick: () => view.reset(alarm) }, say("reset")) : null;
}

function ranges(channel, again) {
  const word = (hours) => (hours < 48 ? `${hours} h` : `${hours / 24} d`);
  const buttons = [1, 6, 24, 168].map((hours) => h("button", {
    class: "plain", "aria-pressed": String(span === hours * HOUR), onclick: () => { span = hours * HOUR; asked = 0; again(); },
  }, lang() === "zh" ? word(hours).replace("h", "小时").replace("d", "天") : word(hours)));
  return h("div", { class: "ranges" }, ...buttons, h("span", { class: "space" }), h("span", { class: "id" }, channel));
}

// Value, movement, distance to the limit, age; below it a bar with the limits as their shapes.
function numbers(alarm, view) {
  const box = byId("now");
  if (!box || !told) return;
  const now = (alarm && view.reading(alarm)) ?? told.now;
  if (!now) return box.replaceChildren();
  const level = alarm?.scored ? null : nearest(now.value, told.levels, alarm ? sideOf(alarm) : 0);
  const apart = level ? distance(now.value, level, told) : alarm?.scored ? "" : say("noLimits");
  const facts = [moving(now, told.decimals, told.unit), apart, `${say("measured")} ${old(now.at_ms, view.now_ms())}`, now.suspect && say("suspect")];
  box.replaceChildren(
    h("div", { class: "big" }, h("span", { class: "soft" }, `${say("now")} `), h("strong", {}, valued(now.value, told)), ` ${arrow(now, told.decimals)}`),
    h("div", { class: "facts" }, facts.filter(Boolean).join(" · ")), bar(now.value, told, alarm ? sideOf(alarm) : 0) ?? "");
}
function sideOf(alarm) {
  const mine = told.limits.find((x) => x.rule === alarm.rule && x.severity === alarm.severity) ?? told.limits.find((x) => x.rule === alarm.rule);
  return mine?.side ?? 0;
}
function bar(value, scale, side) {
  const limits = scale.levels.filter((x) => !side || x.side === side);
  if (!limits.length || typeof value !== "number") return null;
  const at = limits.map((x) => x.at);
  const [least, most] = [Math.min(...at, value), Math.max(...at, value)];
  const room = Math.max((most - least) * 0.15, Math.abs(most) * 0.05, 1e-9);
  const floor = typeof scale.range[0] === "number" ? scale.range[0] : -Infinity;
  const ceiling = typeof scale.range[1] === "number" ? scale.range[1] : Infinity;
  const lo = least >= 0 && least <= most * 0.6 ? Math.max(0, Math.min(floor, 0)) : Math.max(least - room, Math.min(floor, least));
  const hi = Math.min(most + room, Math.max(ceiling, most));
  const place = (x) => `${Math.min(100, Math.max(0, ((x - lo) / (hi - lo)) * 100))}%`;
  const ticks = limits.map((x) => {
    const tick = h("span", { class: "tick", title: `${levelName(x.severity)} ${number(x.at, scale.decimals)}` }, mark(x.severity));
    tick.style.left = place(x.at);
    return tick;
  });
  const fill = h("span", { class: "fill" }), needle = h("span", { class: "needle" });
  fill.style.width = place(value);
  needle.style.left = place(value);
  const ends = h("div", { class: "ends" }, h("span", {}, number(lo, scale.decimals)), h("span", {}, `${number(hi, scale.decimals)} ${scale.unit}`));
  return h("div", { class: "barbox", "aria-hidden": "true" }, h("div", { class: "bar" }, fill, needle, ...ticks), ends);
}

function beside(view) {
  const box = byId("beside");
  if (!box || !told) return;
  const rows = told.neighbours.map((n) => h("tr", {}, h("td", {}, n.away_m ? label(n.name) : `${label(n.name)} · ${n.channel.split("/")[1]}`),
    h("td", {}, n.away_m ? `${n.away_m} m` : say("sameAsset")), h("td", {}, n.now ? `${valued(n.now.value, told)} ${arrow(n.now, told.decimals)}` : "–"), h("td", {}, n.now ? old(n.now.at_ms, view.now_ms()) : say("noData"))));
  box.replaceChildren(h("h3", {}, say("beside")), rows.length ? h("table", { class: "history" }, ...rows) : h("p", { class: "none" }, say("none_near")));
}

function advise({ advice }) {
  const people = advice.exposed_people ? h("span", { class: "badge" }, say("exposed", advice.exposed_people)) : null;
  const site = advice.runbook;
  const link = /^https?:\/\//.test(site) ? h("a", { href: site, rel: "noreferrer", target: "_blank" }, site) : site;
  const steps = advice.steps?.[lang()];
  const named = steps ? h("strong", {}, steps.title) : link;
  const text = site ? h("span", {}, `${say("runbook")} `, named) : h("span", {}, advice[lang()]);
  byId("todo")?.replaceChildren(h("h3", {}, say("todo"), people), h("p", { class: "advice" }, text, site ? null : h("span", { class: "soft" }, ` (${say("todoDefault")})`)),
    ...(steps ? steps.steps.map((line) => h("p", { class: "step" }, plain(line))) : []), ...ruleSays(advice));
}
// A runbook's Markdown as text: headings and emphasis lose their marks, steps keep their numbers.
const plain = (line) => line.replace(/^#+\s*/, "").replace(/\*\*|__|`/g, "").replace(/^\s*[-*]\s+/, "· ");

// Texts written "English · 中文" show the half that is read.
const inTongue = (text) => text.split(" · ")[lang() === "zh" ? 1 : 0] ?? text;
// What the rule says of itself: maturity, labels, where its limits come from, what raises it without danger.
function ruleSays(advice) {
  const labels = Object.entries(advice.labels).map(([name, text]) => h("span", { class: "badge" }, `${name}: ${text}`));
  const trial = advice.maturity === "trial" ? h("span", { class: "badge" }, say("trial")) : null;
  const from = advice.limits_from && h("p", { class: "why" }, `${say("limitsFrom")}: ${inTongue(advice.limits_from)}`);
  const known = advice.known_false_positives.length ? h("p", { class: "why" }, `${say("falsePositives")}: ${advice.known_false_positives.map(inTongue).join("; ")}`) : null;
  return [trial || labels.length ? h("p", { class: "labels" }, trial, ...labels) : null, known, from || null].filter(Boolean);
}

function story(events, alarm, view) {
  byId("history")?.replaceChildren(...events.slice(-12).reverse().map((e) => h("tr", {}, h("td", {}, clock(e.event_ms, view.zone, true)),
    h("td", {}, say(`events.${e.type}`, levelName(e.severity))),
    h("td", {}, e.to.length ? e.to.map((x) => x.words[lang()]).join(lang() === "zh" ? "、" : ", ") : e.by ? `${e.by}${e.comment ? `: ${e.comment}` : ""}` : alarm.channel && e.value != null && !alarm.scored ? valued(e.value, told ?? alarm) : ""))));
}

async function trend(channel, alarm, view) {
  const to = Math.round(view.now_ms()), from = to - span;
  const answer = await ask(`/api/trend?channel=${encodeURIComponent(channel)}&from=${from}&to=${to}`);
  if (shown !== (alarm?.id ?? channel)) return;
  told = answer;
  numbers(alarm, view);
  beside(view);
  sayOutlook(byId("outlook"), told, view);
  if (byId("trend")) await drawTrend(byId("trend"), told, alarm, view.zone);
}

// Fetch trend and history, at most every four seconds; the numbers move with every pulse.
export async function refresh(alarm, view) {
  aged(alarm, view);
  if (told) numbers(alarm, view);
  if (performance.now() - asked < AGAIN_MS && asked) return;
  asked = performance.now();
  try {
    const detail = await ask(`/api/alarms/${alarm.id}`);
    if (shown !== alarm.id) return;
    advise(detail);
    if (alarm.channel) await trend(alarm.channel, alarm, view);
    if (shown !== alarm.id) return;
    story(detail.events, alarm, view);
    await similar(byId("similar"), alarm, view, () => shown === alarm.id);
  } catch (error) {
    view.tell(error.message);
  }
}

// An asset: `asset.js` draws it; here it is known what stands on the right.
export function showAsset(asset, view) {
  const same = shown === asset.id;
  [shown, told] = [asset.id, null];
  drawAsset(byId("selected"), asset, view, { same, still: () => shown === asset.id });
}

// One channel without an alarm: is the number right?
export function showChannel(channel, view) {
  const same = shown === channel;
  if (!same) { told = null; asked = 0; }
  shown = channel;
  const again = () => showChannel(channel, view);
  byId("selected").replaceChildren(h("h2", {}, h("span", {}, told ? label(told.label) : channel)), h("p", { class: "why" }, channel),
    h("div", { class: "orders" }, h("button", { class: "second", onclick: view.back }, `‹ ${label(view.assetName()) || say("back")}`)),
    keep(same, "now", "div"), ...trendParts(channel, same, view, again));
  if (told) { numbers(null, view); beside(view); sayOutlook(byId("outlook"), told, view); }
  if (asked && performance.now() - asked < AGAIN_MS) return;
  asked = performance.now();
  const first = !told;
  trend(channel, null, view).then(() => { if (first && shown === channel) again(); }).catch((error) => view.tell(error.message));
}
