/** A session's last 5 minutes as a small line chart. Missing ticks are gaps. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { levelOf } from "../levels.js";
import { runs } from "../charts/points.js";
import { colour } from "../theme.js";

/** @import { Point } from "./session-board.js" */

const INSET_PX = 3; // for the width of the line and the dot at its end

/**
 * Draw points over the window that ends at `untilMs`.
 * @param {HTMLCanvasElement} canvas
 * @param {readonly Point[]} points
 * @param {number} untilMs
 */
export function drawSparkline(canvas, points, untilMs) {
  const context = scaled(canvas);
  const last = points.at(-1);
  if (!context || !last) return;
  const width = canvas.width / devicePixelRatio - 2 * INSET_PX;
  const height = canvas.height / devicePixelRatio - 2 * INSET_PX;
  /** @param {Point} point @returns {[number, number]} */
  const place = ({ at, score }) => [
    INSET_PX + width * (1 - (untilMs - at) / WINDOW_MS),
    INSET_PX + height * (1 - score),
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

/** @param {HTMLCanvasElement} canvas */
function scaled(canvas) {
  const { clientWidth, clientHeight } = canvas;
  if (clientWidth === 0) return null; // hidden at this window width
  canvas.width = Math.round(clientWidth * devicePixelRatio);
  canvas.height = Math.round(clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  context?.scale(devicePixelRatio, devicePixelRatio);
  return context;
}
