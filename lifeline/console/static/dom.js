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
const SHAPES = {
  1: "M8 1.5a6.5 6.5 0 1 0 .01 0z", 2: "M8 1.2L15.2 14.4H.8z", 3: "M8 .4L15.6 8 8 15.6.4 8z", 4: "M1.5 1.5h13v13h-13z",
};
export function mark(severity, ...classes) {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", ["mark", `s${severity}`, ...classes.filter(Boolean)].join(" "));
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(NS, "path");
  path.setAttribute("d", SHAPES[severity] ?? SHAPES[1]);
  svg.append(path);
  return svg;
}
export const byId = (id) => document.getElementById(id);
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
