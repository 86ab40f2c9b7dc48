// Official warnings of others, as their issuers wrote them: never to be taken for our alarms.
import { byId, h, mark } from "./dom.js";
import { clock, lang, say } from "./words.js";

const AREAS = 4;
let drawn = "";

export function draw(warnings, { zone, levels }) {
  const strip = byId("warnings"), now = JSON.stringify([warnings, lang()]);
  if (now === drawn) return; // each second: what is being read must not be built anew
  drawn = now;
  strip.hidden = warnings.length === 0;
  strip.setAttribute("aria-label", say("warnings.name"));
  strip.replaceChildren(...warnings.map((w) => line(w, zone, levels)));
}
function line(w, zone, levels) {
  const level = levels.find((x) => x.severity === w.severity);
  const word = level ? (lang() === "zh" ? level.zh : level.name) : "";
  const areas = w.areas.slice(0, AREAS).join(lang() === "zh" ? "、" : ", ") + (w.areas.length > AREAS ? " …" : "");
  const what = w.headline[lang()] || w.event[lang()];
  const times = say("warnings.times", clock(w.sent_ms, zone, true), clock(w.expires_ms, zone, true));
  const parts = [w.issuer[lang()], what, word, times, areas].filter(Boolean).join(" · ");
  return h("span", { class: "warning", title: `${w.sender} ${w.identifier}` }, w.severity ? mark(w.severity) : null,
    ` ${w.exercise ? say("warnings.exercise") : say("warnings.official")} ${parts}`);
}
