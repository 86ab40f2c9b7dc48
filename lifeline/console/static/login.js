// The door: login and password, then to where one wanted to go.
import { ask } from "./api.js";
import { byId, h } from "./dom.js";
import { lang, say, toggle } from "./words.js";

export function form({ login = "", fixed = false, done }) {
  const fail = h("p", { id: "login-failed", role: "alert" });
  const who = h("input", { id: "login-name", name: "username", autocomplete: "username", maxlength: "64", required: true, spellcheck: "false", autocapitalize: "none", value: login, readonly: fixed });
  const secret = h("input", { id: "login-password", name: "password", type: "password", autocomplete: "current-password", maxlength: "256", required: true, "aria-describedby": "login-failed" });
  const button = h("button", { type: "submit" }, say("login.enter"));
  return h("form", { class: "care login", onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    fail.textContent = "";
    try {
      done(await ask("/login", { login: who.value.trim(), password: secret.value }));
    } catch (error) {
      fail.textContent = error.status ? error.message : say("login.unreachable");
      secret.value = "";
      secret.focus();
    }
    button.disabled = false;
  } },
  h("label", { for: "login-name" }, h("span", {}, say("login.name")), who),
  h("label", { for: "login-password" }, h("span", {}, say("login.password")), secret), button, fail);
}

// Where one wanted to go: the page, a city code on it or the field page; nothing else, whoever made the link.
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/(code\/[^/\\]|field(\/|$))/.test(next) ? new URL(next, location.origin).pathname : `/${location.hash}`;
}
function draw() {
  document.documentElement.lang = lang() === "zh" ? "zh-CN" : "en";
  const name = byId("login-name")?.value ?? "";
  byId("door").replaceChildren(
    h("h1", {}, "City Lifeline"), h("p", { class: "why" }, say("login.asks")),
    form({ login: name, done: () => location.replace(wanted()) }),
    h("button", { id: "language", class: "plain", onclick: () => { toggle(); draw(); } }, lang() === "zh" ? "English" : "中文"),
    h("p", { class: "why" }, say("safety")),
  );
  byId(name ? "login-password" : "login-name").focus();
}
if (byId("door")) draw();
