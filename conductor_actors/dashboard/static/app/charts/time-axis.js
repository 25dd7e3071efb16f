/** The times below a chart: round ones in the local time zone, as many as there is room for. */

import { setText } from "../element.js";
import { axisLabels } from "../local-times.js";
import { shareOf } from "./score-curve.js";

/** @import { Span } from "./score-curve.js" */

const MINUTE_MS = 60_000;
const DAY_MIN = 1440;
const STEPS_MIN = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, DAY_MIN, 2 * DAY_MIN, 7 * DAY_MIN, 30 * DAY_MIN];
const LABEL_PX = 88;
const MAX_LABELS = 8;
const EDGE = 0.04; // nearer to an end, a label would stand out

/**
 * Show the times of a span in a box.
 * @param {HTMLElement} box
 * @param {Span} span
 */
export function showTimes(box, span) {
  const width = box.clientWidth || MAX_LABELS * LABEL_PX;
  const times = timesOf(span, Math.max(2, Math.min(MAX_LABELS, Math.floor(width / LABEL_PX))));
  const labels = axisLabels(times);
  box.replaceChildren(
    ...times.map((atMs, index) => {
      const label = document.createElement("span");
      setText(label, labels[index] ?? "");
      label.style.left = `${100 * shareOf(span, atMs)}%`;
      return label;
    }),
  );
}

/**
 * @param {Span} span
 * @param {number} most
 */
function timesOf(span, most) {
  const { fromMs, toMs } = span;
  const stepMs = stepOf(toMs - fromMs, most);
  // Hours and days are those of the local clock; after its change within the span, they are labelled as they are.
  const offsetMs = new Date(fromMs).getTimezoneOffset() * MINUTE_MS;
  const times = [];
  for (let at = Math.ceil((fromMs - offsetMs) / stepMs) * stepMs + offsetMs; at <= toMs; at += stepMs) times.push(at);
  return times.filter((atMs) => Math.abs(shareOf(span, atMs) - 0.5) <= 0.5 - EDGE);
}

/**
 * @param {number} lengthMs
 * @param {number} most
 */
function stepOf(lengthMs, most) {
  const longest = Math.max(/** @type {number} */ (STEPS_MIN.at(-1)), Math.ceil(lengthMs / MINUTE_MS / most));
  return (STEPS_MIN.find((step) => lengthMs / MINUTE_MS / step <= most) ?? longest) * MINUTE_MS;
}
