// The map: streets and assets are grey; only alarms have colour, and a shape and a word with it.
import { byId, css, h } from "./dom.js";
import { levelWord, markOf } from "./list.js";
import { lang } from "./words.js";

const L = window.L;
let map, pins, everything;

const lineStyle = (feature) => {
  const kind = feature.properties?.kind ?? "";
  const wide = { river: 6, ring: 2.5, railway: 1.2, gallery: 2, tunnel: 3 }[kind] ?? (kind.endsWith("_main") ? 0.8 : 1.5);
  const dashes = { railway: "8 5", tunnel: "4 4" }[kind] ?? null;
  return { color: css("--street"), weight: wide, dashArray: dashes, opacity: 1, interactive: false, fillColor: css("--street"), fillOpacity: 0.35 };
};
// An asset's shape tells its lifeline without a colour.
const SHAPES = {
  gas: "M0-4A4 4 0 1 0 .01-4z", bridge: "M-5 2h10M-5 2q5-7 10 0", tunnel: "M-4 3v-2a4 4 0 0 1 8 0v2z", water: "M0-5q4 5 4 6a4 4 0 0 1-8 0q0-1 4-6z",
  drain: "M-4-4h8v8h-8zM-4 0h8", heat: "M-4-4h8v8h-8z", gallery: "M-5-3h10v6h-10z", env: "M0-4L4 4h-8z",
};
function glyph(domain) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-7 -7 14 14");
  svg.setAttribute("width", "14");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[domain] ?? SHAPES.env);
  path.setAttribute("fill", domain === "bridge" ? "none" : css("--bg"));
  path.setAttribute("stroke", css("--asset"));
  path.setAttribute("stroke-width", "1.3");
  svg.append(path);
  return svg;
}

let again = () => {};
export async function start(load) {
  map = L.map(byId("map"), { zoomControl: true, attributionControl: false, zoomSnap: 0.25, keyboard: false, fadeAnimation: false, zoomAnimation: false });
  map.setView([34.75, 113.65], 12);
  pins = L.layerGroup().addTo(map);
  const { features } = await load();
  const assets = features.filter((f) => f.properties?.kind === "asset");
  const streets = L.geoJSON({ type: "FeatureCollection", features: features.filter((f) => f.geometry?.type !== "Point") }, { style: lineStyle });
  const points = L.geoJSON({ type: "FeatureCollection", features: assets }, {
    pointToLayer: (f, at) => L.marker(at, { icon: L.divIcon({ className: "", iconSize: [14, 14], html: glyph(f.properties.domain) }), keyboard: false })
      .bindTooltip(() => h("span", {}, `${lang() === "zh" ? f.properties.name_zh || f.properties.name : f.properties.name} · ${f.id}`)),
  });
  streets.addTo(map);
  points.addTo(map);
  everything = (assets.length ? points : streets).getBounds();
  whole();
  map.on("zoomend", () => again());
}
export function whole() {
  if (map && everything?.isValid()) map.fitBounds(everything, { padding: [48, 48] });
}
export function centre(alarm) {
  if (map && alarm?.at) map.setView([alarm.at[1], alarm.at[0]], Math.max(map.getZoom(), 14));
}
export function draw(alarms, { selected, levels, choose }) {
  if (!pins) return;
  again = () => draw(alarms, { selected, levels, choose });
  pins.clearLayers();
  const worst = new Map(); // one pin an asset: its worst alarm
  for (const a of alarms) {
    if (!a.at || a.ended) continue;
    const key = a.at.join();
    const held = worst.get(key);
    const better = !held || a.severity > held.severity || (a.severity === held.severity && !a.acked && held.acked);
    if (better || a.id === selected) worst.set(key, a);
  }
  const named = []; // where words stand already: the worst get theirs first
  const room = (a) => {
    const { x, y } = map.latLngToLayerPoint([a.at[1], a.at[0]]);
    if (named.some((p) => Math.abs(p.x - x) < 62 && Math.abs(p.y - y) < 15)) return false;
    named.push({ x, y });
    return true;
  };
  const order = [...worst.values()].sort((x, y) => (y.id === selected) - (x.id === selected) || y.severity - x.severity);
  for (const a of order) {
    const word = (a.severity > 2 || a.id === selected) && room(a) ? levelWord(a, levels) : null;
    const pin = h("div", { class: `pin${a.id === selected ? " chosen" : ""}` }, markOf(a), word);
    const icon = L.divIcon({ className: "", iconSize: [60, 18], iconAnchor: [9, 9], html: pin });
    L.marker([a.at[1], a.at[0]], { icon, keyboard: false, zIndexOffset: 1000 * a.severity }).on("click", () => choose(a.id)).addTo(pins);
  }
}
