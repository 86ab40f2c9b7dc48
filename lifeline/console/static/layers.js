// Streets, pipes and assets on one canvas: grey, sharp at any zoom, moved as a picture while one pans.
import { ALONE_FROM, Clusters, worldX, worldY } from "./clusters.js";
import { ASSETS, css } from "./dom.js";

const L = window.L;
const MARGIN = 0.3; // of the view on each side, painted beforehand
const HIT_PX = 14, LEAST_PX = 1.5; // two points of a line nearer than this are one
export const MAINS = { gas_main: [], water_main: [7, 3], drain_main: [1.5, 3], heat_main: [9, 3, 1.5, 3] };
const DASH_OF = { gas: MAINS.gas_main, water: MAINS.water_main, drain: MAINS.drain_main, heat: MAINS.heat_main };
const ORDER = ["river", "street", "ring", "railway"];
const STYLES = () => ({
  river: { colour: css("--river"), width: 13, round: true }, street: { colour: css("--street"), width: 3 }, ring: { colour: css("--street"), width: 4 },
  railway: { colour: css("--pipe"), width: 1.5, dash: [9, 6] }, gallery: { colour: css("--pipe"), width: 3 }, tunnel: { colour: css("--pipe"), width: 4, dash: [3, 4] },
  bridge: { colour: css("--pipe"), width: 7 },
});
function styleOf(kind, known) {
  if (kind in MAINS) return { colour: css("--pipe"), width: 1.1, dash: MAINS[kind] };
  return known[kind] ?? { colour: css("--street"), width: 3 };
}

// A line in world coordinates, with its box.
function lineOf(style, points) {
  const x = Float64Array.from(points, (p) => p[0]), y = Float64Array.from(points, (p) => p[1]);
  const box = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  for (let i = 0; i < x.length; i += 1) { box.x0 = Math.min(box.x0, x[i]); box.x1 = Math.max(box.x1, x[i]); box.y0 = Math.min(box.y0, y[i]); box.y1 = Math.max(box.y1, y[i]); }
  return { style, x, y, box };
}
const placed = (coordinates) => coordinates.map(([lon, lat]) => [worldX(lon), worldY(lat)]);
function partsOf({ type, coordinates } = {}) {
  if (type === "LineString") return [coordinates];
  if (type === "MultiLineString" || type === "Polygon") return coordinates;
  return type === "MultiPolygon" ? coordinates.flat() : [];
}

export const City = L.Layer.extend({
  initialize(told) {
    const { assets } = told;
    this.told = told;
    const n = assets.id.length, x = new Float64Array(n), y = new Float64Array(n);
    for (let i = 0; i < n; i += 1) { x[i] = worldX(assets.x[i] / 1e6); y[i] = worldY(assets.y[i] / 1e6); }
    this.clusters = new Clusters(x, y);
    this.lines = null;
    this.sprites = new Map();
    this.painted = null;
    this.frames = 0; // how often it was painted: for those who measure
  },
  onAdd(map) {
    this.map = map;
    this.canvas = L.DomUtil.create("canvas", "city-layer leaflet-zoom-hide", map.getPane("overlayPane"));
    this.canvas.setAttribute("aria-hidden", "true");
    map.on("moveend zoomend viewreset resize", this.paint, this);
    map.on("move", this.follow, this);
    this.paint();
  },
  // While one drags, the picture moves by itself; only beyond its margin it is painted anew.
  follow() {
    const { map, painted } = this;
    if (!painted || painted.zoom !== map.getZoom()) return;
    const view = map.getPixelBounds();
    if (view.min.x < painted.left || view.min.y < painted.top || view.max.x > painted.right || view.max.y > painted.bottom) this.paint();
  },
  recolour() { this.lines = null; this.sprites.clear(); this.paint(); },

  gatherLines() {
    const known = STYLES(), { assets, domains, lines, streets } = this.told;
    const rank = (f) => (ORDER.indexOf(f.properties?.kind ?? "") + 1) || 9;
    const own = [...streets].sort((a, b) => rank(a) - rank(b)).flatMap((f) => partsOf(f.geometry).map((part) => lineOf(styleOf(f.properties?.kind ?? "", known), placed(part))));
    const { x, y } = this.clusters;
    const joined = lines.flatMap(({ domain, network, chains }) => {
      const style = { colour: css("--pipe"), width: network === "sections" ? 2.4 : 1.4, dash: DASH_OF[domain] };
      return chains.map((chain) => lineOf(style, chain.map((i) => [x[i], y[i]])));
    });
    this.lines = [...own, ...joined];
  },

  paint() {
    const { map } = this, size = map.getSize(), zoom = map.getZoom(), scale = 2 ** zoom;
    const pad = size.multiplyBy(MARGIN).round(), at = map.containerPointToLayerPoint([0, 0]).subtract(pad);
    const wide = size.x + 2 * pad.x, high = size.y + 2 * pad.y, ratio = window.devicePixelRatio || 1;
    const view = map.getPixelBounds(), left = view.min.x - pad.x, top = view.min.y - pad.y;
    const { canvas } = this;
    if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
      canvas.width = Math.round(wide * ratio);
      canvas.height = Math.round(high * ratio);
      canvas.style.width = `${wide}px`;
      canvas.style.height = `${high}px`;
    }
    L.DomUtil.setPosition(canvas, at);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, wide, high);
    const frame = { pen, scale, left, top, wide, high, ratio };
    if (!this.lines) this.gatherLines();
    this.paintLines(frame);
    this.paintAssets(frame, zoom);
    this.painted = { zoom, left, top, right: left + wide, bottom: top + high };
    this.frames += 1;
  },
  paintLines({ pen, scale, left, top, wide, high }) {
    let style = null;
    const stroke = () => { if (style) pen.stroke(); };
    for (const line of this.lines) {
      const { box } = line;
      if (box.x1 * scale < left || box.y1 * scale < top || box.x0 * scale > left + wide || box.y0 * scale > top + high) continue;
      if (line.style !== style) {
        stroke();
        style = line.style;
        pen.strokeStyle = style.colour;
        pen.lineWidth = style.width;
        pen.lineCap = style.round ? "round" : "butt";
        pen.setLineDash(style.dash ?? []);
        pen.beginPath();
      }
      let px = line.x[0] * scale - left, py = line.y[0] * scale - top;
      pen.moveTo(px, py);
      const last = line.x.length - 1;
      for (let i = 1; i <= last; i += 1) {
        const qx = line.x[i] * scale - left, qy = line.y[i] * scale - top;
        if (i < last && Math.abs(qx - px) < LEAST_PX && Math.abs(qy - py) < LEAST_PX) continue;
        pen.lineTo(qx, qy);
        px = qx; py = qy;
      }
    }
    stroke();
    pen.setLineDash([]);
  },
  paintAssets({ pen, scale, left, top, wide, high, ratio }, zoom) {
    const c = this.clusters.at(zoom), { domain } = this.told.assets, { domains } = this.told;
    for (let i = 0; i < c.size; i += 1) {
      const x = c.x[i] * scale - left, y = c.y[i] * scale - top;
      if (x < -20 || y < -20 || x > wide + 20 || y > high + 20) continue;
      const sprite = c.count[i] === 1 ? this.sprite(domains[domain[c.first[i]]], "", ratio) : this.sprite("", word(c.count[i]), ratio);
      pen.drawImage(sprite.picture, Math.round((x - sprite.half) * ratio) / ratio, Math.round((y - sprite.half) * ratio) / ratio, 2 * sprite.half, 2 * sprite.half);
    }
  },
  // An asset's shape, or how many they are, drawn once and copied from then on.
  sprite(domain, text, ratio) {
    const key = domain || `#${text}`;
    if (this.sprites.has(key)) return this.sprites.get(key);
    const half = domain ? 8 : 8 + 2.5 * text.length, picture = document.createElement("canvas");
    picture.width = picture.height = Math.ceil(2 * half * ratio);
    const pen = picture.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, half * ratio, half * ratio);
    pen.strokeStyle = css("--asset");
    pen.fillStyle = css("--bg");
    if (domain) {
      const open = domain === "bridge" || domain === "heat", path = new Path2D(ASSETS[domain] ?? ASSETS.env);
      pen.lineWidth = open ? 1.7 : 1.3;
      if (!open) pen.fill(path);
      pen.stroke(path);
    } else {
      pen.lineWidth = 1;
      pen.beginPath();
      pen.arc(0, 0, half - 1, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
      pen.fillStyle = css("--soft");
      pen.font = "600 10.5px system-ui, sans-serif";
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.fillText(text, 0, 0.5);
    }
    const made = { picture, half };
    this.sprites.set(key, made);
    return made;
  },

  // What is drawn at a point of the view: { count, assets: [numbers, nearest first] } or null.
  under(point) {
    const zoom = this.map.getZoom(), scale = 2 ** zoom, view = this.map.getPixelBounds();
    const c = this.clusters.at(zoom), found = [];
    for (let i = 0; i < c.size; i += 1) {
      const away = Math.hypot(c.x[i] * scale - view.min.x - point.x, c.y[i] * scale - view.min.y - point.y);
      if (away <= HIT_PX + (c.count[i] > 1 ? 4 : 0)) found.push({ away, i });
    }
    if (!found.length) return null;
    found.sort((a, b) => a.away - b.away);
    return { count: c.count[found[0].i], assets: found.map(({ i }) => c.first[i]), alone: zoom >= ALONE_FROM };
  },
  // Where on the screen the largest sign stands.
  largest() {
    const zoom = this.map.getZoom(), scale = 2 ** zoom, view = this.map.getPixelBounds(), size = this.map.getSize();
    const c = this.clusters.at(zoom), box = this.map.getContainer().getBoundingClientRect();
    let best = null;
    for (let i = 0; i < c.size; i += 1) {
      const x = c.x[i] * scale - view.min.x, y = c.y[i] * scale - view.min.y;
      if (x > 0 && y > 0 && x < size.x && y < size.y && c.count[i] > (best?.count ?? 0)) best = { x: x + box.left, y: y + box.top, count: c.count[i] };
    }
    return best;
  },
  bounds() {
    const { x, y } = this.told.assets;
    if (!x.length) return L.latLngBounds([]);
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < x.length; i += 1) { x0 = Math.min(x0, x[i]); x1 = Math.max(x1, x[i]); y0 = Math.min(y0, y[i]); y1 = Math.max(y1, y[i]); }
    return L.latLngBounds([[y0 / 1e6, x0 / 1e6], [y1 / 1e6, x1 / 1e6]]);
  },
});
const word = (n) => (n < 1000 ? String(n) : n < 9950 ? `${(n / 1000).toFixed(1)}k` : `${Math.round(n / 1000)}k`);
