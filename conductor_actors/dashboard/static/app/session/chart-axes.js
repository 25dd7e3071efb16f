/** What the charts of a session have in common: their axes, and gaps in their lines. */

import uPlot from "../../vendor/uPlot.esm.js";
import { axisLabels } from "../local-times.js";
import { runs } from "../charts/points.js";
import { colour } from "../theme.js";
import { timeOf } from "./timeline-points.js";

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];
const INCREMENTS = [
  ...[1, 2, 5, 10, 15, 30].map((each) => each * MINUTE),
  ...[1, 2, 3, 6, 12].map((each) => each * HOUR),
  ...[1, 2, 7, 14, 30].map((each) => each * DAY),
];
const [ONE_LINE_PX, TWO_LINES_PX] = [32, 46];

const AXIS = { font: FONT, stroke: () => colour("quiet"), ticks: { show: false } };
const GRID = { stroke: () => colour("line"), width: 1 };

/**
 * The axes: local times, and shares of 1 in this format.
 * @param {number[]} splits
 * @param {(value: number) => string} format
 * @returns {uPlot.Axis[]}
 */
export function axes(splits, format) {
  return [
    {
      ...AXIS,
      grid: { show: false },
      ...{ incrs: INCREMENTS, space: 64, gap: 8 },
      size: (_, labels) => (labels?.some((label) => label.includes("\n")) ? TWO_LINES_PX : ONE_LINE_PX),
      values: (_, at) => axisLabels(at.map((seconds) => seconds * 1000)),
    },
    { ...AXIS, grid: GRID, size: 48, gap: 8, splits: () => splits, values: (_, at) => at.map(format) },
  ];
}

/**
 * Return uPlot's data, with an empty point in each gap, so that no line crosses it.
 * @template {Readonly<{timestamp: string}>} P
 * @param {readonly P[]} points
 * @param {(point: P) => number} valueOf
 * @returns {[number[], (number | null)[]]}
 */
export function withGaps(points, valueOf) {
  /** @type {number[]} */
  const times = [];
  /** @type {(number | null)[]} */
  const values = [];
  for (const run of runs(points.map((point) => ({ at: timeOf(point) / 1000, value: valueOf(point) })))) {
    if (times.length > 0) {
      times.push((/** @type {number} */ (times.at(-1)) + (run[0]?.at ?? 0)) / 2);
      values.push(null);
    }
    times.push(...run.map(({ at }) => at));
    values.push(...run.map(({ value }) => value));
  }
  return [times, values];
}
