// Small makers of elements. Text only ever enters as text: alarms quote what devices sent.
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((c) => c != null));
  return made;
}
const NS = "http://www.w3.org/2000/svg";
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
const SHAPES = {
  1: "M8 1.5a6.5 6.5 0 1 0 .01 0z", 2: "M8 1.2L15.2 14.4H.8z", 3: "M8 .4L15.6 8 8 15.6.4 8z", 4: "M1.5 1.5h13v13h-13z",
};
// A level's shape. The halo is what blinks: the shape and its colour always stand.
export function mark(severity, ...classes) {
  const d = SHAPES[severity] ?? SHAPES[1];
  const halo = classes.includes("unacked") ? [svg("path", { d, class: "halo" })] : [];
  return svg("svg", { viewBox: "0 0 16 16", class: ["mark", `s${severity}`, ...classes.filter(Boolean)].join(" "), "aria-hidden": "true" }, ...halo, svg("path", { d, class: "shape" }));
}
// An asset's shape tells its lifeline without a colour.
export const ASSETS = {
  gas: "M0-4A4 4 0 1 0 .01-4z", bridge: "M-5.5 2.5h11M-5.5 2.5q5.5-8 11 0", tunnel: "M-4.5 3.5v-2.5a4.5 4.5 0 0 1 9 0v2.5z", water: "M0-5q4 5 4 6a4 4 0 0 1-8 0q0-1 4-6z",
  drain: "M-4-4h8v8h-8zM-4 0h8", heat: "M-3.5 4.5v-9M0 4.5v-9M3.5 4.5v-9", gallery: "M-5.5-3h11v6h-11z", env: "M0-4L4 4h-8z",
};
export function glyph(domain, { size = 14, ink, paper }) {
  const open = domain === "bridge" || domain === "heat";
  return svg("svg", { viewBox: "-7 -7 14 14", width: size, height: size, "aria-hidden": "true" },
    svg("path", { d: ASSETS[domain] ?? ASSETS.env, fill: open ? "none" : paper, stroke: ink, "stroke-width": open ? 1.7 : 1.3 }));
}
// A click is lost when its element is replaced between press and release: what the stream or the clock
// would draw waits for the release, two seconds at the most.
const PRESS_MS = 2000;
const waiting = new Set();
let pressed = 0; // the timer that ends it
function release() {
  clearTimeout(pressed);
  pressed = 0;
  const drawn = [...waiting];
  waiting.clear();
  for (const draw of drawn) draw();
}
addEventListener("pointerdown", (event) => {
  if (event.target.closest?.("button, a, input, select, .row")) { clearTimeout(pressed); pressed = setTimeout(release, PRESS_MS); }
}, { capture: true });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { if (pressed) setTimeout(release); }, { capture: true });
export function calmly(draw) {
  if (pressed) waiting.add(draw);
  else draw();
}
export const byId = (id) => document.getElementById(id);
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// What one is asked in the dialog. The function returned closes it, and no form that was opened since.
export function dialog(...children) {
  const box = byId("care"), title = children[0];
  box.replaceChildren(...children);
  box.showModal();
  box.querySelector("select, input, button")?.focus();
  return () => { if (box.contains(title)) box.close(); };
}
