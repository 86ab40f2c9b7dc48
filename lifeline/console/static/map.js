// The map: streets and assets are grey; only alarms have colour, and a shape and a word with it.
import { byId, css, glyph, h } from "./dom.js";
import { label } from "./numbers.js";
import { levelWord, markOf } from "./list.js";
import { lang, say } from "./words.js";

const L = window.L;
const TOGETHER_PX = 20; // alarms nearer than this share one pin
let map, pins, names, everything, features = [], last = null;

const MAINS = { gas_main: null, water_main: "7 3", drain_main: "1.5 3", heat_main: "9 3 1.5 3" };
function lineStyle({ properties }) {
  const kind = properties?.kind ?? "";
  const base = { opacity: 1, interactive: false, lineCap: "butt" };
  if (kind in MAINS) return { ...base, color: css("--pipe"), weight: 1.1, dashArray: MAINS[kind] };
  const known = {
    river: { color: css("--river"), weight: 13, lineCap: "round" }, ring: { color: css("--street"), weight: 4 }, railway: { color: css("--pipe"), weight: 1.5, dashArray: "9 6" },
    gallery: { color: css("--pipe"), weight: 3 }, tunnel: { color: css("--pipe"), weight: 4, dashArray: "3 4" }, bridge: { color: css("--pipe"), weight: 7 },
  }[kind];
  return { ...base, color: css("--street"), weight: 3, fillColor: css("--street"), fillOpacity: 0.35, ...known };
}
const ORDER = ["river", "street", "ring", "railway"];
const rank = (f) => (ORDER.indexOf(f.properties?.kind ?? "") + 1) || 9;

export async function start(load, openAsset) {
  map = L.map(byId("map"), { zoomControl: true, attributionControl: false, zoomSnap: 0.25, keyboard: false, fadeAnimation: false, zoomAnimation: false });
  map.setView([34.75, 113.65], 12);
  names = L.layerGroup().addTo(map);
  pins = L.layerGroup().addTo(map);
  ({ features } = await load());
  const assets = features.filter((f) => f.properties?.kind === "asset");
  const lines = features.filter((f) => f.geometry?.type !== "Point").sort((a, b) => rank(a) - rank(b));
  const streets = L.geoJSON({ type: "FeatureCollection", features: lines }, { style: lineStyle });
  const points = L.geoJSON({ type: "FeatureCollection", features: assets }, {
    pointToLayer: (f, at) => L.marker(at, { icon: L.divIcon({ className: "asset", iconSize: [14, 14], html: glyph(f.properties.domain, { ink: css("--asset"), paper: css("--bg") }) }), keyboard: false })
      .bindTooltip(() => h("span", {}, label(namesOf(f)))).on("click", () => openAsset(assetOf(f))),
  });
  streets.addTo(map);
  points.addTo(map);
  everything = points.getBounds();
  const grid = lines.filter((f) => f.properties?.kind === "street");
  everything.extend(L.geoJSON({ type: "FeatureCollection", features: grid.length || assets.length ? grid : lines }).getBounds());
  whole();
  new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(byId("map"));
  map.on("zoomend", () => { title(); if (last) draw(...last); });
}
const namesOf = (f) => ({ en: f.properties.name, zh: f.properties.name_zh || f.properties.name });
const assetOf = (f) => ({ id: f.id, name: namesOf(f), at: f.geometry.coordinates, domain: f.properties.domain });
export const assetById = (id) => { const f = features.find((x) => x.id === id); return f ? assetOf(f) : null; };

// Names of what is drawn, once each, where the line begins.
export function title() {
  if (!names) return;
  names.clearLayers();
  const named = new Set();
  for (const f of features) {
    const { kind, name } = f.properties ?? {};
    if (!["street", "river", "ring", "railway", "gallery"].includes(kind) || !name || named.has(name)) continue;
    named.add(name);
    const points = f.geometry.coordinates;
    const share = { river: 0.82, ring: kind === "ring" ? 0.75 : 0, railway: 0.24, gallery: 0.5 }[kind] ?? 0;
    const [lon, lat] = points[Math.floor(share * (points.length - 1))];
    const end = points[points.length - 1];
    const upright = kind === "street" && Math.abs(end[0] - points[0][0]) < Math.abs(end[1] - points[0][1]);
    if (upright && map.getZoom() < 13) continue; // no room for them
    const text = h("span", { class: `street-name ${upright ? "upright" : ""} ${kind}` }, label(namesOf(f)));
    L.marker([lat, lon], { icon: L.divIcon({ className: "", iconSize: [0, 0], html: text }), interactive: false, keyboard: false, zIndexOffset: -1000 }).addTo(names);
  }
}
export function legend(domains) {
  const ink = css("--soft"), paper = css("--bg");
  const kinds = new Set(features.map((f) => f.properties?.kind));
  const mains = Object.entries(MAINS).filter(([kind]) => kinds.has(kind)).map(([kind, dash]) => {
    const rule = h("i", { class: "rule", "data-dash": dash ? "yes" : "no", "data-kind": kind });
    return h("span", {}, rule, say(`kinds.${kind}`));
  });
  byId("legend").replaceChildren(...domains.filter((d) => d.domain).map((d) => h("span", {}, glyph(d.domain, { size: 13, ink, paper }), lang() === "zh" ? d.zh : d.en)), ...mains);
}
export function whole() {
  if (map && everything?.isValid()) map.fitBounds(everything, { paddingTopLeft: [50, 24], paddingBottomRight: [24, 24] });
}
export function centre(at) {
  if (map && at) map.setView([at[1], at[0]], Math.max(map.getZoom(), 15));
}

// Alarms near each other on the screen share a pin: the worst, and how many.
function grouped(alarms, selected) {
  const worst = [...alarms].sort((a, b) => (b.id === selected) - (a.id === selected) || b.severity - a.severity || a.acked - b.acked);
  const groups = [];
  for (const a of worst) {
    const { x, y } = map.latLngToLayerPoint([a.at[1], a.at[0]]);
    const near = groups.find((g) => Math.hypot(g.x - x, g.y - y) < TOGETHER_PX);
    if (near) near.all.push(a);
    else groups.push({ x, y, all: [a] });
  }
  return groups;
}
export function draw(alarms, view) {
  if (!pins) return;
  last = [alarms, view];
  const { selected, levels, choose, wanted } = view;
  pins.clearLayers();
  const groups = grouped(alarms.filter((a) => a.at && !a.ended && wanted(a)), selected);
  const taken = groups.map((g) => ({ x: g.x, y: g.y, half: 12 }));
  for (const g of groups) {
    const a = g.all[0];
    const places = new Set(g.all.map((x) => x.asset || x.subject)).size;
    const worst = Math.max(...g.all.map((x) => x.severity));
    const free = !taken.some((t) => t.x - t.half > g.x - 6 && t.x - t.half < g.x + 58 && Math.abs(t.y - g.y) < 15 && !(t.x === g.x && t.y === g.y));
    const word = (a.severity > 2 || a.id === selected || worst > 2) && free ? `${levelWord(a, levels)}${places > 1 ? ` ×${places}` : ""}` : places > 1 ? `×${places}` : null;
    if (word && free) taken.push({ x: g.x + 30, y: g.y, half: 24 });
    const pin = h("div", { class: `pin${a.id === selected ? " chosen" : ""}` }, markOf(a), word && h("span", {}, word));
    const icon = L.divIcon({ className: "", iconSize: [60, 20], iconAnchor: [10, 10], html: pin });
    L.marker([a.at[1], a.at[0]], { icon, keyboard: false, zIndexOffset: 1000 * (a.id === selected ? 9 : worst) })
      .bindTooltip(() => h("span", {}, `${a.words[lang()].place} · ${a.words[lang()].what}`)).on("click", () => choose(a.id)).addTo(pins);
  }
}
