/** What the chart shows of interventions: when each was sent, and what followed against without it. */

import { interventionInText, isHold, wasDoneInTime, WINDOW_BEGIN_MS, WINDOW_END_MS } from "../conductor/interventions.js";
import { colour } from "../theme.js";
import { clip, place, strokeLine } from "./chart-layers.js";

/** @import { Intervention } from "../conductor/intervention-bodies.js" */
/** @import uPlot from "../../vendor/uPlot.esm.js" */

const MARK_PX = 5; // the radius of the dot that marks the sending
const LABEL = "Measured";
const WINDOW_PX = 4; // the height of the bar that marks the measured window

/**
 * Return when something was done, or deliberately not done; null: that has not happened.
 * @param {Intervention} intervention
 */
function markMs({ steps, atMs, type }) {
  return type === "HOLD" ? atMs : (steps["SENT"] ?? null);
}

/**
 * Return the score without the action, as similar moments have it; null: it is not known.
 * @param {Intervention} intervention
 */
function withoutIt({ type, outcome }) {
  if (type === "HOLD" || outcome === null || outcome.after === null || outcome.reward === null) return null;
  return outcome.after - outcome.reward;
}

/**
 * Return what of the interventions lies within the time of the chart.
 * @param {readonly Intervention[]} interventions
 * @param {number} fromMs
 * @param {number} toMs
 */
export function shownInChart(interventions, fromMs, toMs) {
  const isWithin = (/** @type {number} */ at) => fromMs < at && at <= toMs + WINDOW_END_MS;
  const marked = interventions.filter((each) => markMs(each) !== null);
  return {
    hasMarks: marked.some((each) => isWithin(markMs(each) ?? 0)),
    hasDifference: marked.some(
      (each) => wasDoneInTime(each) && withoutIt(each) !== null && isWithin(each.atMs + WINDOW_END_MS),
    ),
  };
}

/**
 * Return what a point has to do with an intervention, for the tooltip.
 * @param {readonly Intervention[]} interventions
 * @param {number} atMs
 */
export function interventionAt(interventions, atMs) {
  const found = interventions.findLast((each) => {
    const begin = markMs(each);
    return begin !== null && begin <= atMs && atMs <= each.atMs + WINDOW_END_MS;
  });
  if (!found) return "";
  return isHold(found) ? "did nothing on purpose" : `after ${interventionInText(found.type)}`;
}

/**
 * Draw each intervention that was sent, or was doing nothing on purpose.
 * @param {uPlot} plot
 * @param {readonly Intervention[]} interventions
 */
export function drawInterventions(plot, interventions) {
  const { ctx } = plot;
  ctx.save();
  clip(plot);
  for (const each of interventions) {
    const at = markMs(each);
    if (at === null) continue;
    if (wasDoneInTime(each)) drawWindow(plot, each);
    drawMark(plot, at / 1000, isHold(each));
  }
  ctx.restore();
}

/**
 * Draw a line over the height of the chart, with a dot at its top: a ring, if nothing was done.
 * @param {uPlot} plot
 * @param {number} at
 * @param {boolean} isRing
 */
function drawMark(plot, at, isRing) {
  const { ctx, bbox } = plot;
  const radius = MARK_PX * devicePixelRatio;
  const x = plot.valToPos(at, "x", true);
  const y = bbox.top + radius + devicePixelRatio;
  ctx.strokeStyle = ctx.fillStyle = colour("accent");
  if (isRing) ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
  strokeLine(ctx, [
    [x, y + radius],
    [x, bbox.top + bbox.height],
  ]);
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.arc(x, y, radius - devicePixelRatio, 0, 2 * Math.PI);
  ctx.lineWidth = 2 * devicePixelRatio;
  if (!isRing) ctx.fill();
  ctx.stroke();
}

/**
 * Write above the bar of the window what it is, if there is room.
 * @param {uPlot} plot
 * @param {number} left
 * @param {number} right
 */
function drawLabel({ ctx, bbox }, left, right) {
  const end = Math.min(right, bbox.left + bbox.width);
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  if (ctx.measureText(LABEL).width > end - Math.max(left, bbox.left)) return;
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText(LABEL, end, bbox.top + bbox.height - 2 * WINDOW_PX * devicePixelRatio);
}

/**
 * Draw the measured window as a bar at the bottom. If what doing nothing gives is known, draw that as
 * a dashed line, and the band from there to the mean that was measured.
 * @param {uPlot} plot
 * @param {Intervention} intervention
 */
function drawWindow(plot, intervention) {
  const { atMs, outcome } = intervention;
  const { ctx, bbox } = plot;
  const [begin, end] = [(atMs + WINDOW_BEGIN_MS) / 1000, (atMs + WINDOW_END_MS) / 1000];
  const height = WINDOW_PX * devicePixelRatio;
  const [left, right] = [plot.valToPos(begin, "x", true), plot.valToPos(end, "x", true)];
  ctx.fillStyle = colour("accent");
  ctx.fillRect(left, bbox.top + bbox.height - height, right - left, height);
  drawLabel(plot, left, right);
  const without = withoutIt(intervention);
  if (without === null) return;
  const [from, to] = [place(plot, begin, outcome?.after ?? without)[1], place(plot, begin, without)[1]];
  ctx.fillStyle = colour("action");
  ctx.fillRect(left, Math.min(from, to), right - left, Math.abs(to - from));
  ctx.strokeStyle = colour("accent");
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  strokeLine(ctx, [
    [left, to],
    [right, to],
  ]);
  ctx.setLineDash([]);
}
