/**
 * The event's own curve, and the time under the pointer in it and in the curves of its sessions. Arrow
 * keys move through it, as in the chart of a session.
 */

import { html, setText } from "../element.js";
import { count, percent } from "../format.js";
import { timesIn } from "../local-times.js";
import { scoreCurve, shareOf, thresholdLine } from "../charts/score-curve.js";

/** @import { CurvePoint } from "../../types.d.ts" */
/** @import { Span } from "../charts/score-curve.js" */

/** @type {Readonly<Record<string, number>>} */
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12, Home: -Infinity, End: Infinity };

/** Marks the same time in all curves of the view. */
export class EventChart {
  #root;
  #plot;
  /** @type {readonly CurvePoint[]} */
  #points = [];
  /** @type {Span} */
  #span = { fromMs: 0, toMs: 0 };
  /** Of the selected point. @type {number | null} */
  #selectedMs = null;

  /** @param {HTMLElement} root the view */
  constructor(root) {
    this.#root = root;
    this.#plot = html(root, ".event-plot");
    root.addEventListener("pointermove", (event) => this.#onPointer(event));
    root.addEventListener("pointerleave", () => this.#select(null));
    this.#plot.addEventListener("keydown", (event) => this.#onKey(event));
    this.#plot.addEventListener("blur", () => this.#select(null));
  }

  /**
   * @param {readonly CurvePoint[]} points
   * @param {Span} span
   */
  show(points, span) {
    this.#points = points;
    this.#span = span;
    const curve = scoreCurve(points.map(({ timestamp, score }) => ({ at: Date.parse(timestamp), score })), span);
    curve.prepend(thresholdLine());
    this.#plot.replaceChildren(curve);
    this.#select(this.#selectedMs);
  }

  /** @param {PointerEvent} event */
  #onPointer({ target, clientX }) {
    const plot = target instanceof Element ? target.closest(".timed") : null;
    if (plot === null) return this.#select(null);
    const { left, width } = plot.getBoundingClientRect();
    const { fromMs, toMs } = this.#span;
    this.#select(fromMs + ((clientX - left) / width) * (toMs - fromMs));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS[event.key];
    if (event.key === "Escape" && this.#selectedMs !== null) this.#select(null);
    else if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else this.#move(step);
    event.preventDefault();
  }

  /** @param {number} step */
  #move(step) {
    const last = this.#points.length - 1;
    const shown = this.#selectedMs === null ? last : this.#indexAt(this.#selectedMs);
    const point = this.#points[Math.min(last, Math.max(0, shown + step))];
    if (point) this.#select(Date.parse(point.timestamp));
  }

  /**
   * Mark the point that is nearest to a time; null: none.
   * @param {number | null} atMs
   */
  #select(atMs) {
    const point = atMs === null ? undefined : this.#points[this.#indexAt(atMs)];
    this.#selectedMs = point ? Date.parse(point.timestamp) : null;
    this.#root.dataset["marked"] = String(point !== undefined);
    if (this.#selectedMs !== null) {
      const share = `${100 * shareOf(this.#span, this.#selectedMs)}%`;
      for (const plot of this.#root.querySelectorAll(".timed")) {
        /** @type {HTMLElement} */ (plot).style.setProperty("--marked", share);
      }
    }
    setText(html(this.#root, ".event-readout"), point ? this.#textOf(point) : "");
    this.#describe(point ?? this.#points.at(-1));
  }

  /** @param {number} atMs */
  #indexAt(atMs) {
    const distances = this.#points.map(({ timestamp }) => Math.abs(Date.parse(timestamp) - atMs));
    return distances.indexOf(Math.min(...distances));
  }

  /** @param {CurvePoint} point */
  #textOf({ timestamp, score, totalUsers }) {
    const { fromMs, toMs } = this.#span;
    const people = totalUsers === 1 ? "1 person" : `${count(totalUsers)} people`;
    return `${timesIn(fromMs, toMs).minute(Date.parse(timestamp))} · ${percent(score)} · ${people}`;
  }

  /**
   * Describe the chart as a slider whose value is the time of a point.
   * @param {CurvePoint | undefined} point
   */
  #describe(point) {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (!point || !first || !last) return;
    const [min, now, max] = [first, point, last].map(({ timestamp }) => String(Date.parse(timestamp) / 1000));
    const description = {
      ...{ role: "slider", tabindex: "0", "aria-valuemin": min, "aria-valuenow": now, "aria-valuemax": max },
      "aria-label": "Score of all sessions together. Arrow keys move through it.",
      "aria-valuetext": this.#textOf(point).replaceAll(" · ", ", "),
    };
    for (const [name, value] of Object.entries(description)) this.#plot.setAttribute(name, value ?? "");
  }
}
