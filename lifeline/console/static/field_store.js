// What was ordered and is not with the server yet, kept in the phone: a reload, an empty battery or a
// gap in coverage loses none, and each is done once, for its command goes with it as often as it is sent.
import { ask } from "./api.js";

const MOST_WAIT_S = 30 * 86400;
let opened = null;
function orders(mode) {
  opened ??= new Promise((done, failed) => {
    const asked = indexedDB.open("field", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("orders", { keyPath: "n", autoIncrement: true });
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
  return opened.then((base) => base.transaction("orders", mode, { durability: "strict" }).objectStore("orders"));
}
function result(request) {
  return new Promise((done, failed) => {
    const transaction = request.transaction;
    transaction.oncomplete = () => done(request.result); // on disk, not only taken
    transaction.onerror = transaction.onabort = () => failed(transaction.error);
  });
}
export const add = async (order) => result((await orders("readwrite")).add(order));
export const put = async (order) => result((await orders("readwrite")).put(order));
export const drop = async (order) => result((await orders("readwrite")).delete(order.n));
export const all = async () => result((await orders("readonly")).getAll());

const waited = (order) => Math.min(MOST_WAIT_S, Math.max(0, (Date.now() - order.made_ms) / 1000));
// Sends in the order they were made; returns "" when all is sent, "gap", or "login". One tab at a time.
export function send(login, changed) {
  const work = () => sendAll(login, changed);
  return navigator.locks ? navigator.locks.request("field-send", work) : work();
}
async function sendAll(login, changed) {
  for (;;) {
    const order = (await all()).find((o) => !o.refused && o.login === login);
    if (!order) return "";
    try {
      await ask(`/api/field/${encodeURIComponent(order.asset)}/${order.order}`, { ...order.body, waited_s: waited(order) });
      await drop(order);
    } catch (error) {
      if (!error.status || [408, 429, 502, 503, 504].includes(error.status)) return "gap";
      if (error.status === 401 || error.field === "X-CSRF-Token") return "login";
      await put({ ...order, refused: error.message }); // the person decides: again, or away with it
    }
    changed();
  }
}
