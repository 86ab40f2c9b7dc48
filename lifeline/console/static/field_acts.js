// What a person on site can do, as forms with few and large things to press; each gives one order.
import { byId, h } from "./dom.js";
import { clock, lang, say } from "./words.js";

const SIDE = 1600, QUALITY = 0.85;

function area(id, word, required = false) {
  return h("label", { for: id }, h("span", {}, say(word)), h("textarea", { id, rows: "3", maxlength: "1000", required }));
}
const number = (id, word) => h("label", { for: id }, h("span", {}, say(word)), h("input", { id, inputmode: "decimal", pattern: "-?[0-9]+([.,][0-9]+)?", autocomplete: "off" }));
const read = (id) => (byId(id).value.trim() ? Number(byId(id).value.trim().replace(",", ".")) : null);
function form(id, word, give, back, ...parts) {
  return h("form", { id, onsubmit: (event) => { event.preventDefault(); give(); } }, h("h2", {}, say(word)), ...parts,
    h("div", { class: "row" }, h("button", { type: "submit", class: "first" }, say("field.do")), h("button", { type: "button", onclick: back }, say("back"))));
}
export function arrive(view) {
  return form("form-on-site", "field.onSite", () => view.give("on-site", { text: byId("said").value.trim() }), view.back, area("said", "field.optional"));
}
export function note(view) {
  return form("form-note", "field.note", () => view.give("note", { text: byId("said").value.trim() }), view.back, area("said", "field.found", true));
}
export function photo(view) {
  const pick = h("input", { id: "picture", type: "file", accept: "image/*", capture: "environment", required: true });
  return form("form-photo", "field.photo", async () => {
    try {
      await view.give("photo", { text: byId("said").value.trim(), image: await small(pick.files[0]) });
    } catch { view.tell(say("field.noPhoto")); }
  }, view.back, h("label", { for: "picture" }, h("span", {}, say("field.takeIt")), pick), area("said", "field.optional"));
}
export function calibrate(view) {
  const subject = h("select", { id: "subject" }, h("option", { value: "" }, say("field.allOfIt")), ...view.here.channels.map((c) => h("option", { value: c.id }, c.label[lang()])));
  const minutes = h("select", { id: "minutes" }, ...[15, 30, 60, 120].map((n) => h("option", { value: String(n), selected: n === 30 }, say("field.minutes", n))));
  return form("form-calibrate", "field.calibrate", () => view.give("calibrate", { subject: subject.value, minutes: Number(minutes.value), text: byId("said").value.trim() }), view.back,
    h("p", { class: "soft" }, say("field.breaks")), h("label", { for: "subject" }, h("span", {}, say("field.what")), subject),
    h("label", { for: "minutes" }, h("span", {}, say("field.long")), minutes), area("said", "field.optional"));
}
// Of one that runs, or has ended by itself; ``of``: its id, or its command while it waits in the phone.
export function outcome(work, view) {
  const gave = (passed) => view.give("result", { of: work.of, passed, found: read("as-found"), left: read("as-left"), text: byId("outcome").value.trim() });
  const until = h("p", {}, h("strong", {}, say(work.until_ms > view.now_ms() ? "field.runs" : "field.ended", clock(work.until_ms, view.zone), work.by)), work.subject && work.subject !== view.asset ? ` ${work.subject}` : "");
  if (!view.may("operator")) return h("div", { class: "box", id: "work" }, until);
  return h("form", { id: "work", onsubmit: (event) => event.preventDefault() }, h("h2", {}, say("field.result")), until, number("as-found", "field.asFound"), number("as-left", "field.asLeft"), area("outcome", "field.optional"),
    h("div", { class: "row" }, h("button", { type: "button", id: "passed", class: "first", onclick: (e) => e.target.form.reportValidity() && gave(true) }, say("field.passed")), h("button", { type: "button", id: "failed", onclick: (e) => e.target.form.reportValidity() && gave(false) }, say("field.failed"))));
}
// A telephone's photo has ten times what anybody looks at, and says where it was taken: drawn anew, neither.
async function small(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const share = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const canvas = h("canvas", { width: Math.max(1, Math.round(picture.width * share)), height: Math.max(1, Math.round(picture.height * share)) });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", QUALITY).split(",")[1];
}

const SCAN_MS = 250;
export const canScan = () => "BarcodeDetector" in window && Boolean(navigator.mediaDevices?.getUserMedia);
// Looks through the camera until it reads a code; returns what stops it. A link on a plate counts by its code.
export async function scan(video, found, failed) {
  let on = true;
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    const stop = () => { on = false; stream.getTracks().forEach((track) => track.stop()); };
    video.srcObject = stream;
    await video.play();
    const detector = new BarcodeDetector();
    const look = async () => {
      if (!on || !video.isConnected) { stop(); return; }
      const [code] = await detector.detect(video).catch(() => []);
      if (code && on) { stop(); found(plain(code.rawValue)); return; }
      setTimeout(look, SCAN_MS);
    };
    look();
  } catch (error) { failed(error.message); }
}
export function plain(text) {
  const link = /\/(?:code|field)\/([^?#]+)/.exec(text);
  return link ? decodeURIComponent(link[1]) : text.trim();
}
