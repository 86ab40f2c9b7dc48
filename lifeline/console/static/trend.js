// A trend: gaps stay open, suspect samples are hollow, limits are thin step lines with their source.
import { css } from "./dom.js";
import { clock, lang, say } from "./words.js";

// Five megabytes: fetched after the first screen stands, or when the first trend is asked for.
let loading;
export function library() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "/vendor/plotly.min.js";
    script.onload = () => done(window.Plotly);
    script.onerror = () => failed(new Error("plotly.min.js did not load"));
    document.head.append(script);
  });
  return loading;
}

const LEVEL = { 1: "--l1", 2: "--l2", 3: "--l3", 4: "--l4" };

// The site's local time as the axis shows it (the library knows UTC only).
function shift(zone, ms) {
  const [date, time] = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(ms).split(" ");
  return Date.parse(`${date}T${time}Z`) - Math.floor(ms / 1000) * 1000;
}

function columns(told) {
  const line = { x: [], y: [] };
  const marks = { suspect: { x: [], y: [], text: [] }, late: { x: [], y: [], text: [] }, over: { x: [], y: [], text: [] } };
  let before = null;
  told.t.forEach((t, i) => {
    if (before !== null && t - before > told.gap_ms) { line.x.push(before + 1); line.y.push(null); }
    before = t;
    const raw = told.value[i];
    const beyond = raw === "over" || raw === "under";
    const v = beyond ? told.range[raw === "over" ? 1 : 0] : raw;
    line.x.push(t);
    line.y.push(told.suspect[i] || told.late[i] ? null : v);
    const kind = beyond ? "over" : told.suspect[i] ? "suspect" : told.late[i] ? "late" : null;
    if (kind) { marks[kind].x.push(t); marks[kind].y.push(v); marks[kind].text.push(told.received[i]); }
  });
  return { line, marks };
}

export async function drawTrend(element, told, alarm, zone) {
  const plotly = await library();
  const move = shift(zone, told.to_ms);
  const at = (ms) => ms + move;
  const { line, marks } = columns(told);
  const colour = css("--data"), soft = css("--soft"), grid = css("--line");
  const hover = (kind) => marks[kind].x.map((t, i) => `${say(kind === "late" ? "lateMark" : "suspect")}<br>${say("measured")} ${clock(t, zone)}<br>${say("received")} ${clock(marks[kind].text[i], zone)}`);
  const points = (kind, symbol) => ({
    x: marks[kind].x.map(at), y: marks[kind].y, mode: "markers", type: "scatter", text: hover(kind), hovertemplate: `%{y}<br>%{text}<extra></extra>`,
    marker: { symbol, size: 6, color: colour, line: { width: 1.2, color: colour } },
  });
  const lone = line.y.length < 60 ? "lines+markers" : "lines";
  const data = [
    { x: line.x.map(at), y: line.y, mode: lone, type: "scatter", connectgaps: false, line: { color: colour, width: 1.6 }, marker: { size: 3, color: colour },
      hovertemplate: `%{y:.${told.decimals}f} ${told.unit}<br>%{x|%H:%M:%S}<extra></extra>` },
    points("suspect", "circle-open"), points("late", "diamond-open"), points("over", "triangle-up"),
  ];
  const annotations = [], shapes = [];
  for (const limit of told.limits.filter((x) => x.kind === "threshold" && x.steps.length)) {
    const steps = limit.steps.filter(([t]) => t <= told.to_ms).map(([t, v]) => [Math.max(t ?? 0, told.from_ms), v]);
    if (!steps.length) continue;
    const last = steps[steps.length - 1][1];
    const own = css(LEVEL[limit.severity]);
    data.push({ x: [...steps.map(([t]) => at(t)), at(told.to_ms)], y: [...steps.map(([, v]) => v), last], mode: "lines", type: "scatter", hoverinfo: "skip",
      line: { shape: "hv", width: 1, color: own } });
    const word = (lang() === "zh" ? ["", "蓝", "黄", "橙", "红"] : ["", "blue", "yellow", "orange", "red"])[limit.severity];
    annotations.push({ x: 0.004 + 0.24 * (annotations.length % 2), xref: "paper", xanchor: "left", y: last, yanchor: limit.side > 0 ? "bottom" : "top", showarrow: false,
      text: `${word} ${last.toPrecision(3) * 1} · ${say(`source.${limit.source}`)}`, font: { size: 10, color: soft } });
  }
  for (const [name, ms, dash] of alarm ? [["onset", alarm.onset_ms, "dot"], ["raised", alarm.raised_ms, "solid"]] : []) {
    if (!ms || ms < told.from_ms || ms > told.to_ms) continue;
    if (name === "raised" && Math.abs(ms - (alarm.onset_ms ?? 0)) < (told.to_ms - told.from_ms) / 60) continue; // they would stand on each other
    shapes.push({ type: "line", x0: at(ms), x1: at(ms), y0: 0, y1: 1, yref: "paper", line: { color: soft, width: 1, dash } });
    annotations.push({ x: at(ms), y: 1, yref: "paper", yanchor: "bottom", xanchor: "right", showarrow: false, text: say(name), font: { size: 10, color: soft } });
  }
  if (!told.t.length) annotations.push({ x: 0.5, y: 0.5, xref: "paper", yref: "paper", showarrow: false, text: say("emptyTrend"), font: { color: soft } });
  const axis = { gridcolor: grid, linecolor: grid, zeroline: false, tickfont: { color: soft, size: 11 } };
  plotly.react(element, data, {
    margin: { l: 46, r: 12, t: 22, b: 30 }, showlegend: false, annotations, shapes, hovermode: "closest", dragmode: false,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "inherit", color: soft },
    xaxis: { ...axis, type: "date", range: [at(told.from_ms), at(told.to_ms)], tickformat: told.to_ms - told.from_ms > 90000000 ? "%m-%d" : "%H:%M", fixedrange: true, nticks: 7 },
    yaxis: { ...axis, title: { text: told.unit, font: { size: 11, color: soft }, standoff: 4 }, fixedrange: true, rangemode: "normal" },
  }, { displayModeBar: false, responsive: true });
}
