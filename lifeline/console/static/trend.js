// A trend: gaps stay open, suspect samples are hollow, limits are thin step lines with their source.
import { css } from "./dom.js";
import { number } from "./numbers.js";
import * as outlook from "./outlook.js";
import { clock, lang, levelName, say } from "./words.js";

// Five megabytes: fetched after the first screen stands, or when the first trend is asked for.
let loading;
export function library() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "/vendor/plotly.min.js";
    script.onload = () => done(window.Plotly);
    script.onerror = () => { // the next trend asks again
      loading = undefined;
      script.remove();
      failed(new Error("plotly.min.js did not load"));
    };
    document.head.append(script);
  });
  return loading;
}

const LEVEL = { 1: "--l1", 2: "--l2", 3: "--l3", 4: "--l4" };
const SHAPE = { 1: "○", 2: "△", 3: "◇", 4: "■" };
const MARGIN = { l: 46, t: 20, b: 26 };
const LEAST_MS = 1800000; // a young city's first half hour fills the axis; the range asked for is a limit

// The site's local time as the axis shows it (the library knows UTC only).
function shift(zone, ms) {
  const [date, time] = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(ms).split(" ");
  return Date.parse(`${date}T${time}Z`) - Math.floor(ms / 1000) * 1000;
}

// The columns as a line; a silence longer than `gap_ms` opens it.
function line(t, value, gap_ms, drop = () => false) {
  const made = { x: [], y: [] };
  let before = null;
  t.forEach((at, i) => {
    if (before !== null && at - before > gap_ms) { made.x.push(before + 1); made.y.push(null); }
    before = at;
    made.x.push(at);
    made.y.push(drop(i) || typeof value[i] !== "number" ? null : value[i]);
  });
  return made;
}
function marks(told) {
  const made = { suspect: [], late: [], over: [] };
  told.t.forEach((t, i) => {
    const raw = told.value[i];
    const beyond = raw === "over" || raw === "under";
    const v = beyond ? told.range[raw === "over" ? 1 : 0] : raw;
    const kind = beyond ? "over" : told.suspect[i] ? "suspect" : told.late[i] ? "late" : null;
    if (kind) made[kind].push({ t, v, received: told.received[i] });
  });
  return made;
}

// What the y axis holds: all readings, and every limit not absurdly far from them.
function vertical(told, alarm, limits) {
  const of = (values) => values.filter((v) => typeof v === "number");
  const own = of([...told.value, ...outlook.heights(told)]), near = of(told.neighbours.flatMap((n) => n.value));
  const all = [...own, ...near];
  if (!all.length) all.push(...limits.map((x) => x.last));
  let [lo, hi] = [Math.min(...all), Math.max(...all)];
  const reach = Math.max(hi - lo, Math.abs(hi) * 0.25, 10 ** -told.decimals);
  const away = (x) => Math.max(x - hi, lo - x, 0);
  const next = [...limits].sort((a, b) => away(a.last) - away(b.last))[0]; // one limit is always in sight
  for (const { last, limit } of limits) {
    if (last === next.last || limit.rule === alarm?.rule || (last <= hi + 1.5 * reach && last >= lo - 1.5 * reach)) [lo, hi] = [Math.min(lo, last), Math.max(hi, last)];
  }
  const pad = (hi - lo || Math.abs(hi) || 1) * 0.07;
  return [lo - pad, hi + pad];
}

// Labels stand right of the plot, in order, never on each other.
function spread(labels, [lo, hi], height) {
  const px = (y) => ((hi - y) / (hi - lo)) * height;
  const sorted = labels.filter((x) => x.y >= lo && x.y <= hi).sort((a, b) => px(a.y) - px(b.y));
  let free = -Infinity;
  for (const x of sorted) { x.at = Math.max(px(x.y), free); free = x.at + 13; }
  let top = height + 6;
  for (const x of [...sorted].reverse()) { x.at = Math.min(x.at, top); top = x.at - 13; }
  return sorted.map((x) => ({ ...x, shift: px(x.y) - x.at }));
}

function steps(told) {
  return told.limits.filter((x) => x.kind === "threshold" && x.steps.length).map((limit) => {
    const of = limit.steps.filter(([t]) => t <= told.to_ms).map(([t, v]) => [Math.max(t ?? 0, told.from_ms), v]);
    return { limit, of, last: of.at(-1)?.[1] };
  }).filter((x) => x.of.length);
}

export async function drawTrend(element, answer, alarm, zone) {
  const plotly = await library();
  const told = answer;
  const move = shift(zone, told.to_ms);
  const at = (ms) => ms + move;
  const first = told.t[0] ?? told.from_ms;
  const begin = first - told.from_ms > (told.to_ms - told.from_ms) / 4 ? Math.min(first - 60000, told.to_ms - LEAST_MS) : told.from_ms;
  const colour = css("--data"), soft = css("--soft"), grid = css("--line"), pale = css("--pale");
  const own = line(told.t, told.value, told.gap_ms, (i) => told.suspect[i] || told.late[i]);
  const odd = marks(told), limits = steps(told);
  const range = vertical(told, alarm, limits);
  const narrow = element.clientWidth < 420;
  const margin = { ...MARGIN, r: narrow ? 78 : lang() === "zh" ? 112 : 140 };
  const height = element.clientHeight - margin.t - margin.b;
  const words = { suspect: "suspect", late: "lateMark", over: "beyondMark" };
  const points = (kind, symbol) => ({
    x: odd[kind].map((p) => at(p.t)), y: odd[kind].map((p) => p.v), mode: "markers", type: "scatter", hovertemplate: "%{y}<br>%{text}<extra></extra>",
    text: odd[kind].map((p) => `${say(words[kind])}<br>${say("measured")} ${clock(p.t, zone)}<br>${say("received")} ${clock(p.received, zone)}`),
    marker: { symbol, size: 7, color: colour, line: { width: 1.3, color: colour } },
  });
  const end = outlook.end(told);
  const ahead = end > told.to_ms;
  const shades = outlook.shades(told, begin);
  const data = [...outlook.bands(told, at), ...outlook.forecasts(told, at, end)];
  data.push(...told.neighbours.map((n) => {
    const its = line(n.t, n.value, told.gap_ms);
    return { x: its.x.map(at), y: its.y, mode: "lines", type: "scatter", connectgaps: false, line: { color: pale, width: 1.2 }, hovertemplate: `${n.name[lang()] || n.name.en}<br>%{y:.${told.decimals}f} ${told.unit}<extra></extra>` };
  }));
  for (const { limit, of, last } of limits) {
    data.push({ x: [...of.map(([t]) => at(t)), at(end)], y: [...of.map(([, v]) => v), last], mode: "lines", type: "scatter", hoverinfo: "skip",
      line: { shape: "hv", width: 1.2, color: css(LEVEL[limit.severity]) } });
  }
  data.push({ x: own.x.map(at), y: own.y, mode: told.t.length < 60 ? "lines+markers" : "lines", type: "scatter", connectgaps: false, line: { color: colour, width: 1.8 },
    marker: { size: 3.5, color: colour }, hovertemplate: `%{y:.${told.decimals}f} ${told.unit}<br>%{x|%H:%M:%S}<extra></extra>` });
  data.push(points("suspect", "circle-open"), points("late", "diamond-open"), points("over", "triangle-up"));
  const font = { size: 11, color: soft };
  const texts = limits.map(({ limit, last }) => ({ y: last, text: `${SHAPE[limit.severity]} ${levelName(limit.severity)} ${number(last, told.decimals)}${narrow ? "" : ` ${say(`source.${limit.source}`)}`}` }));
  const annotations = spread(texts, range, height).map((x) => ({ x: 1, xref: "paper", xanchor: "left", xshift: 4, y: x.y, yshift: x.shift, yanchor: "middle", showarrow: false, text: x.text, font }));
  const shapes = shades.map(({ from, to, kind }) => ({ type: "rect", layer: "below", x0: at(from), x1: at(to), y0: 0, y1: 1, yref: "paper", line: { width: 0 }, fillcolor: outlook.shade(kind) }));
  for (const { from, to, kind } of shades.filter((x) => x.to - x.from > (end - begin) / 6)) {
    annotations.push({ x: at((from + to) / 2), y: 0, yref: "paper", yanchor: "bottom", showarrow: false, text: say(`outlook.${kind}`), font });
  }
  if (ahead) shapes.push({ type: "line", x0: at(told.to_ms), x1: at(told.to_ms), y0: 0, y1: 1, yref: "paper", line: { color: soft, width: 1, dash: "dashdot" } });
  const moments = alarm ? [["onset", alarm.onset_ms, "dot"], ["raised", alarm.raised_ms, "solid"]].filter(([, ms]) => ms >= begin && ms <= told.to_ms) : [];
  const close = moments.length === 2 && moments[1][1] - moments[0][1] < (told.to_ms - begin) / 5;
  moments.forEach(([name, ms, dash], i) => {
    shapes.push({ type: "line", x0: at(ms), x1: at(ms), y0: 0, y1: 1, yref: "paper", line: { color: soft, width: 1, dash } });
    const left = i === 0 && (close || ms - begin > (told.to_ms - begin) / 8);
    annotations.push({ x: at(ms), y: 1, yref: "paper", yanchor: "bottom", xanchor: left ? "right" : "left", showarrow: false, text: `${say(name)} ${clock(ms, zone).slice(0, 5)}`, font });
  });
  if (!told.t.length) annotations.push({ x: 0.5, y: 0.5, xref: "paper", yref: "paper", showarrow: false, text: say("emptyTrend"), font });
  const axis = { gridcolor: grid, linecolor: grid, zeroline: false, tickfont: font, fixedrange: true };
  plotly.react(element, data, {
    margin, showlegend: false, annotations, shapes, hovermode: "closest", dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "inherit", color: soft },
    xaxis: { ...axis, type: "date", range: [at(begin), at(end)], tickformat: end - begin > 90000000 ? "%m-%d" : "%H:%M", nticks: narrow ? 4 : 6 },
    yaxis: { ...axis, title: { text: told.unit, font, standoff: 4 }, range, nticks: 6 },
  }, { displayModeBar: false, responsive: true });
}
