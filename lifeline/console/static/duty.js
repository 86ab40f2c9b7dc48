// The shift's two dialogs: how the alarm system does, and hand-over with report and proof tests.
import { ask, commandId } from "./api.js";
import { byId, h, mark, svg } from "./dom.js";
import "./duty_words.js";
import { clock, lang, length, levelName, say } from "./words.js";

const DAYS = [1, 7, 30];
let view = null;

// Makes dialogs and buttons; ``page`` brings who(), may(), tell(), zone and now_ms().
export function start(page) {
  view = page;
  for (const id of ["figures", "shift"]) {
    document.body.append(h("dialog", { id: `duty-${id}`, "aria-labelledby": `duty-${id}-title` }));
    const open = id === "figures" ? () => figures() : () => shift();
    byId("find-button").before(h("button", { id: `${id}-button`, class: "plain", onclick: open }));
  }
  words();
}
export function words() {
  for (const id of ["figures", "shift"]) if (byId(`${id}-button`)) byId(`${id}-button`).textContent = say(`duty.${id}`);
}
function show(id, title, ...parts) {
  const box = byId(`duty-${id}`);
  const close = h("button", { class: "plain", onclick: () => box.close() }, say("duty.close"));
  box.replaceChildren(h("h2", { id: `duty-${id}-title` }, title), ...parts.filter(Boolean), close);
  if (!box.open) box.showModal();
}
const cells = (...texts) => h("tr", {}, ...texts.map((x) => h("td", {}, x)));
const table = (heads, rows) => h("table", { class: "history" }, h("thead", {}, h("tr", {}, ...heads.map((x) => h("th", { scope: "col" }, x)))), h("tbody", {}, ...rows));

// ── figures ──
export async function figures(days = 1) {
  const to = Math.floor(view.now_ms() / 60000) * 60000 + 60000;
  try {
    draw(await ask(`/api/kpis?from=${to - days * 86400000}&to=${to}`), days);
  } catch (error) { view.tell(error.message); }
}
function draw(told, days) {
  const ranges = h("div", { class: "ranges" }, ...DAYS.map((n) => h("button", { class: "plain", "aria-pressed": String(n === days), onclick: () => figures(n) }, n === 1 ? say("duty.hours") : say("duty.days", n))));
  const met = (x) => (x == null ? "" : say(x ? "duty.met" : "duty.notMet"));
  const rows = told.figures.map((f) => {
    const row = cells(f.words[lang()], f.text, f.target_text, met(f.met));
    row.dataset.key = f.key;
    if (f.met === false) row.classList.add("missed");
    return row;
  });
  const sources = told.sources.map((s) => cells(s.rule, s.subject, String(s.calls)));
  const verdicts = Object.entries(told.verdicts).filter(([, v]) => v.true + v.false > 0).map(([rule, v]) => cells(rule, say("duty.told", v.true, v.false, v.none),
    Object.entries(v.causes).map(([cause, n]) => `${say(`causes.${cause}`)} ${n}`).join(" · ")));
  show("figures", say("duty.figures"), ranges,
    h("p", {}, say("duty.counts", told.calls.total, told.raised, told.ended, told.calls.floods.length)),
    bars(told.calls), table([say("duty.figure"), say("duty.value"), say("duty.target"), ""], rows),
    h("h3", {}, say("duty.times")), answers(told),
    sources.length ? h("h3", {}, say("duty.sources")) : null, sources.length ? table(["", "", ""], sources) : null,
    verdicts.length ? h("h3", {}, say("duty.verdicts")) : null, verdicts.length ? table(["", "", ""], verdicts) : null,
    told.unprotected.length ? h("h3", {}, say("duty.unprotected")) : null, told.unprotected.length ? h("p", {}, told.unprotected.join(" · ")) : null);
}
function answers(told) {
  const line = (what, held) => [4, 3, 2, 1].filter((s) => held[s]).map((s) => h("tr", {}, h("td", {}, mark(s), ` ${levelName(s)}`), h("td", {}, say(`duty.${what}`)),
    h("td", {}, [held[s].p50_s, held[s].p90_s, held[s].p99_s].map(length).join(" / ")), h("td", {}, String(held[s].count))));
  const rows = [...line("acked", told.acknowledged), ...line("closed", told.closed)];
  return rows.length ? h("table", { class: "history" }, ...rows) : h("p", { class: "why" }, say("none"));
}
function bars(calls) {
  const [width, high, most] = [1000, 90, Math.max(11, ...calls.bins)];
  const step = width / calls.bins.length;
  const line = high - (high * 10) / most;
  const said = say("duty.perTen", length(calls.bin_s), Math.max(0, ...calls.bins));
  const drawn = calls.bins.map((n, at) => (n ? svg("rect", { x: at * step, width: Math.max(step - 0.5, 0.5), y: high - (high * n) / most, height: (high * n) / most, class: n > 10 ? "many" : "few" }) : null)).filter(Boolean);
  return h("figure", { class: "calls" }, svg("svg", { viewBox: `0 0 ${width} ${high}`, role: "img", "aria-label": said, preserveAspectRatio: "none" }, ...drawn, svg("line", { x1: 0, x2: width, y1: line, y2: line, class: "ten" })), h("figcaption", {}, said));
}

// ── shift ──
export async function shift() {
  try {
    const [told, tests] = await Promise.all([ask("/api/shift"), ask("/api/proof-tests?due=true&limit=50")]);
    const waiting = told.hand_overs.filter((x) => x.state === "offered");
    show("shift", say("duty.runs", told.shift, clock(told.from_ms, view.zone, true), clock(told.to_ms, view.zone, true)),
      h("p", {}, say("duty.open", told.open.open, told.open.unacknowledged, told.open.shelved)), levels(told.open),
      h("p", {}, report(told.shift, say("duty.report")), " · ", report(told.before, say("duty.last"))),
      ...waiting.map(offer), view.may("operator") ? give(told) : null, h("h3", {}, say("duty.before")), history(told.hand_overs), ...due(tests));
  } catch (error) { view.tell(error.message); }
}
const report = (name, text) => h("a", { href: `/api/shift-report?shift=${encodeURIComponent(name)}&lang=${lang()}`, target: "_blank", rel: "noopener" }, text);
const levels = (open) => h("p", {}, ...[4, 3, 2, 1].flatMap((s) => [mark(s), ` ${levelName(s)} ${open.by_severity[s]}   `]));
const when = (ms) => clock(ms, view.zone, true);
async function order(path, body, said) {
  const by = view.who();
  if (!by) return;
  try {
    await ask(path, { by, command: commandId(), ...body });
    view.tell(said);
    await shift();
  } catch (error) { view.tell(error.message); }
}
const field = (id, text, box) => h("label", { for: id }, h("span", {}, text), box);
function form(title, fields, button, send) {
  return h("form", { class: "care", onsubmit: (event) => { event.preventDefault(); send(); } }, h("h3", {}, title), ...fields, h("button", { type: "submit" }, button));
}
const value = (id) => byId(id).value.trim();
function offer(held) {
  const id = `remark-${held.id}`;
  const said = [h("p", { class: "pre" }, held.note), h("p", { class: "why" }, say("duty.left", held.open.open))];
  const title = say("duty.waits", held.by, held.to, when(held.offered_ms));
  if (!view.may("operator")) return h("section", {}, h("h3", {}, title), ...said);
  const mine = held.by === view.name();
  if (mine) return form(title, said, say("duty.keep"), () => order("/api/hand-overs/keep", { id: held.id }, say("duty.kept")));
  const remark = field(id, say("duty.remark"), h("input", { id, maxlength: "1000", autocomplete: "off" }));
  return form(title, [...said, remark], say("duty.take"), () => order("/api/hand-overs/take", { id: held.id, remark: value(id) }, say("duty.taken")));
}
function give(told) {
  const named = told.takers.map((x) => h("option", { value: x.login }, x.name ? `${x.name} (${x.login})` : x.login));
  const to = named.length ? h("select", { id: "give-to" }, ...named) : h("input", { id: "give-to", required: true, maxlength: "64", autocomplete: "off" });
  const note = h("textarea", { id: "give-note", required: true, maxlength: "4000", rows: "3" });
  return form(say("duty.give"), [field("give-to", say("duty.to"), to), field("give-note", say("duty.note"), note)], say("duty.give"), () => order("/api/hand-overs", { to: value("give-to"), note: value("give-note") }, say("duty.given", value("give-to"))));
}
function history(held) {
  const rows = held.slice(0, 10).map((x) => cells(when(x.offered_ms), `${x.by} → ${x.to}`, say(`duty.state.${x.state}`), [x.note, x.remark].filter(Boolean).join(" — "), say("duty.left", x.open.open)));
  return rows.length ? h("table", { class: "history", id: "hand-overs" }, ...rows) : h("p", { class: "why" }, say("none"));
}
function due(tests) {
  if (!tests.total) return [];
  const loud = tests.failed ? "loud" : "";
  return [h("h3", {}, h("span", { id: "tests", class: `chip ${loud}` }, say("duty.tests", tests.overdue, tests.failed))), ...tests.tests.map(tested)];
}
function tested(test, at) {
  const last = test.last_ms ? say("duty.lastTest", when(test.last_ms)) : say("duty.never");
  const line = `${say(`duty.testState.${test.state}`)} · ${test.name[lang()] || test.name.en} · ${test.channel} · ${last}${test.note ? ` · ${test.note}` : ""}`;
  if (!view.may("operator")) return h("p", {}, line);
  const id = `test-${at}`;
  const send = (passed) => order("/api/proof-tests", { channel: test.channel, passed, note: value(id) }, say("duty.recorded"));
  return h("div", { class: "care test", "data-channel": test.channel }, h("span", {}, line), field(id, say("duty.seen"), h("input", { id, maxlength: "1000", autocomplete: "off" })),
    h("div", { class: "ranges" }, h("button", { class: "plain", onclick: () => send(true) }, say("duty.passed")), h("button", { class: "plain", onclick: () => send(false) }, say("duty.failed"))));
}
