/** The strip below the chart: the whole session, and the part of it that is shown, which can be changed. */

import { find, html, oncePerFrame, setText } from "../element.js";
import { timesIn } from "../local-times.js";
import { runs } from "../charts/points.js";
import { colour, onThemeChange } from "../theme.js";
import { timeOf } from "./timeline-points.js";

/** @import { Span } from "./chart-range.js" */
/** @import { ChartPoint } from "./timeline-points.js" */

const MIN_LENGTH_MS = 60_000;
const KEY_STEPS = 100; // of the whole length
const TICK_S = 5;

/**
 * Two sliders for the keyboard and touch. With the pointer, a part is drawn anew, or moved by its middle.
 */
export class RangeBrush {
  #root;
  #from;
  #to;
  #window;
  #onBrush;
  /** @type {Span} */
  #whole = { fromMs: 0, toMs: 1 };
  /** @type {Span} */
  #shown = { fromMs: 0, toMs: 1 };
  /** @type {readonly ChartPoint[]} */
  #points = [];
  /** What the pointer does to the part. @type {((atMs: number) => Span) | null} */
  #drag = null;
  #draw = oncePerFrame(() => this.#drawCurve());

  /**
   * @param {HTMLElement} root
   * @param {(span: Span) => void} onBrush
   */
  constructor(root, onBrush) {
    this.#root = html(root, ".brush");
    this.#from = find(root, ".brush-from", HTMLInputElement);
    this.#to = find(root, ".brush-to", HTMLInputElement);
    this.#window = html(root, ".brush-window");
    this.#onBrush = onBrush;
    this.#from.addEventListener("input", () => this.#onSlider(true));
    this.#to.addEventListener("input", () => this.#onSlider(false));
    this.#root.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    this.#root.addEventListener("pointermove", (event) => this.#onPointerMove(event));
    for (const name of ["pointerup", "pointercancel"]) this.#root.addEventListener(name, () => (this.#drag = null));
    new ResizeObserver(this.#draw).observe(this.#root);
    onThemeChange(this.#draw);
  }

  /**
   * @param {Span | null} whole null: it is not known
   * @param {Span} shown
   * @param {readonly ChartPoint[]} points of the whole session
   */
  show(whole, shown, points) {
    this.#root.dataset["shown"] = String(whole !== null && points.length > 0);
    if (whole === null) return;
    const isOther = points !== this.#points || whole.toMs !== this.#whole.toMs;
    this.#whole = { fromMs: whole.fromMs, toMs: Math.max(whole.toMs, whole.fromMs + MIN_LENGTH_MS) };
    this.#shown = shown;
    this.#points = points;
    this.#drawWindow();
    if (isOther) this.#draw();
  }

  #drawWindow() {
    const { fromMs, toMs } = this.#clipped(this.#shown);
    const step = Math.max(TICK_S, Math.round(this.#length / 1000 / KEY_STEPS / TICK_S) * TICK_S);
    const times = timesIn(this.#whole.fromMs, this.#whole.toMs);
    for (const [slider, atMs] of /** @type {const} */ ([[this.#from, fromMs], [this.#to, toMs]])) {
      slider.min = String(this.#whole.fromMs / 1000);
      slider.max = String(this.#whole.toMs / 1000);
      slider.step = document.activeElement === slider ? String(step) : "any"; // a step would move it
      slider.value = String(atMs / 1000);
      slider.setAttribute("aria-valuetext", times.time(atMs));
    }
    const [left, right] = [this.#shareOf(fromMs), this.#shareOf(toMs)];
    this.#window.style.left = `${left * 100}%`;
    this.#window.style.width = `${Math.max(0, right - left) * 100}%`;
    setText(html(/** @type {HTMLElement} */ (this.#root.parentElement), ".brush-begin"), times.minute(this.#whole.fromMs));
    setText(html(/** @type {HTMLElement} */ (this.#root.parentElement), ".brush-end"), times.minute(this.#whole.toMs));
  }

  get #length() {
    return this.#whole.toMs - this.#whole.fromMs;
  }

  /** @param {number} atMs */
  #shareOf(atMs) {
    return (atMs - this.#whole.fromMs) / this.#length;
  }

  /**
   * Return a part within the session that is long enough.
   * @param {Span} span
   * @returns {Span}
   */
  #clipped({ fromMs, toMs }) {
    const { fromMs: first, toMs: last } = this.#whole;
    const begin = Math.min(Math.max(fromMs, first), last - MIN_LENGTH_MS);
    return { fromMs: begin, toMs: Math.min(Math.max(toMs, begin + MIN_LENGTH_MS), last) };
  }

  /** @param {boolean} isBegin */
  #onSlider(isBegin) {
    const atMs = Number((isBegin ? this.#from : this.#to).value) * 1000;
    const { fromMs, toMs } = this.#clipped(this.#shown);
    this.#brush(isBegin ? { fromMs: Math.min(atMs, toMs - MIN_LENGTH_MS), toMs } : { fromMs, toMs: Math.max(atMs, fromMs + MIN_LENGTH_MS) });
  }

  /** @param {Span} span */
  #brush(span) {
    const tickMs = TICK_S * 1000;
    const { fromMs, toMs } = this.#clipped(span);
    const isAtEnd = toMs >= this.#whole.toMs - tickMs;
    const isAtBegin = fromMs <= this.#whole.fromMs + tickMs;
    this.#shown = {
      fromMs: isAtBegin ? this.#whole.fromMs : Math.round(fromMs / tickMs) * tickMs,
      toMs: isAtEnd ? this.#whole.toMs : Math.round(toMs / tickMs) * tickMs,
    };
    this.#drawWindow();
    this.#onBrush(this.#shown);
  }

  /** @param {PointerEvent} event */
  #onPointerDown(event) {
    if (event.target instanceof HTMLInputElement || event.button !== 0) return;
    const startMs = this.#timeAt(event);
    const { fromMs, toMs } = this.#clipped(this.#shown);
    const isMove = fromMs < startMs && startMs < toMs && toMs - fromMs < this.#length - TICK_S * 1000;
    this.#drag = isMove
      ? (atMs) => this.#moved({ fromMs, toMs }, atMs - startMs)
      : (atMs) => ({ fromMs: Math.min(startMs, atMs), toMs: Math.max(startMs, atMs) });
    this.#root.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  #onPointerMove(event) {
    if (this.#drag) this.#brush(this.#drag(this.#timeAt(event)));
  }

  /**
   * Move a part as far as the session goes.
   * @param {Span} span
   * @param {number} byMs
   * @returns {Span}
   */
  #moved({ fromMs, toMs }, byMs) {
    const by = Math.max(this.#whole.fromMs - fromMs, Math.min(this.#whole.toMs - toMs, byMs));
    return { fromMs: fromMs + by, toMs: toMs + by };
  }

  /** @param {PointerEvent} event */
  #timeAt(event) {
    const { left, width } = this.#root.getBoundingClientRect();
    return this.#whole.fromMs + ((event.clientX - left) / width) * this.#length;
  }

  #drawCurve() {
    const canvas = find(this.#root, "canvas", HTMLCanvasElement);
    const { clientWidth, clientHeight } = canvas;
    const context = canvas.getContext("2d");
    if (clientWidth === 0 || !context) return;
    canvas.width = Math.round(clientWidth * devicePixelRatio);
    canvas.height = Math.round(clientHeight * devicePixelRatio);
    context.fillStyle = colour("brush-fill");
    context.strokeStyle = colour("quiet");
    context.lineWidth = devicePixelRatio;
    for (const run of runs(this.#points.map((point) => ({ at: timeOf(point), score: point.score })))) {
      const line = run.map(({ at, score }) => /** @type {const} */ ([this.#shareOf(at) * canvas.width, (1 - score) * canvas.height]));
      context.beginPath();
      for (const place of line) context.lineTo(...place);
      context.stroke();
      context.lineTo(line.at(-1)?.[0] ?? 0, canvas.height);
      context.lineTo(line[0]?.[0] ?? 0, canvas.height);
      context.fill();
    }
  }
}
