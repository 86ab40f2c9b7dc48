// The map: streets and assets are grey; only alarms have colour, and a shape and a word with it.
import { ask } from "./api.js";
import { byId, css, glyph, h } from "./dom.js";
import { City, MAINS } from "./layers.js";
import { levelWord, markOf } from "./list.js";
import { label } from "./numbers.js";
import { lang, say } from "./words.js";

const L = window.L;
const TOGETHER_PX = 20, MANY = 60, MANY_TOGETHER_PX = 52; // alarms nearer than this share one pin
const MOST_ZOOM = 19;
const HOVER_MS = 150;
let map, city, pins, names, everything, told = null, last = null, tip = null, numbers = null;
const known = new Map(); // names by id, as they were asked for

export async function start(load, openAsset) {
  map = L.map(byId("map"), { zoomControl: true, attributionControl: false, zoomSnap: 0.25, maxZoom: MOST_ZOOM, keyboard: true, fadeAnimation: false, zoomAnimation: false });
  map.setView([34.75, 113.65], 12);
  names = overlay("overlayPane");
  pins = overlay("markerPane");
  told = await load();
  if (told.tiles) tiles(told.tiles);
  city = new City(told).addTo(map);
  everything = city.bounds();
  const lines = told.streets.filter((f) => f.geometry?.type !== "Point");
  const grid = lines.filter((f) => f.properties?.kind === "street");
  everything.extend(L.geoJSON({ type: "FeatureCollection", features: grid.length || told.assets.id.length ? grid : lines }).getBounds());
  whole();
  let moved = false; // until somebody moves the map, it shows the whole city whatever room it gets
  for (const touched of ["mousedown", "wheel", "keydown", "touchstart"]) byId("map").addEventListener(touched, () => { moved = true; }, { passive: true });
  new ResizeObserver(() => { map.invalidateSize({ pan: false }); if (!moved && atWhole) whole(); }).observe(byId("map"));
  map.on("zoomend", () => { title(); if (last) draw(...last); });
  map.on("click", (event) => opened(event.containerPoint, openAsset));
  hovering();
  byId("map").addEventListener("keydown", (event) => { // the cross in the middle is the keyboard's pointer
    if (event.key === "Enter") opened(map.getSize().divideBy(2), openAsset);
  });
}
// Elements laid over the canvas, all in one: the library's markers are a layer of the screen each, which
// hundreds of them make slow to move.
function overlay(pane) {
  const box = map.getPane(pane).appendChild(h("div", { class: "overlay" }));
  return {
    clear: () => box.replaceChildren(),
    put: (lat, lon, element, above = 0) => {
      const at = map.latLngToLayerPoint([lat, lon]);
      element.style.left = `${at.x}px`;
      element.style.top = `${at.y}px`;
      element.style.zIndex = above;
      box.append(element);
    },
  };
}
function tiles({ url, attribution, max_zoom }) {
  L.tileLayer(url, { maxNativeZoom: max_zoom, maxZoom: MOST_ZOOM, className: "tiles" }).addTo(map);
  byId("tiles-from").textContent = attribution;
}
export const painted = () => city?.frames ?? 0;
export const zoom = () => map.getZoom();
export const where = (id) => { const { at } = assetById(id); return map.latLngToContainerPoint([at[1], at[0]]); };
export const gathered = () => city.largest();
export const size = () => told?.assets.id.length ?? 0;

// A gathered sign comes apart, a single one opens; where several lie on each other, one after the other.
let before = "";
function opened(point, openAsset) {
  const found = city.under(point);
  if (!found) return;
  if (found.count > 1) { map.setView(map.containerPointToLatLng(point), Math.min(MOST_ZOOM, map.getZoom() + 2), { animate: false }); return; }
  const ids = found.assets.map((i) => told.assets.id[i]);
  before = ids[(ids.indexOf(before) + 1) % ids.length];
  openAsset(assetById(before));
}
function hovering() {
  let later = 0;
  map.on("mousemove", ({ containerPoint, latlng }) => {
    clearTimeout(later);
    if (map.dragging.moving()) return;
    const found = city.under(containerPoint);
    byId("map").classList.toggle("over-asset", Boolean(found));
    if (!found || found.count > 1) { tip?.remove(); tip = null; return; }
    later = setTimeout(async () => {
      const id = told.assets.id[found.assets[0]];
      tip?.remove();
      tip = L.tooltip({ offset: [10, 0], direction: "right" }).setLatLng(latlng).setContent(h("span", {}, await named(id))).addTo(map);
    }, HOVER_MS);
  });
  map.on("mouseout movestart", () => { clearTimeout(later); tip?.remove(); tip = null; });
}
async function named(id) {
  if (!known.has(id)) {
    try { known.set(id, (await ask(`/api/assets/${encodeURIComponent(id)}`)).name); } catch { return id; }
  }
  return `${label(known.get(id))} · ${id}`;
}
export function assetById(id) {
  if (!told) return null;
  numbers ??= new Map(told.assets.id.map((each, i) => [each, i]));
  const i = numbers.get(id);
  if (i === undefined) return null;
  return { id, name: known.get(id) ?? { en: id, zh: id }, at: [told.assets.x[i] / 1e6, told.assets.y[i] / 1e6], domain: told.domains[told.assets.domain[i]] };
}

// Names of what is drawn, once each, where the line begins.
export function title() {
  if (!names || !told) return;
  names.clear();
  const done = new Set();
  for (const f of told.streets) {
    const { kind, name } = f.properties ?? {};
    if (!["street", "river", "ring", "railway", "gallery"].includes(kind) || !name || done.has(name)) continue;
    done.add(name);
    const points = f.geometry.coordinates;
    const share = { river: 0.82, ring: kind === "ring" ? 0.75 : 0, railway: 0.24, gallery: 0.5 }[kind] ?? 0;
    const [lon, lat] = points[Math.floor(share * (points.length - 1))];
    const end = points[points.length - 1];
    const upright = kind === "street" && Math.abs(end[0] - points[0][0]) < Math.abs(end[1] - points[0][1]);
    if (upright && map.getZoom() < 13) continue; // no room for them
    const both = { en: f.properties.name, zh: f.properties.name_zh || f.properties.name };
    const text = h("span", { class: `street-name ${upright ? "upright" : ""} ${kind}` }, label(both));
    names.put(lat, lon, text);
  }
}
const NETWORK_OF = { gas: "gas_main", water: "water_main", drain: "drain_main", heat: "heat_main" };
export function legend(domains) {
  const ink = css("--soft"), paper = css("--bg");
  const kinds = new Set([...(told?.streets ?? []).map((f) => f.properties?.kind), ...(told?.lines ?? []).map(({ domain }) => NETWORK_OF[domain])]);
  const mains = Object.entries(MAINS).filter(([kind]) => kinds.has(kind)).map(([kind, dash]) => {
    const rule = h("i", { class: "rule", "data-dash": dash.length ? "yes" : "no", "data-kind": kind });
    return h("span", {}, rule, say(`kinds.${kind}`));
  });
  const gathered = size() ? h("span", {}, h("i", { class: "gathered" }, "12"), say("gathered")) : "";
  byId("legend").replaceChildren(...domains.filter((d) => d.domain).map((d) => h("span", {}, glyph(d.domain, { size: 13, ink, paper }), lang() === "zh" ? d.zh : d.en)), ...mains, gathered);
}
export const recolour = () => city?.recolour();
let atWhole = false;
export function whole() {
  atWhole = true;
  if (map && everything?.isValid()) map.fitBounds(everything, { paddingTopLeft: [50, 24], paddingBottomRight: [24, 24] });
}
export function centre(at) {
  atWhole = false;
  if (map && at) map.setView([at[1], at[0]], Math.max(map.getZoom(), 15), { animate: false });
}

// Alarms near each other on the screen share a pin: the worst, and how many.
function grouped(alarms, selected) {
  const worst = [...alarms].sort((a, b) => (b.id === selected) - (a.id === selected) || b.severity - a.severity || a.acked - b.acked);
  const groups = [], together = alarms.length > MANY ? MANY_TOGETHER_PX : TOGETHER_PX;
  for (const a of worst) {
    const { x, y } = map.latLngToLayerPoint([a.at[1], a.at[0]]);
    const near = groups.find((g) => Math.hypot(g.x - x, g.y - y) < together);
    if (near) near.all.push(a);
    else groups.push({ x, y, all: [a] });
  }
  return groups;
}
let pinned = ""; // what stands on the map, so that a pulse without news moves nothing
export function draw(alarms, view) {
  if (!pins) return;
  last = [alarms, view];
  const { selected, levels, choose, wanted } = view;
  const shown = alarms.filter((a) => a.at && !a.ended && wanted(a));
  const now = `${map.getZoom()} ${lang()} ${selected} ${levels.length} ${shown.map((a) => `${a.id}.${a.seq}.${a.severity}.${a.acked}.${a.active}.${a.held.length}`).join(" ")}`;
  if (now === pinned) return;
  pinned = now;
  pins.clear();
  const groups = grouped(shown, selected);
  const taken = groups.map((g) => ({ x: g.x, y: g.y, half: 12 }));
  for (const g of groups) {
    const a = g.all[0];
    const places = new Set(g.all.map((x) => x.asset || x.subject)).size;
    const worst = Math.max(...g.all.map((x) => x.severity));
    const free = !taken.some((t) => t.x - t.half > g.x - 6 && t.x - t.half < g.x + 58 && Math.abs(t.y - g.y) < 15 && !(t.x === g.x && t.y === g.y));
    const word = (a.severity > 2 || a.id === selected || worst > 2) && free ? `${levelWord(a, levels)}${places > 1 ? ` ×${places}` : ""}` : places > 1 ? `×${places}` : null;
    if (word && free) taken.push({ x: g.x + 30, y: g.y, half: 24 });
    const pin = h("div", { class: `pin${a.id === selected ? " chosen" : ""}` }, markOf(a), word && h("span", {}, word));
    pin.title = `${a.words[lang()].place} · ${a.words[lang()].what}`;
    pin.addEventListener("click", (event) => { event.stopPropagation(); choose(a.id); });
    pins.put(a.at[1], a.at[0], pin, a.id === selected ? 9 : worst);
  }
}
