// One asset: what and whose it is and where, what is measured there, what is open, who stands beside it.
import { ask } from "./api.js";
import { byId, calmly, glyph, h, css } from "./dom.js";
import { fieldLog } from "./field_log.js";
import { markOf } from "./list.js";
import { arrow, distance, label, nearest, old, valued } from "./numbers.js";
import { clock, lang, say } from "./words.js";

const AGAIN_MS = 4000;
let asked = 0, held = null; // what was told of the asset shown

export async function drawAsset(box, asset, view, { same, still }) {
  if (!same) [asked, held] = [0, null];
  draw(box, asset, view);
  if (same && performance.now() - asked < AGAIN_MS) return;
  asked = performance.now();
  try {
    const told = await ask(`/api/assets/${encodeURIComponent(asset.id)}`);
    if (!still()) return;
    held = told;
    calmly(() => { if (still()) draw(box, asset, view); });
  } catch (error) {
    if (still()) box.replaceChildren(h("h2", {}, asset.id), h("p", { class: "none" }, error.message));
    view.tell(error.message);
  }
}
function draw(box, asset, view) {
  const focused = document.activeElement?.id;
  const known = held ?? asset;
  const mine = view.alarms().filter((a) => a.asset === asset.id && !a.ended);
  const section = (title, ...parts) => [h("h3", {}, say(title)), ...parts];
  box.replaceChildren(
    h("h2", {}, known.domain ? glyph(known.domain, { size: 16, ink: css("--soft"), paper: css("--panel") }) : null, h("span", {}, label(known.name))),
    h("p", { class: "why" }, h("a", { id: "code", href: `/code/${encodeURIComponent(asset.id)}` }, asset.id)),
    ...(held ? [h("p", { class: "facts", id: "facts" }, facts(held))] : []),
    h("div", { class: "orders" }, h("button", { class: "second phone", onclick: view.back }, say("back"))),
    ...(mine.length ? section("openAlarms", h("div", { class: "picks" }, ...mine.map((a) => h("button", { class: "pick", onclick: () => view.choose(a.id) },
      markOf(a), ` ${a.words[lang()].what} ${a.words[lang()].value}`)))) : []),
    ...(held ? [
      ...section("channels", held.channels.length ? h("table", { id: "channels", class: "history channels" }, ...held.channels.map((c) => channelRow(c, view))) : h("p", { class: "none" }, say("none"))),
      ...held.work.map((w) => h("p", { class: "work" }, h("strong", {}, say("field.runs", clock(w.until_ms, view.zone), w.by)))),
      h("p", { class: "why" }, h("a", { id: "to-field", href: `/field/${encodeURIComponent(asset.id)}` }, say("field.phone"))),
      ...fieldLog(held.entries, view.zone),
      ...(held.cameras.length ? section("cameras", h("div", { class: "picks", id: "cameras" }, ...held.cameras.map(camera))) : []),
      ...(held.neighbours.length ? section("joined", h("table", { id: "neighbours", class: "history" }, ...held.neighbours.map((n) => neighbour(n, view)))) : []),
    ] : []),
  );
  if (focused) byId(focused)?.focus();
}
function facts({ owner, district, at, exposed_people, design }) {
  const where = at ? `${at[1].toFixed(5)}, ${at[0].toFixed(5)}` : say("noPlace");
  const numbers = Object.entries(design).filter(([, v]) => ["number", "string"].includes(typeof v)).map(([k, v]) => `${k} ${v}`);
  return [owner ? say("owner", owner) : say("noOwner"), district, where, exposed_people ? say("exposed", exposed_people) : "", ...numbers].filter(Boolean).join(" · ");
}
const camera = ({ name, url }) => (url ? h("a", { href: url, rel: "noreferrer noopener", target: "_blank" }, name) : h("span", {}, name));

function channelRow(c, view) {
  const read = { ...c, unit: c.unit_word };
  const now = c.last_ms ? { value: c.value, change: c.change } : null;
  const level = nearest(c.value, c.levels, 0);
  const doubt = c.quality === "good" ? null : h("span", { class: "badge" }, say(`quality.${c.quality}`));
  return h("tr", {}, h("td", {}, h("button", { id: `at-${c.id}`, class: "link", onclick: () => view.openChannel(c.id) }, label(c.label))),
    h("td", {}, h("strong", {}, valued(c.value, read)), ` ${arrow(now, c.decimals)} `, doubt),
    h("td", {}, level ? distance(c.value, level, read) : say("noLimits")), h("td", {}, c.last_ms ? old(c.last_ms, view.now_ms()) : say("noData")));
}
function neighbour(n, view) {
  const worst = view.alarms().filter((a) => a.asset === n.id && !a.ended).sort((a, b) => b.severity - a.severity)[0];
  return h("tr", {}, h("td", {}, worst ? markOf(worst) : "", h("button", { id: `to-${n.id}`, class: "link", onclick: () => view.openAsset(n) }, label(n.name))),
    h("td", {}, n.by ? say(n.by === "sections" ? "nextSection" : "byNetwork", n.by) : say("near")), h("td", {}, n.away_m == null ? "" : `${n.away_m} m`));
}
