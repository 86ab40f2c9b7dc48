// Talking to serve: every error is an Error with the server's own words and remedy.
let csrf = ""; // shown with each order of a session: only this page knows it
let stranger = () => {};
export const trust = (token) => { csrf = token; };
export const onStranger = (then) => { stranger = then; }; // called when the session is none any more
export async function ask(path, body) {
  const headers = { "Content-Type": "application/json", ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : {};
  const answer = await fetch(path, options);
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const { message = `HTTP ${answer.status}`, remedy = "", by, seq, field } = told.error ?? {};
  if (path !== "/login" && (answer.status === 401 || (answer.status === 403 && field === "X-CSRF-Token"))) stranger();
  throw Object.assign(new Error(remedy ? `${message} – ${remedy}` : message), { by, seq, field, status: answer.status });
}
export const commandId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
// It connects again by itself; a refusal ends an EventSource for good, so then it is asked why first.
export function listen({ state, pulse, heard }) {
  let source, later, known = new Map(), grouped = new Map(); // alarms, incidents by id: a change brings only those that are new to us
  const open = () => {
    close();
    source = new EventSource("/api/stream?changes=1");
    source.addEventListener("state", (e) => { heard(); take(JSON.parse(e.data)); });
    source.addEventListener("change", (e) => { heard(); changed(JSON.parse(e.data)); });
    source.addEventListener("pulse", (e) => { heard(); pulse(JSON.parse(e.data)); });
    source.addEventListener("ended", () => { close(); stranger(); });
    source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) later = setTimeout(again, 2000); });
  };
  const byIds = (rows) => new Map(rows.map((row) => [row.id, row]));
  const take = (told) => { known = byIds(told.alarms); grouped = byIds(told.incidents); state(told); };
  const changed = ({ ids, incident_ids, ...told }) => {
    for (const a of told.alarms) known.set(a.id, a);
    for (const i of told.incidents) grouped.set(i.id, i);
    if (ids.some((id) => !known.has(id)) || incident_ids.some((id) => !grouped.has(id))) return open(); // something was missed: the whole screen anew
    take({ ...told, alarms: ids.map((id) => known.get(id)), incidents: incident_ids.map((id) => grouped.get(id)) });
  };
  const again = () => ask("/api/me").then(open, (error) => { if (error.status !== 401) later = setTimeout(again, 2000); });
  const close = () => { clearTimeout(later); source?.close(); };
  open();
  return { open, close };
}
