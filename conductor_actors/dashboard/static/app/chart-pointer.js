/** The chart's tooltip: for a mouse, a finger, and as a slider over time for the keyboard. */

import { html, setText, show } from "./element.js";
import { percent, time } from "./format.js";
import { categoryName, levelOf } from "./levels.js";
import { ScoreChart } from "./score-chart.js";

/** @import { Update } from "../types.d.ts" */

const STEPS = /** @type {Readonly<Record<string, number>>} */ ({
  ...{ ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 },
  ...{ PageUp: 12, PageDown: -12, Home: -Infinity, End: Infinity },
});

/** Says which point is looked at; a chosen point stays chosen while others arrive. */
export class ChartPointer {
  #box;
  #tooltip;
  #chart;
  /** @type {readonly Update[]} */
  #points = [];
  /** @type {Update | null} */
  #chosen = null;
  #byKey = false;

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
    this.#tooltip = html(box, ".tooltip");
    this.#chart = new ScoreChart(box, (point, left, top) => this.#onPoint(point, left, top));
    box.addEventListener("keydown", (event) => this.#onKey(event));
    box.addEventListener("focus", () => {
      if (box.matches(":focus-visible")) this.#choose(this.#points.length - 1);
    });
    box.addEventListener("blur", () => this.#leave());
    box.addEventListener("pointermove", () => (this.#byKey = false));
  }

  /** @param {readonly Update[]} points */
  show(points) {
    const before = this.#chosen;
    this.#points = points;
    this.#chart.show(points); // what is under a mouse is now another point
    if (this.#byKey) this.#chooseAgain(before);
    this.#describe();
  }

  /**
   * @param {Update | null} point
   * @param {number} left
   * @param {number} top
   */
  #onPoint(point, left, top) {
    this.#chosen = point;
    show(this.#tooltip, point !== null);
    if (point === null) return;
    setText(html(this.#tooltip, ".tooltip-time"), time(Date.parse(point.timestamp)));
    setText(html(this.#tooltip, ".tooltip-score"), percent(point.score));
    setText(html(this.#tooltip, ".tooltip-category"), categoryName(point.category));
    this.#tooltip.dataset["level"] = levelOf(point.score);
    const half = this.#tooltip.offsetWidth / 2;
    const x = Math.min(this.#box.clientWidth - half, Math.max(half, left));
    const isBelow = top < this.#tooltip.offsetHeight + 16;
    const y = isBelow ? top + 16 : top - this.#tooltip.offsetHeight - 16;
    this.#tooltip.style.transform = `translate(${Math.round(x - half)}px, ${Math.round(y)}px)`;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS[event.key];
    if (event.key === "Escape" && this.#chosen) this.#leave();
    else if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else this.#choose(this.#indexOfChosen() + step);
    event.preventDefault();
  }

  #indexOfChosen() {
    const at = this.#points.findIndex((one) => one.timestamp === this.#chosen?.timestamp);
    return at < 0 ? this.#points.length - 1 : at;
  }

  /** @param {number} index */
  #choose(index) {
    const point = this.#points[Math.min(this.#points.length - 1, Math.max(0, index))];
    if (!point) return;
    this.#byKey = true;
    this.#chart.pointAt(point);
    this.#describe();
  }

  /** @param {Update | null} before */
  #chooseAgain(before) {
    const index = this.#points.findIndex((one) => one.timestamp === before?.timestamp);
    if (index < 0) this.#leave();
    else this.#choose(index);
  }

  #leave() {
    this.#byKey = false;
    this.#chart.pointAt(null);
  }

  /** Times are the slider's values, so that a chosen one stays the same when ticks come. */
  #describe() {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (!first || !last) return this.#describeNothing();
    const shown = (this.#byKey && this.#chosen) || null;
    if (!shown && document.activeElement === this.#box) return;
    const point = shown ?? last;
    const at = time(Date.parse(point.timestamp));
    const words = `${at}, ${percent(point.score)}, ${categoryName(point.category)}`;
    this.#set({
      ...{ role: "slider", tabindex: "0", "aria-valuetext": words },
      ...{ "aria-label": "Score over the last 5 minutes, arrow keys go through it" },
      "aria-valuemin": String(Date.parse(first.timestamp) / 1000),
      "aria-valuemax": String(Date.parse(last.timestamp) / 1000),
      "aria-valuenow": String(Date.parse(point.timestamp) / 1000),
    });
  }

  #describeNothing() {
    for (const name of this.#box.getAttributeNames()) {
      if (name === "role" || name.startsWith("aria-")) this.#box.removeAttribute(name);
    }
    this.#box.tabIndex = -1;
  }

  /** @param {Record<string, string>} attributes */
  #set(attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (this.#box.getAttribute(name) !== value) this.#box.setAttribute(name, value);
    }
  }
}
