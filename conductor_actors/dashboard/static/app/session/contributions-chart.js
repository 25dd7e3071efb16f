/** The chart of what each signal added to the score over time: one area on the other. */

import uPlot from "../../vendor/uPlot.esm.js";
import { fromTemplate, html, oncePerFrame, setText } from "../element.js";
import { points as pointsText } from "../format.js";
import { timesIn } from "../local-times.js";
import { runs } from "../charts/points.js";
import { colour, onThemeChange } from "../theme.js";
import { clip, fillBetween, place, strokeLine } from "./chart-layers.js";
import { NO_CONTENT } from "./score-chart.js";
import { axes, withGaps } from "./chart-axes.js";
import { meanContributions, timeOf } from "./timeline-points.js";

/** @import { Contributions } from "../../types.d.ts" */
/** @import { ChartContent } from "./score-chart.js" */
/** @import { ChartPoint } from "./timeline-points.js" */

/** From the bottom to the top; what is deducted is below zero. @type {readonly (readonly [keyof Contributions, string])[]} */
const PARTS = [
  ["chat", "Chat"],
  ["active_users", "Active users"],
  ["poll", "Poll"],
  ["reactions", "Reactions"],
  ["leave_rate", "Leaving"],
];
const LINES_PX = 1.5; // between two points; where they are closer, lines would cover the areas
const [LOWEST, HIGHEST] = [-0.15, 1];

/** The chart and its legend, which has the means, or the figures of one point. */
export class ContributionsChart {
  #root;
  #plot;
  #legend;
  #content = NO_CONTENT;
  /** @type {ChartPoint | null} */
  #selected = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    const box = html(root, ".parts-chart");
    this.#legend = new Map(PARTS.map(([part, name]) => [part, legendOf(part, name)]));
    html(root, ".parts-legend").append(...this.#legend.values());
    this.#plot = new uPlot(this.#options(box), [[], []], box);
    new ResizeObserver(oncePerFrame(() => this.#resize(box))).observe(box);
    onThemeChange(() => this.#plot.redraw(false, true));
  }

  /** @param {ChartContent} content */
  show(content) {
    this.#content = content;
    const { points, fromMs, toMs } = content;
    this.#plot.batch((/** @type {uPlot} */ plot) => {
      plot.setData(withGaps(points, ({ score }) => score), false);
      plot.setScale("x", { min: fromMs / 1000, max: toMs / 1000 });
    });
    if (this.#selected) this.#selected = points.find(({ timestamp }) => timestamp === this.#selected?.timestamp) ?? null;
    this.#describe();
  }

  /**
   * Show the figures of a point, which the other chart has selected; null: the means.
   * @param {ChartPoint | null} point
   */
  select(point) {
    this.#selected = point;
    this.#describe();
  }

  #describe() {
    const { points, fromMs, toMs, name } = this.#content;
    if (points.length === 0) return;
    const point = this.#selected;
    const shown = point ? point.contributions : meanContributions(points);
    for (const [part, element] of this.#legend) setText(html(element, ".part-points"), pointsText(shown[part]));
    setText(html(this.#root, ".parts-when"), point ? `At ${timesIn(fromMs, toMs).time(timeOf(point))}` : `Average of ${name}`);
    if (point) return;
    const parts = PARTS.map(([part, title]) => `${title} ${pointsText(shown[part])}`).join(", ");
    html(this.#root, ".parts-chart").setAttribute("aria-label", `Points that each signal added, average of ${name}: ${parts}`);
  }

  /** @param {HTMLElement} box */
  #resize(box) {
    const { clientWidth: width, clientHeight: height } = box;
    if (width > 0) this.#plot.setSize({ width, height });
  }

  /**
   * @param {HTMLElement} box
   * @returns {uPlot.Options}
   */
  #options(box) {
    return {
      ...{ width: box.clientWidth || 320, height: box.clientHeight || 200, padding: [12, 24, 0, 0] },
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { time: true }, y: { range: [LOWEST, HIGHEST] } },
      axes: axes([-0.1, 0, 0.25, 0.5, 0.75, 1], (value) => pointsText(value)),
      series: [{}, { points: { show: false } }],
      hooks: {
        drawClear: [(plot) => drawParts(plot, this.#content.points)],
        setCursor: [(plot) => this.#onCursor(plot)],
      },
    };
  }

  /** @param {uPlot} plot */
  #onCursor(plot) {
    const at = plot.cursor.idx == null ? undefined : plot.data[0][plot.cursor.idx];
    const isOver = (plot.cursor.left ?? -1) >= 0;
    this.select((isOver && this.#content.points.find((each) => timeOf(each) / 1000 === at)) || null);
  }
}

/**
 * @param {uPlot} plot
 * @param {readonly ChartPoint[]} points
 */
function drawParts(plot, points) {
  const { ctx, bbox } = plot;
  const isSparse = bbox.width / points.length > LINES_PX * devicePixelRatio;
  ctx.save();
  clip(plot);
  ctx.strokeStyle = colour("surface"); // so that areas differ without their colours, too
  for (const run of runs(points.map(({ timestamp, contributions }) => ({ at: Date.parse(timestamp) / 1000, contributions })))) {
    const zero = run.map(({ at }) => place(plot, at, 0));
    let sums = run.map(() => 0);
    let lower = zero;
    for (const [part] of PARTS) {
      const isDeducted = part === "leave_rate";
      sums = run.map(({ contributions }, index) => (isDeducted ? 0 : (sums[index] ?? 0)) + contributions[part]);
      const upper = run.map(({ at }, index) => place(plot, at, sums[index] ?? 0));
      ctx.fillStyle = colour(`part-${part}`);
      fillBetween(ctx, upper, isDeducted ? zero : lower);
      if (isSparse) strokeLine(ctx, upper);
      lower = upper;
    }
  }
  ctx.restore();
}

/**
 * @param {string} part
 * @param {string} name
 */
function legendOf(part, name) {
  const element = fromTemplate("part");
  element.dataset["part"] = part;
  setText(html(element, ".part-name"), name);
  return element;
}
