// What people did on site, a row each: on the phone and at the desk. A photo is only ever an image.
import { h } from "./dom.js";
import { clock, say } from "./words.js";

export function entryRow(e, zone) {
  const late = e.got_ms - e.at_ms > 60000 ? say("field.arrived", clock(e.got_ms, zone)) : "";
  const gave = e.did === "result" ? [say(e.passed ? "field.passed" : "field.failed"), e.found === null ? "" : `${say("field.asFound")} ${e.found}`, e.left === null ? "" : `${say("field.asLeft")} ${e.left}`, e.proved ? say("field.proved") : ""] : [];
  const until = e.did === "calibrate" ? [e.over ? say("field.tooLate") : say("field.until", clock(e.until_ms, zone))] : [];
  const name = `${say(`field.did.${e.did}`)} ${e.text}`.trim();
  const picture = e.did !== "photo" ? null : e.photo ? h("a", { href: e.photo.href }, h("img", { src: e.photo.href, width: e.photo.width, height: e.photo.height, loading: "lazy", alt: name })) : h("p", { class: "soft" }, say("field.gone"));
  return h("li", {}, h("strong", {}, say(`field.did.${e.did}`)), ` ${e.text}`, gave.length ? h("p", {}, gave.filter(Boolean).join(" · ")) : null, h("p", { class: "soft" }, [clock(e.at_ms, zone, true), e.by, ...until, late].filter(Boolean).join(" · ")), picture);
}
// The desk's: of an asset or an incident; nothing where nothing was done.
export function fieldLog(entries, zone) {
  return entries?.length ? [h("h3", {}, say("field.log")), h("ul", { id: "field-log", class: "field-log" }, ...entries.map((e) => entryRow(e, zone)))] : [];
}
