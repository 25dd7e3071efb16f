/** Formats numbers, times and names. */

const TIME = new Intl.DateTimeFormat(undefined, {
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
});
const MINUTE = new Intl.DateTimeFormat(undefined, {
  ...{ hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
});
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const MINUS = "\u2212";

/**
 * Round a share to whole percents, but never up to a multiple of ten, where a level or category
 * begins: 69.8% becomes 69.
 * @param {number} share
 */
export function wholePercent(share) {
  const exact = share * 100;
  const rounded = Math.round(exact);
  const isRoundedUp = rounded % 10 === 0 && rounded - exact > 1e-9;
  return isRoundedUp ? rounded - 1 : rounded;
}

/** @param {number} share */
export function percent(share) {
  return `${wholePercent(share)}%`;
}

/**
 * Format a share with at most one decimal.
 * @param {number} share
 */
export function decimalPercent(share) {
  return `${points(share)}%`;
}

/**
 * Format a contribution or a weight as points of 100, with at most one decimal.
 * @param {number} share
 */
export function points(share) {
  const rounded = Math.round(Math.abs(share) * 1000) / 10;
  const text = Number.isInteger(rounded) ? String(rounded) : rounded.toFixed(1);
  return share < 0 && rounded > 0 ? MINUS + text : text;
}

/** @param {number} number */
export function count(number) {
  return COUNT.format(number);
}

/**
 * Format the difference of two scores in points; null: there is no earlier score.
 * @param {number | null} change
 * @returns {{direction: "up" | "down" | "level" | "none", short: string, long: string}}
 */
export function trend(change) {
  if (change === null) return { direction: "none", short: "–", long: "no earlier score" };
  const by = Math.round(change * 100);
  if (Math.abs(by) < 2) return { direction: "level", short: "→", long: "steady" };
  const unit = Math.abs(by) === 1 ? "point" : "points";
  return by > 0
    ? { direction: "up", short: `↑ ${by}`, long: `up ${by} ${unit}` }
    : { direction: "down", short: `↓ ${-by}`, long: `down ${-by} ${unit}` };
}

/** @param {number} atMs */
export function time(atMs) {
  return TIME.format(atMs);
}

/** @param {number} atMs */
export function minute(atMs) {
  return MINUTE.format(atMs);
}

/** @param {number} atMs */
export function date(atMs) {
  return DATE.format(atMs);
}

/**
 * Format a length of time with its two largest units.
 * @param {number} lengthMs
 */
export function duration(lengthMs) {
  const seconds = Math.max(0, Math.round(lengthMs / 1000));
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return join([Math.floor(minutes / 60), "h"], [minutes % 60, "min"]);
  return minutes > 0 ? join([minutes, "min"], [seconds % 60, "s"]) : `${seconds} s`;
}

/**
 * @param {[number, string]} larger
 * @param {[number, string]} smaller
 */
function join(larger, smaller) {
  return smaller[0] > 0 ? `${larger.join(" ")} ${smaller.join(" ")}` : larger.join(" ");
}

/**
 * Replace control and formatting characters, which could change the text around them.
 * @param {string} text
 */
export function printable(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}
