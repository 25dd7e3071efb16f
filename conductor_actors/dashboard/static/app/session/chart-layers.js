/** What the chart shows behind its curve: bands of scores, and times of anomalies or without scores. */

import { beginMs, endMs } from "../incidents.js";
import { runs } from "../charts/points.js";
import { colour } from "../theme.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */
/** @import { ChartPoint } from "./timeline-points.js" */
/** @import uPlot from "../../vendor/uPlot.esm.js" */

const HATCH_PX = 8; // between the lines where scores are missing
const MARK_PX = 7; // the height of the triangles that mark a beginning and an end

/**
 * Draw a band between the lowest and the highest expected score, where there is a baseline.
 * @param {uPlot} plot
 * @param {readonly ChartPoint[]} points
 */
export function drawExpected(plot, points) {
  const expected = points.flatMap(({ timestamp, expected: range }) =>
    range ? [{ at: Date.parse(timestamp) / 1000, low: range[0], high: range[1] }] : [],
  );
  const { ctx } = plot;
  ctx.save();
  clip(plot);
  ctx.fillStyle = colour("expected");
  ctx.strokeStyle = colour("expected-edge");
  ctx.lineWidth = devicePixelRatio;
  for (const run of runs(expected)) {
    const upper = run.map(({ at, high }) => place(plot, at, high));
    const lower = run.map(({ at, low }) => place(plot, at, low));
    fillBetween(ctx, upper, lower);
    for (const edge of [upper, lower]) strokeLine(ctx, edge);
  }
  ctx.restore();
}

/**
 * Draw a band between the lowest and the highest score of each step.
 * @param {uPlot} plot
 * @param {readonly ChartPoint[]} points
 */
export function drawSpread(plot, points) {
  const steps = points.flatMap(({ timestamp, min, max }) =>
    min !== undefined && max !== undefined ? [{ at: Date.parse(timestamp) / 1000, min, max }] : [],
  );
  const { ctx } = plot;
  ctx.save();
  clip(plot);
  ctx.fillStyle = colour("spread");
  for (const run of runs(steps)) {
    fillBetween(ctx, run.map(({ at, max }) => place(plot, at, max)), run.map(({ at, min }) => place(plot, at, min)));
  }
  ctx.restore();
}

/**
 * Hatch the times without scores.
 * @param {uPlot} plot
 * @param {readonly Readonly<{fromMs: number, toMs: number}>[]} gaps
 */
export function drawMissing(plot, gaps) {
  const { ctx, bbox } = plot;
  const [step, bottom] = [HATCH_PX * devicePixelRatio, bbox.top + bbox.height];
  for (const gap of gaps) {
    const [left = 0, right = 0] = [gap.fromMs, gap.toMs].map((ms) => plot.valToPos(ms / 1000, "x", true));
    ctx.save();
    clip(plot);
    ctx.beginPath();
    ctx.rect(left, bbox.top, Math.max(devicePixelRatio, right - left), bbox.height);
    ctx.clip();
    ctx.fillStyle = colour("sunken");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.strokeStyle = colour("missing");
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    const begin = Math.max(left, bbox.left) - bbox.height;
    for (let x = begin - (begin % step); x < Math.min(right, bbox.left + bbox.width); x += step) {
      ctx.moveTo(x, bottom);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
}

/**
 * Shade the time of each anomaly, and mark where it begins and ends.
 * @param {uPlot} plot
 * @param {readonly AnomalyRecord[]} incidents
 */
export function drawIncidents(plot, incidents) {
  const { ctx, bbox } = plot;
  const untilMs = (plot.scales["x"]?.max ?? 0) * 1000;
  ctx.save();
  clip(plot);
  for (const incident of incidents) {
    const [left, right] = [beginMs(incident), endMs(incident) ?? untilMs].map(
      (ms) => plot.valToPos(ms / 1000, "x", true),
    );
    if (left === undefined || right === undefined) continue;
    ctx.fillStyle = colour("incident");
    ctx.fillRect(left, bbox.top, Math.max(devicePixelRatio, right - left), bbox.height);
    ctx.strokeStyle = ctx.fillStyle = colour("incident-edge");
    drawMark(plot, left, 1);
    if (incident.endedAt !== null) drawMark(plot, right, -1);
  }
  ctx.restore();
}

/**
 * Draw a line over the height of the chart, with a triangle at its top that points into the anomaly.
 * @param {uPlot} plot
 * @param {number} x
 * @param {1 | -1} direction
 */
function drawMark({ ctx, bbox }, x, direction) {
  const size = MARK_PX * devicePixelRatio;
  strokeLine(ctx, [
    [x, bbox.top],
    [x, bbox.top + bbox.height],
  ]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x + direction * size, bbox.top + size / 2);
  ctx.lineTo(x, bbox.top + size);
  ctx.fill();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {[number, number][]} line
 */
export function strokeLine(ctx, line) {
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.beginPath();
  for (const point of line) ctx.lineTo(...point);
  ctx.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {[number, number][]} upper
 * @param {[number, number][]} lower
 */
export function fillBetween(ctx, upper, lower) {
  ctx.beginPath();
  for (const point of [...upper, ...lower.toReversed()]) ctx.lineTo(...point);
  ctx.fill();
}

/**
 * @param {uPlot} plot
 * @param {number} at
 * @param {number} score
 * @returns {[number, number]}
 */
export function place(plot, at, score) {
  return [plot.valToPos(at, "x", true), plot.valToPos(score, "y", true)];
}

/** @param {uPlot} plot */
export function clip({ ctx, bbox }) {
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
}
