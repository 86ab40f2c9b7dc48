// Who is logged in here, what they may do, and how they come back when the session has ended.
import { ask, onStranger, trust } from "./api.js";
import { byId, h } from "./dom.js";
import { form } from "./login.js";
import { clock, lang, say } from "./words.js";

const ROLES = ["viewer", "operator", "engineer", "admin"];
let me = { accounts: false, login: "", role: "admin" };
let asking = false;

export const login = () => (me.accounts ? me.login : "");
export const may = (role) => ROLES.indexOf(me.role) >= ROLES.indexOf(role);

function take(told) {
  me = told;
  trust(told.csrf ?? "");
  draw();
}
export function draw() {
  byId("by").parentElement.hidden = me.accounts;
  byId("me").hidden = byId("logout").hidden = !me.accounts;
  byId("me").textContent = `${me.name || me.login} · ${say(`roles.${me.role}`)}`;
  byId("me").setAttribute("aria-label", say("login.me", me.login));
  byId("logout").textContent = say("login.leave");
}

// Begins; ``back`` is called when somebody has come in again after the session had ended.
export async function start({ back, tell, zone }) {
  onStranger(() => ended(back, tell));
  byId("logout").addEventListener("click", () => leave(false, tell));
  byId("me").addEventListener("click", () => account(tell, zone()));
  byId("login").addEventListener("cancel", (event) => event.preventDefault()); // Escape leaves it open
  take(await ask("/api/me"));
}
async function leave(everywhere, tell) {
  try {
    await ask("/logout", { everywhere });
    location.assign("/login");
  } catch (error) { tell(error.message); }
}
function account(tell, zone) {
  const scopes = (me.scopes ?? []).flatMap((scope) => [...scope.domains, ...scope.districts, ...scope.owners]);
  byId("account").replaceChildren(
    h("h2", {}, `${me.name} (${me.login})`),
    h("p", {}, `${say(`roles.${me.role}`)} · ${me.whole_city ? say("login.whole") : scopes.join(lang() === "zh" ? "、" : ", ")}`),
    h("p", { class: "why" }, say("login.ends", clock(me.ends_ms, zone, true))),
    h("div", { class: "orders" },
      h("button", { id: "logout-everywhere", onclick: () => leave(true, tell) }, say("login.everywhere")),
      h("button", { class: "second", onclick: () => byId("account").close() }, say("login.stay"))),
  );
  byId("account").showModal();
}
// The session has ended: the page stays as it is, with all that was typed, and asks for the login.
async function ended(back, tell) {
  if (asking) return;
  asking = true;
  const answer = await fetch("/api/me").catch(() => null);
  const known = answer?.ok ? await answer.json() : null;
  if (known && known.login === me.login) { // logged in anew beside this page: only its token was old
    asking = false;
    take(known);
    back();
    tell(say("login.again"));
    return;
  }
  const before = document.activeElement;
  const done = (told) => {
    if (told.login !== me.login) { location.reload(); return; } // another person: their own screen
    asking = false;
    byId("login").close();
    take(told);
    back();
    before?.focus?.();
    tell(say("login.again"));
  };
  byId("login").replaceChildren(h("h2", {}, say("login.ended")), h("p", { class: "why" }, say("login.kept")), form({ login: me.login, done }));
  byId("login").showModal();
  byId("login-password").focus();
}
