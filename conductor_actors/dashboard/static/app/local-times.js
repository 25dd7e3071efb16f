/** Times of a range, in the local time zone: with their day where it has several, and with the name of the zone where its clock changes. */

import { date, minute, time } from "./format.js";

const ZONE = new Intl.DateTimeFormat(undefined, { hour: "numeric", timeZoneName: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/**
 * Return the name of the zone at a time, such as CET or CEST.
 * @param {number} atMs
 */
export function zoneName(atMs) {
  return ZONE.formatToParts(atMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
}

/**
 * Format a day with its year.
 * @param {number} atMs
 */
export function day(atMs) {
  return DAY.format(atMs);
}

/**
 * Whether the clock of the zone changes between two times.
 * @param {number} fromMs
 * @param {number} toMs
 */
export function changesClock(fromMs, toMs) {
  return new Date(fromMs).getTimezoneOffset() !== new Date(toMs).getTimezoneOffset();
}

/**
 * Return functions that format times of a range, so that none of them can be mistaken for another.
 * @param {number} fromMs
 * @param {number} toMs
 */
export function timesIn(fromMs, toMs) {
  const hasDays = day(fromMs) !== day(toMs);
  const hasZones = changesClock(fromMs, toMs);
  const around = (/** @type {number} */ atMs, /** @type {string} */ text) =>
    `${hasDays ? `${date(atMs)}, ` : ""}${text}${hasZones ? ` ${zoneName(atMs)}` : ""}`;
  return {
    time: (/** @type {number} */ atMs) => around(atMs, time(atMs)),
    minute: (/** @type {number} */ atMs) => around(atMs, minute(atMs)),
  };
}

/**
 * Format a span of time with its days, and with the zones where the clock changes within it.
 * @param {number} fromMs
 * @param {number} toMs
 * @param {boolean} isOpen whether it goes on
 */
export function spanText(fromMs, toMs, isOpen) {
  const hasZones = changesClock(fromMs, toMs);
  const text = (/** @type {number} */ atMs) => `${minute(atMs)}${hasZones ? ` ${zoneName(atMs)}` : ""}`;
  const endDay = day(fromMs) === day(toMs) ? "" : `${day(toMs)}, `;
  return `${day(fromMs)}, ${text(fromMs)} – ${isOpen ? "now" : `${endDay}${text(toMs)}`}`;
}

/**
 * Return the labels of an axis: of each, only what differs from the one before.
 * @param {readonly number[]} timesMs
 */
export function axisLabels(timesMs) {
  const [first = 0, last = 0] = [timesMs[0], timesMs.at(-1)];
  const hasDays = day(first) !== day(last);
  const hasZones = changesClock(first, last);
  let before = "";
  return timesMs.map((atMs) => {
    const more = [hasDays ? date(atMs) : "", hasZones ? zoneName(atMs) : ""].filter(Boolean).join(" ");
    const label = more === before ? minute(atMs) : `${minute(atMs)}\n${more}`;
    before = more;
    return label;
  });
}
