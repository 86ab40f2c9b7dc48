// Keeps the field page's own files in the phone, so that it opens where there is no coverage. Of what the
// city says it keeps nothing: that is the page's work, which shows how old it is.
const SHELF = "field-1", PATIENCE_MS = 4000;
const FILES = ["/field", ...["page.css", "field.css", "field.js", "field_acts.js", "field_log.js", "field_store.js", "api.js", "dom.js", "words.js", "icon.svg"].map((name) => `/static/${name}`)];
self.addEventListener("install", (event) => event.waitUntil(caches.open(SHELF).then((shelf) => shelf.addAll(FILES)).then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== SHELF) await caches.delete(name);
  await self.clients.claim();
})()));
self.addEventListener("fetch", (event) => {
  const { request } = event, path = new URL(request.url).pathname;
  const page = request.mode === "navigate" && (path === "/field" || path.startsWith("/field/"));
  if (request.method === "GET" && (page || FILES.includes(path))) event.respondWith(fresh(request, page ? "/field" : path));
});
// The server's newest where it answers soon, else what is kept; a page that wants a login goes there.
async function fresh(request, kept) {
  const shelf = await caches.open(SHELF);
  const asked = fetch(request).then(async (answer) => {
    if (answer.ok && !answer.redirected) await shelf.put(kept, answer.clone());
    return answer;
  });
  asked.catch(() => {}); // told below, or too late for anybody
  const late = new Promise((done) => setTimeout(done, PATIENCE_MS)).then(() => shelf.match(kept));
  try {
    return (await Promise.race([asked, late])) ?? (await asked);
  } catch (error) {
    const found = await shelf.match(kept);
    if (found) return found;
    throw error;
  }
}
