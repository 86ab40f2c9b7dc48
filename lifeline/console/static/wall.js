// The wall-board: counts, map and the five worst, to be read across the room; nobody touches it.
import { byId, h } from "./dom.js";
import { elapsed, levelWord, markOf, quiet, reads } from "./list.js";
import { lang, say } from "./words.js";

const MOST = 5;
let on = new URLSearchParams(location.search).has("wall");

export const isOn = () => on;
export function toggle() {
  on = !on;
  history.replaceState(null, "", `${location.pathname}${on ? "?wall" : ""}${location.hash}`);
  show();
}
export function show() {
  document.body.classList.toggle("wall", on);
  byId("worst").hidden = !on;
  for (const part of ["lists", "selected"]) byId(part).hidden = on;
}
// Unacknowledged first, the worst and of these the newest on top.
const order = (a, b) => quiet(a) - quiet(b) || b.severity - a.severity || (b.raised_ms ?? 0) - (a.raised_ms ?? 0) || (a.id < b.id ? -1 : 1);

export function draw(alarms, { levels, now_ms, reading }) {
  if (!on) return;
  const open = alarms.filter((a) => !a.ended).sort(order);
  const calls = open.filter((a) => !quiet(a)).length;
  const rows = open.slice(0, MOST).map((a, i) => h("li", { class: `big-row${i === 0 && a.severity === 4 && !quiet(a) ? " first" : ""}`, "data-id": a.id },
    markOf(a), h("div", {}, h("strong", {}, `${a.words[lang()].what} ${reads(a, reading(a))}`), h("span", { class: "where" }, a.words[lang()].place),
      h("span", { class: "state" }, [levelWord(a, levels), elapsed(a, now_ms), quiet(a) ? (a.acked ? say("ackedWord") : say("heldWord")) : say("unackedWord")].join(" · ")))));
  byId("worst").replaceChildren(h("h2", {}, open.length ? say("wall.worst", calls, open.length) : say("quiet")), h("ol", {}, ...rows),
    ...(open.length > MOST ? [h("p", { class: "more" }, say("wall.more", open.length - MOST))] : []));
}
