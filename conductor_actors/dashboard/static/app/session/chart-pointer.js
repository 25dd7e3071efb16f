/** The chart's tooltip, for mouse and touch, and for the keyboard as a slider over time. */

import { html, setText, show } from "../element.js";
import { percent } from "../format.js";
import { beginMs, endMs, typeName } from "../incidents.js";
import { categoryName, levelOf } from "../levels.js";
import { timesIn } from "../local-times.js";
import { interventionAt } from "./chart-interventions.js";
import { NO_CONTENT, ScoreChart } from "./score-chart.js";
import { timeOf } from "./timeline-points.js";

/** @import { ChartContent } from "./score-chart.js" */
/** @import { ChartPoint } from "./timeline-points.js" */

const STEPS = /** @type {Readonly<Record<string, number>>} */ ({
  ...{ ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 },
  ...{ PageUp: 12, PageDown: -12, Home: -Infinity, End: Infinity },
});

/** Selects a point. A point selected by keyboard stays selected while others arrive. */
export class ChartPointer {
  #box;
  #tooltip;
  #chart;
  #onSelect;
  #content = NO_CONTENT;
  #times = timesIn(0, 0);
  /** @type {ChartPoint | null} */
  #selected = null;
  #byKey = false;

  /**
   * @param {HTMLElement} box
   * @param {(point: ChartPoint | null) => void} onSelect
   */
  constructor(box, onSelect) {
    this.#box = box;
    this.#onSelect = onSelect;
    this.#tooltip = html(box, ".tooltip");
    this.#chart = new ScoreChart(box, (point, left, top) => this.#onPoint(point, left, top));
    box.addEventListener("keydown", (event) => this.#onKey(event));
    box.addEventListener("focus", () => {
      if (box.matches(":focus-visible")) this.#select(this.#content.points.length - 1);
    });
    box.addEventListener("blur", () => this.#deselect());
    box.addEventListener("pointermove", () => (this.#byKey = false));
  }

  /** @param {ChartContent} content */
  show(content) {
    const before = this.#selected;
    this.#content = content;
    this.#times = timesIn(content.fromMs, content.toMs);
    this.#chart.show(content); // moves another point under the mouse
    if (this.#byKey) this.#reselect(before);
    this.#describe();
  }

  /**
   * @param {ChartPoint | null} point
   * @param {number} left
   * @param {number} top
   */
  #onPoint(point, left, top) {
    if (point !== this.#selected) this.#onSelect(point);
    this.#selected = point;
    show(this.#tooltip, point !== null);
    if (point === null) return;
    setText(html(this.#tooltip, ".tooltip-time"), this.#times.time(timeOf(point)));
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
    const at = this.#content.points.findIndex((point) => point.timestamp === this.#selected?.timestamp);
    return at < 0 ? this.#content.points.length - 1 : at;
  }

  /** @param {number} index */
  #select(index) {
    const point = this.#content.points[Math.min(this.#content.points.length - 1, Math.max(0, index))];
    if (!point) return;
    this.#byKey = true;
    this.#chart.moveCursorTo(point);
    this.#describe();
  }

  /** @param {ChartPoint | null} before */
  #reselect(before) {
    const index = this.#content.points.findIndex((point) => point.timestamp === before?.timestamp);
    if (index < 0) this.#deselect();
    else this.#select(index);
  }

  #deselect() {
    this.#byKey = false;
    this.#chart.moveCursorTo(null);
  }

  /** The slider's values are times, so that the selected value does not change with each tick. */
  #describe() {
    const [first, last] = [this.#content.points[0], this.#content.points.at(-1)];
    if (!first || !last) return this.#removeDescription();
    const shown = (this.#byKey && this.#selected) || null;
    if (!shown && document.activeElement === this.#box) return;
    const point = shown ?? last;
    const at = this.#times.time(timeOf(point));
    const more = this.#moreAbout(point);
    const text = `${at}, ${percent(point.score)}, ${categoryName(point.category)}${more && `, ${more}`}`;
    this.#set({
      ...{ role: "slider", tabindex: "0", "aria-valuetext": text },
      ...{ "aria-label": `Score over ${this.#content.name}. Arrow keys move through it.` },
      "aria-valuemin": String(Date.parse(first.timestamp) / 1000),
      "aria-valuemax": String(Date.parse(last.timestamp) / 1000),
      "aria-valuenow": String(Date.parse(point.timestamp) / 1000),
    });
  }

  /**
   * Return what was expected at a point, the anomaly there, and what was done before.
   * @param {ChartPoint} point
   */
  #moreAbout({ timestamp, expected, min, max }) {
    const at = Date.parse(timestamp);
    const { incidents, interventions } = this.#content;
    const incident = incidents.findLast((each) => beginMs(each) <= at && at <= (endMs(each) ?? at));
    const range = expected ? `expected ${percent(expected[0])} to ${percent(expected[1])}` : "";
    const name = incident ? typeName(incident).toLowerCase() : "";
    const isSpread = min !== undefined && max !== undefined && percent(min) !== percent(max);
    const spread = isSpread ? `${percent(min)} to ${percent(max)}` : "";
    return [spread, range, name, interventionAt(interventions, at)].filter(Boolean).join(", ");
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
