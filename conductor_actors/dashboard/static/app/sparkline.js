/** A session's last 5 minutes as a small line; holes stay holes. */

import { levelOf } from "./levels.js";
import { colour } from "./theme.js";

/** @import { Point } from "./session-board.js" */

const WINDOW_MS = 300_000;
const INSET = 3; // room for the line's own width and the dot at its end

/**
 * Draw the points over the window that ends at `untilMs`.
 * @param {HTMLCanvasElement} canvas
 * @param {readonly Point[]} points
 * @param {number} untilMs
 */
export function drawSparkline(canvas, points, untilMs) {
  const context = scaled(canvas);
  const last = points.at(-1);
  if (!context || !last) return;
  const width = canvas.width / devicePixelRatio - 2 * INSET;
  const height = canvas.height / devicePixelRatio - 2 * INSET;
  /** @param {Point} point @returns {[number, number]} */
  const place = ({ at, score }) => [
    INSET + width * (1 - (untilMs - at) / WINDOW_MS),
    INSET + height * (1 - score),
  ];
  context.strokeStyle = context.fillStyle = colour(levelOf(last.score));
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  for (const run of runs(points)) {
    run.forEach((point, index) =>
      index ? context.lineTo(...place(point)) : context.moveTo(...place(point)),
    );
  }
  context.stroke();
  context.beginPath();
  context.arc(...place(last), 2.25, 0, 2 * Math.PI);
  context.fill();
}

/**
 * Split points where ticks are missing. Ticks are as far apart as the closest two of them.
 * @template {{at: number}} P
 * @param {readonly P[]} points
 * @returns {P[][]}
 */
export function runs(points) {
  const step = tickMs(points);
  /** @type {P[][]} */
  const found = [];
  let before = -Infinity;
  for (const point of points) {
    if (point.at - before > 1.5 * step) found.push([]);
    found.at(-1)?.push(point);
    before = point.at;
  }
  return found;
}

/** @param {readonly {at: number}[]} points */
function tickMs(points) {
  let least = Infinity;
  for (let index = 1; index < points.length; index += 1) {
    least = Math.min(least, (points[index]?.at ?? 0) - (points[index - 1]?.at ?? 0));
  }
  return least;
}

/** @param {HTMLCanvasElement} canvas */
function scaled(canvas) {
  const { clientWidth, clientHeight } = canvas;
  if (clientWidth === 0) return null; // not shown at this width of the window
  canvas.width = Math.round(clientWidth * devicePixelRatio);
  canvas.height = Math.round(clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  context?.scale(devicePixelRatio, devicePixelRatio);
  return context;
}
