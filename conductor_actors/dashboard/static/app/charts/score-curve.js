/**
 * A curve of scores as SVG: its colours show the levels, in both themes and in print, and it has
 * gaps where steps are missing. It fills its box, from 0% at the bottom to 100% at the top.
 */

import { CRITICAL_BELOW, LEVELS } from "../levels.js";
import { runs } from "./points.js";
import { svg } from "./svg.js";

/** @typedef {Readonly<{fromMs: number, toMs: number}>} Span */
/** @typedef {{at: number, score: number, min?: number, max?: number}} CurvePoint */

const WIDTH = 1000; // of the drawing, which is stretched to the width of its box
const HEIGHT = 100;
const COLOURS = "curve-levels";

/**
 * Return the curve of points over a span of time, with the band of their minima and maxima if they
 * have them.
 * @param {readonly CurvePoint[]} points
 * @param {Span} span
 */
export function scoreCurve(points, span) {
  defineColours();
  const parts = runs(points);
  const band = parts.flatMap((run) => (run[0]?.min === undefined ? [] : [bandPath(run, span)]));
  const area = parts.map((run) => areaPath(run, span));
  const line = parts.map((run) => linePath(run, span, ({ score }) => score));
  return svg(
    "svg",
    { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    ...[svg("path", { class: "curve-area", d: area.join("") })],
    ...[svg("path", { class: "curve-band", d: band.join("") })],
    svg("path", { class: "curve-line", d: line.join(""), stroke: `url(#${COLOURS})` }),
  );
}

/** Return a line at the score below which a session is critical. */
export function thresholdLine() {
  const y = HEIGHT * (1 - CRITICAL_BELOW);
  return svg("path", { class: "curve-threshold", d: `M0 ${y}H${WIDTH}` });
}

/**
 * Return a shaded time in the height of the curve.
 * @param {Span} span
 * @param {number} beginMs
 * @param {number} endMs
 */
export function shadedTime(span, beginMs, endMs) {
  const [left, right] = [place(span, beginMs), place(span, endMs)];
  return svg("rect", { class: "curve-shade", x: left, y: 0, width: Math.max(2, right - left), height: HEIGHT });
}

/**
 * Return a vertical line at a time.
 * @param {Span} span
 * @param {number} atMs
 */
export function timeLine(span, atMs) {
  return svg("path", { class: "curve-mark", d: `M${place(span, atMs)} 0V${HEIGHT}` });
}

/**
 * Return which share of a span has passed at a time.
 * @param {Span} span
 * @param {number} atMs
 */
export function shareOf({ fromMs, toMs }, atMs) {
  return toMs > fromMs ? (atMs - fromMs) / (toMs - fromMs) : 0;
}

/**
 * @param {Span} span
 * @param {number} atMs
 */
function place(span, atMs) {
  return round(WIDTH * shareOf(span, atMs));
}

/**
 * @param {readonly CurvePoint[]} run
 * @param {Span} span
 * @param {(point: CurvePoint) => number} valueOf
 */
function linePath(run, span, valueOf) {
  const places = run.map((point) => `${place(span, point.at)} ${round(HEIGHT * (1 - valueOf(point)))}`);
  // A line without a length is a dot, because its ends are round.
  return `M${places.length > 1 ? places.join("L") : `${places[0]}h0`}`;
}

/**
 * @param {readonly CurvePoint[]} run
 * @param {Span} span
 */
function areaPath(run, span) {
  const [first, last] = [run[0]?.at ?? 0, run.at(-1)?.at ?? 0];
  return `${linePath(run, span, ({ score }) => score)}L${place(span, last)} ${HEIGHT}H${place(span, first)}Z`;
}

/**
 * @param {readonly CurvePoint[]} run
 * @param {Span} span
 */
function bandPath(run, span) {
  const upper = linePath(run, span, ({ score, max = score }) => max);
  const lower = linePath(run.toReversed(), span, ({ score, min = score }) => min);
  return `${upper}L${lower.slice(1)}Z`;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** Add the gradient that has at each height the colour of the level there, once to the page. */
function defineColours() {
  if (document.getElementById(COLOURS)) return;
  let upper = 1;
  const stops = LEVELS.flatMap(([level, from]) => {
    const ends = [1 - upper, 1 - from].map((offset) => svg("stop", { class: `stop-${level}`, offset }));
    upper = from;
    return ends;
  });
  const direction = { gradientUnits: "userSpaceOnUse", x1: 0, y1: 0, x2: 0, y2: HEIGHT };
  const gradient = svg("linearGradient", { id: COLOURS, ...direction }, ...stops);
  document.body.append(svg("svg", { class: "curve-colours", width: 0, height: 0, "aria-hidden": "true" }, gradient));
}
