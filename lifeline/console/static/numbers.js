// Numbers with their meaning: value with unit, how it moves, how far from a limit, how old.
import { lang, length, levelName, say } from "./words.js";

export function number(value, decimals) {
  if (value == null) return "–";
  if (value === "over") return say("overRangeUp");
  if (value === "under") return say("under");
  const digits = Math.abs(value) >= 10 ** -decimals || value === 0 ? decimals : decimals + 2;
  return value.toFixed(digits).replace("-", "−");
}
export function valued(value, { unit, decimals, quantity, lel_basis }) {
  const text = `${number(value, decimals)} ${unit}`.trim();
  const lel = quantity === "ch4" && typeof value === "number" ? ` (${Math.round((value / (lel_basis ?? 5)) * 100)} %LEL)` : "";
  return text + lel;
}
// Which way: steady is a change of less than two of the last digits shown, or of 1 %.
export function arrow(now, decimals) {
  const change = now?.change;
  if (typeof change !== "number") return "";
  const least = Math.max(2 * 10 ** -decimals, Math.abs(typeof now.value === "number" ? now.value : 0) * 0.01);
  if (Math.abs(change) < least) return "→";
  return change > 0 ? "↗" : "↘";
}
export function moving(now, decimals, unit) {
  const sign = arrow(now, decimals);
  if (!sign) return "";
  if (sign === "→") return say("steady");
  const by = `${number(Math.abs(now.change), decimals)} ${unit}`.trim();
  return say(sign === "↗" ? "rising" : "falling", by);
}
// The limit that matters now: the worst one broken, else the nearest not yet broken.
export function nearest(value, levels, side) {
  const mine = levels.filter((x) => !side || x.side === side);
  if (!mine.length || typeof value !== "number") return null;
  const beyond = (x) => x.side * (value - x.at);
  const broken = mine.filter((x) => beyond(x) >= 0).sort((a, b) => b.severity - a.severity)[0];
  return broken ?? mine.sort((a, b) => beyond(b) - beyond(a))[0];
}
export function distance(value, level, { unit, decimals }) {
  if (!level || typeof value !== "number") return "";
  const away = `${number(Math.abs(value - level.at), decimals)} ${unit}`.trim();
  const limit = `${number(level.at, decimals)} ${unit}`.trim();
  const broken = level.side * (value - level.at) >= 0;
  const key = broken ? (level.side > 0 ? "aboveLimit" : "belowLimit") : "toLimit";
  return say(key, away, levelName(level.severity), limit, say(`source.${level.source}`));
}
export const old = (at_ms, now_ms) => say("ago", length(Math.max(0, (now_ms - at_ms) / 1000)));
export const label = (named) => named?.[lang()] || named?.en || "";
