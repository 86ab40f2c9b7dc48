// Past alarms like the one selected: when, how long, what it was, and what was done about it.
import { ask } from "./api.js";
import { h, mark } from "./dom.js";
import { label } from "./numbers.js";
import { clock, lang, learn, length, levelName, say } from "./words.js";

learn({
  similar: {
    title: ["Similar past alarms", "相似历史报警"], none: ["None is known.", "暂无相似历史报警。"], same: ["same source", "同一报警源"], kind: ["same rule on {0}", "同类设施 {0}"],
    lasted: ["lasted {0}", "持续 {0}"], stands: ["still stands", "仍未恢复"], unjudged: ["not judged", "未研判"], noDeeds: ["nothing was noted", "无处置记录"],
  },
}, {});

const held = { key: "", told: [] };

// Asked once for each state of an alarm: what is past hardly changes.
export async function similar(box, alarm, view, still) {
  if (!box) return;
  const key = `${alarm.id} ${alarm.seq}`;
  if (held.key !== key) {
    const answer = await ask(`/api/alarms/${alarm.id}/similar`);
    if (!still()) return;
    [held.key, held.told] = [key, answer.similar];
  }
  const drawn = `${key} ${lang()}`;
  if (box.dataset.drawn === drawn) return; // who reads it, or has its link in focus, keeps it
  box.dataset.drawn = drawn;
  box.replaceChildren(h("h3", {}, say("similar.title")), held.told.length ? h("ol", { class: "similar" }, ...held.told.map((each) => one(each, view))) : h("p", { class: "none" }, say("similar.none")));
}

function one(each, view) {
  const whose = each.same ? say("similar.same") : say("similar.kind", label(each.name));
  const lasted = each.lasted_s == null ? say("similar.stands") : say("similar.lasted", length(each.lasted_s));
  const cause = each.cause ? say(each.cause === "returned" ? "incident.returned" : `causes.${each.cause}`) : "";
  const was = each.verdict ? [say(`verdicts.${each.verdict}`), cause].filter(Boolean).join(lang() === "zh" ? "：" : ": ") : cause || say("similar.unjudged");
  return h("li", {}, mark(each.max_severity), h("strong", {}, ` ${levelName(each.max_severity)} ${clock(each.raised_ms, view.zone, true)}`), ` · ${[lasted, was, whose].join(" · ")}`,
    each.done.length ? h("ul", {}, ...each.done.map((deed) => h("li", {}, deedOf(deed, view)))) : h("p", { class: "why" }, say("similar.noDeeds")));
}

function deedOf(deed, view) {
  const what = say(`${deed.of_incident ? "incident.events" : "events"}.${deed.what}`);
  return `${clock(deed.at_ms, view.zone, true)} ${what} · ${deed.by}${deed.said ? `${lang() === "zh" ? "：" : ": "}${deed.said}` : ""}`;
}
