/** The chart's tooltip, for mouse and touch, and for the keyboard as a slider over time. */

import { html, setText, show } from "../element.js";
import { percent, time } from "../format.js";
import { beginMs, endMs, typeName } from "../incidents.js";
import { categoryName, levelOf } from "../levels.js";
import { interventionAt } from "./chart-interventions.js";
import { ScoreChart } from "./score-chart.js";

/** @import { AnomalyRecord, Update } from "../../types.d.ts" */
/** @import { Intervention } from "../intervention-bodies.js" */

const STEPS = /** @type {Readonly<Record<string, number>>} */ ({
  ...{ ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 },
  ...{ PageUp: 12, PageDown: -12, Home: -Infinity, End: Infinity },
});

/** Selects a point. A point selected by keyboard stays selected while others arrive. */
export class ChartPointer {
  #box;
  #tooltip;
  #chart;
  /** @type {readonly Update[]} */
  #points = [];
  /** @type {readonly AnomalyRecord[]} */
  #incidents = [];
  /** @type {readonly Intervention[]} */
  #interventions = [];
  /** @type {Update | null} */
  #selected = null;
  #byKey = false;

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
    this.#tooltip = html(box, ".tooltip");
    this.#chart = new ScoreChart(box, (point, left, top) => this.#onPoint(point, left, top));
    box.addEventListener("keydown", (event) => this.#onKey(event));
    box.addEventListener("focus", () => {
      if (box.matches(":focus-visible")) this.#select(this.#points.length - 1);
    });
    box.addEventListener("blur", () => this.#deselect());
    box.addEventListener("pointermove", () => (this.#byKey = false));
  }

  /**
   * @param {readonly Update[]} points
   * @param {readonly AnomalyRecord[]} incidents
   * @param {readonly Intervention[]} interventions
   */
  show(points, incidents, interventions) {
    const before = this.#selected;
    this.#points = points;
    this.#incidents = incidents;
    this.#interventions = interventions;
    this.#chart.show(points, incidents, interventions); // moves another point under the mouse
    if (this.#byKey) this.#reselect(before);
    this.#describe();
  }

  /**
   * @param {Update | null} point
   * @param {number} left
   * @param {number} top
   */
  #onPoint(point, left, top) {
    this.#selected = point;
    show(this.#tooltip, point !== null);
    if (point === null) return;
    setText(html(this.#tooltip, ".tooltip-time"), time(Date.parse(point.timestamp)));
    setText(html(this.#tooltip, ".tooltip-score"), percent(point.score));
    setText(html(this.#tooltip, ".tooltip-category"), categoryName(point.category));
    const more = this.#moreAbout(point);
    show(html(this.#tooltip, ".tooltip-more"), more !== "");
    setText(html(this.#tooltip, ".tooltip-more"), more.replaceAll(", ", "\n"));
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
    if (event.key === "Escape" && this.#selected) this.#deselect();
    else if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else this.#select(this.#indexOfSelected() + step);
    event.preventDefault();
  }

  #indexOfSelected() {
    const at = this.#points.findIndex((point) => point.timestamp === this.#selected?.timestamp);
    return at < 0 ? this.#points.length - 1 : at;
  }

  /** @param {number} index */
  #select(index) {
    const point = this.#points[Math.min(this.#points.length - 1, Math.max(0, index))];
    if (!point) return;
    this.#byKey = true;
    this.#chart.moveCursorTo(point);
    this.#describe();
  }

  /** @param {Update | null} before */
  #reselect(before) {
    const index = this.#points.findIndex((point) => point.timestamp === before?.timestamp);
    if (index < 0) this.#deselect();
    else this.#select(index);
  }

  #deselect() {
    this.#byKey = false;
    this.#chart.moveCursorTo(null);
  }

  /** The slider's values are times, so that the selected value does not change with each tick. */
  #describe() {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (!first || !last) return this.#removeDescription();
    const shown = (this.#byKey && this.#selected) || null;
    if (!shown && document.activeElement === this.#box) return;
    const point = shown ?? last;
    const at = time(Date.parse(point.timestamp));
    const more = this.#moreAbout(point);
    const text = `${at}, ${percent(point.score)}, ${categoryName(point.category)}${more && `, ${more}`}`;
    this.#set({
      ...{ role: "slider", tabindex: "0", "aria-valuetext": text },
      ...{ "aria-label": "Score over the last 5 minutes. Arrow keys move through it." },
      "aria-valuemin": String(Date.parse(first.timestamp) / 1000),
      "aria-valuemax": String(Date.parse(last.timestamp) / 1000),
      "aria-valuenow": String(Date.parse(point.timestamp) / 1000),
    });
  }

  /**
   * Return what was expected at a point, the anomaly there, and what was done before.
   * @param {Update} point
   */
  #moreAbout({ timestamp, expected }) {
    const at = Date.parse(timestamp);
    const incident = this.#incidents.findLast((each) => beginMs(each) <= at && at <= (endMs(each) ?? at));
    const range = expected ? `expected ${percent(expected[0])} to ${percent(expected[1])}` : "";
    const name = incident ? typeName(incident).toLowerCase() : "";
    return [range, name, interventionAt(this.#interventions, at)].filter(Boolean).join(", ");
  }

  #removeDescription() {
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
