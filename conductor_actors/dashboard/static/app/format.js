/** How figures are written. */

const TIME = new Intl.DateTimeFormat(undefined, {
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
});
const MINUTE = new Intl.DateTimeFormat(undefined, {
  ...{ hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
});
const COUNT = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const MINUS = "\u2212";

/**
 * Round a share to whole percents, but never up to a multiple of ten: 69.8% is not yet 70%,
 * where another level or category begins.
 * @param {number} share
 */
export function wholePercent(share) {
  const exact = share * 100;
  const rounded = Math.round(exact);
  const isAhead = rounded % 10 === 0 && rounded - exact > 1e-9;
  return isAhead ? rounded - 1 : rounded;
}

/** @param {number} share */
export function percent(share) {
  return `${wholePercent(share)}%`;
}

/**
 * Write a contribution or a weight as points of 100, with one decimal where it has one.
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
 * Write a difference of two scores in points, or null where there is no earlier one.
 * @param {number | null} change
 * @returns {{direction: "up" | "down" | "level" | "none", short: string, words: string}}
 */
export function trend(change) {
  if (change === null) return { direction: "none", short: "–", words: "no trend yet" };
  const by = Math.round(change * 100);
  if (Math.abs(by) < 2) return { direction: "level", short: "→", words: "steady" };
  const unit = Math.abs(by) === 1 ? "point" : "points";
  return by > 0
    ? { direction: "up", short: `↑ ${by}`, words: `up ${by} ${unit}` }
    : { direction: "down", short: `↓ ${-by}`, words: `down ${-by} ${unit}` };
}

/** @param {number} atMs */
export function time(atMs) {
  return TIME.format(atMs);
}

/** @param {number} atMs */
export function minute(atMs) {
  return MINUTE.format(atMs);
}

/**
 * Make a foreign text safe to look at: nothing that moves or turns the text around it.
 * @param {string} text
 */
export function printable(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\ufffd");
}
