// Find an asset, or a channel on it, by words or by its code.
import { ask } from "./api.js";
import { byId, h } from "./dom.js";
import { label } from "./numbers.js";
import { say } from "./words.js";

const PAUSE_MS = 200;
let waits = 0;

export function find(view) {
  const box = h("input", { id: "query", "aria-label": say("find"), placeholder: say("find"), autocomplete: "off", spellcheck: "false" });
  const found = h("ul", { id: "found" });
  box.addEventListener("input", () => { clearTimeout(waits); waits = setTimeout(() => look(box.value.trim(), found, view), PAUSE_MS); });
  box.addEventListener("keydown", (e) => { if (e.key === "Enter") found.querySelector("button")?.click(); });
  byId("find").replaceChildren(box, found);
  byId("find").showModal();
  box.focus();
}
async function look(text, box, view) {
  if (!text) return box.replaceChildren();
  const open = (asset) => { byId("find").close(); view.openAsset(asset, text.startsWith(`${asset.id}/`) ? text : ""); };
  try {
    const { assets } = await ask(`/api/find?limit=12&q=${encodeURIComponent(text)}`);
    box.replaceChildren(...assets.map((asset) => h("li", {}, h("button", { class: "link", onclick: () => open(asset) }, `${label(asset.name)} · ${asset.id}`))));
    if (!assets.length) box.replaceChildren(h("li", {}, say("nothingFound")));
  } catch (error) { view.tell(error.message); }
}
