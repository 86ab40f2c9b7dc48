// A red alarm that nobody has acknowledged is heard: two tones each two seconds, until somebody does, or mutes this browser.
import { byId, calmly } from "./dom.js";
import { quiet } from "./list.js";
import { say } from "./words.js";

const EACH_MS = 2000, TONES_HZ = [880, 660], TONE_S = 0.28, LOUD = 0.2;
let audio = null, calls = false, last = -EACH_MS;
let muted = localStorage.getItem("muted") === "yes";

export function start() {
  const Audio = window.AudioContext ?? window.webkitAudioContext;
  if (Audio) audio = new Audio();
  // Browsers let a page sound only after a click or key on it; until then it says so.
  // The word on the button gets shorter then, and the row may need a line less: not under the finger that pressed.
  const told = () => calmly(draw);
  const wake = () => { if (audio?.state === "suspended") audio.resume().then(told).catch(told); };
  for (const touch of ["pointerdown", "keydown"]) document.addEventListener(touch, wake, { capture: true });
  audio?.addEventListener("statechange", told);
  byId("sound").addEventListener("click", toggle);
  draw();
}
export function toggle() {
  muted = !muted;
  localStorage.setItem("muted", muted ? "yes" : "no");
  draw();
}
export const calling = (alarms) => alarms.some((a) => a.severity === 4 && !a.ended && !quiet(a));

// Called with every state and each second.
export function update(alarms) {
  const before = calls;
  calls = calling(alarms);
  if (calls && !muted && audio?.state === "running" && performance.now() - last >= EACH_MS - 50) ring();
  if (before !== calls) calmly(draw);
}
function ring() {
  last = performance.now();
  TONES_HZ.forEach((hz, i) => {
    const tone = audio.createOscillator(), gain = audio.createGain(), at = audio.currentTime + i * TONE_S;
    tone.frequency.value = hz;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(LOUD, at + 0.02); // without the ramps it would click
    gain.gain.setValueAtTime(LOUD, at + TONE_S - 0.05);
    gain.gain.linearRampToValueAtTime(0, at + TONE_S);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + TONE_S);
  });
}
const state = () => (!audio ? "none" : muted ? "muted" : audio.state !== "running" ? "waits" : calls ? "sounds" : "on");
export function draw() {
  const now = state(), button = byId("sound");
  button.textContent = say(`sound.${now}`);
  button.dataset.state = now;
  button.setAttribute("aria-pressed", String(muted));
  button.title = say("sound.key");
  button.classList.toggle("loud", now !== "on" && now !== "sounds");
  button.classList.toggle("chip", now !== "on" && now !== "sounds");
  byId("unheard").hidden = !(document.body.classList.contains("wall") && (now === "waits" || now === "none"));
  byId("unheard").textContent = say("sound.wall");
}
