// What one does with an alarm beside acknowledging it: shelve, note, hand over, say what it was.
import { byId, dialog, h } from "./dom.js";
import { clock, lang, length, say } from "./words.js";

const MINUTES = [15, 30, 60, 120, 240, 480, 1440, 2880, 10080];
export const CAUSES = ["leak", "third-party", "equipment", "process", "weather", "biogas", "calibration", "sensor", "communication", "maintenance", "rule", "test", "unknown"];

const field = (id, text, box) => h("label", { for: id }, h("span", {}, text), box);
const input = (id, more = {}) => h("input", { id, maxlength: "1000", autocomplete: "off", ...more });
const select = (id, pairs) => h("select", { id }, ...pairs.map(([value, text]) => h("option", { value }, text)));

function part(title, fields, button, order) {
  const form = h("form", { class: "care", onsubmit: (event) => { event.preventDefault(); order(); } },
    h("h3", {}, title), ...fields, h("button", { type: "submit" }, button));
  return form;
}

// Opens the dialog; ``send(path, body, said)`` orders and tells the outcome.
// Returns what closes it.
export function open(alarm, view, send) {
  const value = (id) => byId(id).value.trim();
  const w = alarm.words[lang()];
  const shelf = alarm.held.find((x) => x.hold === "shelved");
  const most = alarm.shelve_max_min;
  const minutes = [...new Set([...MINUTES.filter((m) => m < most), most])].map((m) => [String(m), length(m * 60)]);
  const asked = alarm.shelve_asked_by ? h("p", { class: "why" }, say("care.asked", alarm.shelve_asked_by)) : null;
  const red = alarm.severity === 4 && !asked ? h("p", { class: "why" }, say("care.two")) : null;
  const quiet = shelf
    ? part(say("care.shelvedBy", shelf.by, clock(shelf.until_ms, view.zone, true), shelf.cause), [], say("care.unshelve"), () => send("unshelve", {}, say("care.unshelved")))
    : part(say("care.shelve"), [asked, red, field("care-reason", say("care.reason"), input("care-reason", { required: "" })), field("care-minutes", say("care.long"), select("care-minutes", minutes))].filter(Boolean),
      say("care.shelve"), () => send("shelve", { reason: value("care-reason"), minutes: Number(value("care-minutes")), expected_seq: alarm.seq }, say("care.shelved")));
  const close = dialog(
    h("h2", {}, `${w.what} – ${w.place}`),
    alarm.ended ? "" : quiet,
    part(say("care.note"), [field("care-note", say("care.note"), input("care-note", { required: "" }))], say("care.write"), () => send("comment", { comment: value("care-note") }, say("care.noted"))),
    alarm.ended ? "" : part(say("care.hand"), [field("care-to", say("care.to"), input("care-to", { maxlength: "64", value: alarm.assigned_to }))], say("care.give"), () => send("assign", { to: value("care-to") }, say("care.given"))),
    part(say("care.was"), [field("care-verdict", say("care.verdict"), select("care-verdict", ["true", "false"].map((v) => [v, say(`verdicts.${v}`)]))),
      field("care-cause", say("care.cause"), select("care-cause", CAUSES.map((c) => [c, say(`causes.${c}`)])))], say("care.say"),
    () => send("classify", { verdict: value("care-verdict"), cause: value("care-cause") }, say("care.said"))),
  );
  if (alarm.verdict) { byId("care-verdict").value = alarm.verdict; byId("care-cause").value = alarm.cause; }
  return close;
}

// What people have done, in a line below the orders.
export function line(alarm) {
  const said = [
    alarm.chattering && say("care.chatters"), alarm.assigned_to && say("care.with", alarm.assigned_to),
    alarm.verdict && `${say(`verdicts.${alarm.verdict}`)}${lang() === "zh" ? "：" : ": "}${say(`causes.${alarm.cause}`)}`,
    alarm.shelve_asked_by && say("care.asked", alarm.shelve_asked_by), alarm.reactivations && say("care.again", alarm.reactivations),
  ].filter(Boolean);
  return said.join(" · ");
}
