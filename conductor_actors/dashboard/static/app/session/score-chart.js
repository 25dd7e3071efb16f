/**
 * The area chart of a session's scores in a range. Missing ticks are gaps; colours show the level.
 * Behind the curve are the lowest and highest scores of steps, the scores that were expected, the
 * times of anomalies and of missing scores, and what the conductor did.
 */

import uPlot from "../../vendor/uPlot.esm.js";
import { oncePerFrame } from "../element.js";
import { CRITICAL_BELOW, LEVELS, levelOf } from "../levels.js";
import { colour, onThemeChange } from "../theme.js";
import { drawInterventions } from "./chart-interventions.js";
import { drawExpected, drawIncidents, drawMissing, drawSpread } from "./chart-layers.js";
import { axes, withGaps } from "./chart-axes.js";
import { timeOf } from "./timeline-points.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */
/** @import { Intervention } from "../conductor/intervention-bodies.js" */
/** @import { ChartPoint } from "./timeline-points.js" */

/**
 * What a chart shows. `isLive`: its last point is the newest.
 * @typedef {Readonly<{
 *   points: readonly ChartPoint[], incidents: readonly AnomalyRecord[],
 *   interventions: readonly Intervention[], gaps: readonly Readonly<{fromMs: number, toMs: number}>[],
 *   fromMs: number, toMs: number, isLive: boolean, name: string,
 * }>} ChartContent
 */

/** @type {ChartContent} */
export const NO_CONTENT = {
  ...{ points: [], incidents: [], interventions: [], gaps: [] },
  ...{ fromMs: 0, toMs: 300_000, isLive: true, name: "" },
};

/** Draws the points, and reports the one under the pointer. */
export class ScoreChart {
  #box;
  #plot;
  #content = NO_CONTENT;

  /**
   * @param {HTMLElement} box
   * @param {(point: ChartPoint | null, left: number, top: number) => void} onPoint
   */
  constructor(box, onPoint) {
    this.#box = box;
    this.#plot = new uPlot(this.#options(onPoint), [[], []], box);
    new ResizeObserver(oncePerFrame(() => this.#resize())).observe(box);
    onThemeChange(() => this.#plot.redraw(false, true));
    this.#plot.over.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") this.#moveCursor(event.offsetX, event.offsetY);
    });
  }

  /** @param {ChartContent} content */
  show(content) {
    this.#content = content;
    const { points, fromMs, toMs } = content;
    this.#plot.batch((/** @type {uPlot} */ plot) => {
      plot.setData(withGaps(points, ({ score }) => score), false);
      plot.setScale("x", { min: fromMs / 1000, max: toMs / 1000 });
    });
  }

  /**
   * Move the cursor to a point, as a mouse would; null: remove it.
   * @param {ChartPoint | null} point
   */
  moveCursorTo(point) {
    if (point === null) this.#moveCursor(-10, -10);
    else {
      const left = this.#plot.valToPos(timeOf(point) / 1000, "x");
      this.#moveCursor(left, this.#plot.valToPos(point.score, "y"));
    }
  }

  /**
   * @param {number} left
   * @param {number} top
   */
  #moveCursor(left, top) {
    this.#plot.setCursor({ left, top });
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#box;
    if (width > 0) this.#plot.setSize({ width, height });
  }

  /**
   * @param {(point: ChartPoint | null, left: number, top: number) => void} onPoint
   * @returns {uPlot.Options}
   */
  #options(onPoint) {
    return {
      width: this.#box.clientWidth || 320,
      height: this.#box.clientHeight || 240,
      padding: [12, 24, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 10, fill: dotColour } },
      scales: { x: { time: true }, y: { range: [0, 1] } },
      axes: axes([0, 0.25, 0.5, 0.75, 1], (value) => `${value * 100}%`),
      series: [
        {},
        { stroke: levels, fill, width: 2, points: { show: true, filter: isolated, size: 6, fill: dotColour } },
      ],
      hooks: {
        drawClear: [
          (plot) => drawMissing(plot, this.#content.gaps),
          (plot) => drawIncidents(plot, this.#content.incidents),
          (plot) => drawExpected(plot, this.#content.points),
          (plot) => drawSpread(plot, this.#content.points),
          (plot) => drawInterventions(plot, this.#content.interventions),
        ],
        drawAxes: [drawThreshold],
        draw: [(plot) => this.#content.isLive && drawNewest(plot)],
        setCursor: [(plot) => this.#onCursor(plot, onPoint)],
      },
    };
  }

  /**
   * @param {uPlot} plot
   * @param {(point: ChartPoint | null, left: number, top: number) => void} onPoint
   */
  #onCursor(plot, onPoint) {
    const at = plot.cursor.idx == null ? undefined : plot.data[0][plot.cursor.idx];
    const point = this.#content.points.find((each) => timeOf(each) / 1000 === at) ?? null;
    if (point === null) return onPoint(null, 0, 0);
    const { offsetLeft, offsetTop } = plot.over;
    const left = offsetLeft + plot.valToPos(timeOf(point) / 1000, "x");
    onPoint(point, left, offsetTop + plot.valToPos(point.score, "y"));
  }
}

/** @param {uPlot} plot */
function newest(plot) {
  const index = plot.data[0].length - 1;
  return { at: plot.data[0][index] ?? 0, score: plot.data[1]?.[index] ?? 0 };
}

/** @param {uPlot} plot */
function dotColour(plot) {
  const index = plot.cursor.idx;
  const score = index == null ? null : plot.data[1]?.[index];
  return colour(levelOf(score ?? newest(plot).score));
}

/**
 * Return the gradient of the line: at each height, the colour of the level there.
 * @param {uPlot} plot
 */
function levels(plot) {
  const { height } = plot.bbox;
  // Half of a line at exactly 70% lies below 70%. The shift gives both halves the same colour.
  const top = plot.bbox.top + 1.5 * devicePixelRatio;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  let upper = 1;
  for (const [level, from] of LEVELS) {
    gradient.addColorStop(1 - upper, colour(level));
    gradient.addColorStop(1 - from, colour(level));
    upper = from;
  }
  return gradient;
}

/**
 * Return the gradient of the area: the colour of the current level, fading towards the bottom.
 * @param {uPlot} plot
 */
function fill(plot) {
  const { top, height } = plot.bbox;
  const gradient = plot.ctx.createLinearGradient(0, top, 0, top + height);
  const level = levelOf(newest(plot).score);
  gradient.addColorStop(0, colour(`${level}-fill`));
  gradient.addColorStop(1, colour(`${level}-fade`));
  return gradient;
}

/**
 * Return the points without a neighbour, which no line shows.
 * @param {uPlot} plot
 * @returns {number[]}
 */
function isolated(plot) {
  const scores = plot.data[1] ?? [];
  return [...scores.keys()].filter(
    (index) => scores[index] != null && scores[index - 1] == null && scores[index + 1] == null,
  );
}

/** @param {uPlot} plot */
function drawThreshold(plot) {
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos(CRITICAL_BELOW, "y", true));
  ctx.save();
  ctx.strokeStyle = colour("critical");
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([6 * devicePixelRatio, 5 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** @param {uPlot} plot */
function drawNewest(plot) {
  if (plot.data[0].length === 0) return;
  const { at, score } = newest(plot);
  const { ctx } = plot;
  ctx.save();
  ctx.beginPath();
  const place = [plot.valToPos(at, "x", true), plot.valToPos(score, "y", true)];
  ctx.arc(place[0] ?? 0, place[1] ?? 0, 4.5 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fillStyle = colour(levelOf(score));
  ctx.strokeStyle = colour("surface");
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.fill();
  ctx.stroke();
  ctx.restore();
}
