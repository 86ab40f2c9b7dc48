// Talking to serve: every error is an Error with the server's own words and remedy.
export async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const answer = await fetch(path, options);
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const { message = `HTTP ${answer.status}`, remedy = "", by, seq } = told.error ?? {};
  throw Object.assign(new Error(remedy ? `${message} – ${remedy}` : message), { by, seq, status: answer.status });
}
export const commandId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
export function listen({ state, pulse, heard }) {
  const source = new EventSource("/api/stream");
  source.addEventListener("state", (e) => { heard(); state(JSON.parse(e.data)); });
  source.addEventListener("pulse", (e) => { heard(); pulse(JSON.parse(e.data)); });
  return source; // it connects again by itself
}
