/** A virtual list: only the visible rows of up to thousands of sessions are in the document. */

import { SessionRow } from "./session-row.js";

/** @import { Line } from "./session-board.js" */

const OVERSCAN_ROWS = 6; // above and below the visible rows, for smooth scrolling
const REORDER_DELAY_MS = 600; // longer than the animation of the rows
const STEPS = /** @type {Readonly<Record<string, number>>} */ ({
  ...{ ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity },
});

/** The rows by session. The row that Tab leads to is always among them. */
export class SessionList {
  #list;
  /** @type {Map<string, SessionRow>} */
  #rows = new Map();
  /** @type {readonly Line[]} */
  #lines = [];
  #untilMs = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #reordering;
  /** The session that Tab leads to. @type {string | null} */
  #current = null;

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("focusin", (event) => this.#onFocus(event));
  }

  /** The lines of the rows in the document. */
  get visible() {
    return [...this.#rows.values()].map((row) => row.line);
  }

  /**
   * Show lines in this order.
   * @param {readonly Line[]} lines
   * @param {number} untilMs
   */
  show(lines, untilMs) {
    this.#lines = lines;
    this.#untilMs = untilMs;
    this.#list.style.height = `${lines.length * this.#rowHeight}px`;
    this.render();
  }

  /** Add, update and remove rows after a change or a scroll. */
  render() {
    const height = this.#rowHeight;
    const indexes = this.#indexes(height);
    const ids = new Set(indexes.map((index) => this.#idAt(index)));
    for (const [id, row] of this.#rows) {
      if (!ids.has(id)) {
        row.element.remove();
        this.#rows.delete(id);
      }
    }
    for (const index of indexes) this.#showRow(index, height);
    clearTimeout(this.#reordering);
    this.#reordering = setTimeout(() => this.#reorderElements(), REORDER_DELAY_MS);
  }

  /** Redraw all rows. */
  invalidate() {
    for (const row of this.#rows.values()) row.invalidate();
    this.render();
  }

  get #rowHeight() {
    return parseFloat(getComputedStyle(this.#list).getPropertyValue("--row-height"));
  }

  /**
   * @param {number} height
   * @returns {number[]}
   */
  #indexes(height) {
    const top = -this.#list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - OVERSCAN_ROWS);
    const end = Math.ceil((top + innerHeight) / height) + OVERSCAN_ROWS;
    const last = Math.min(this.#lines.length, Math.max(end, first));
    const indexes = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at);
    const current = this.#lines.findIndex((line) => line.latest.sessionId === this.#current);
    if (current < 0) this.#current = this.#idAt(0);
    const pinned = Math.max(0, current);
    if (this.#lines.length > 0 && !indexes.includes(pinned)) indexes.push(pinned);
    return indexes.sort((a, b) => a - b);
  }

  /** @param {number} index */
  #idAt(index) {
    return this.#lines[index]?.latest.sessionId ?? null;
  }

  /**
   * @param {number} index
   * @param {number} height
   */
  #showRow(index, height) {
    const line = this.#lines[index];
    if (!line) return;
    const id = line.latest.sessionId;
    let row = this.#rows.get(id);
    if (!row || row.line !== line) {
      row?.element.remove();
      row = new SessionRow(line);
      this.#rows.set(id, row);
    }
    row.place(index, this.#lines.length, index * height);
    row.link.tabIndex = id === this.#current ? 0 : -1;
    if (!row.element.isConnected) this.#list.append(row.element);
    row.render(this.#untilMs);
  }

  /**
   * Sort the elements as they are shown, for screen readers. Moving an element removes its focus and
   * ends its animation. So this runs after the animation, and leaves the focused element in place.
   */
  #reorderElements() {
    const elements = this.#lines.flatMap((line) => {
      const row = this.#rows.get(line.latest.sessionId);
      return row ? [row.element] : [];
    });
    if (elements.every((element, index) => element === this.#list.children[index])) return;
    const focused = elements.findIndex((element) => element.contains(document.activeElement));
    const fixed = elements[focused] ?? null;
    fixed?.before(...elements.slice(0, focused));
    this.#list.append(...elements.slice(focused + 1));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const at = this.#lines.findIndex((line) => line.latest.sessionId === this.#current);
    const to = Math.min(this.#lines.length - 1, Math.max(0, at + step));
    this.#current = this.#idAt(to);
    this.render();
    const row = this.#rows.get(this.#current ?? "");
    row?.link.focus({ preventScroll: true });
    row?.element.scrollIntoView({ block: "nearest" });
  }

  /** @param {FocusEvent} event */
  #onFocus(event) {
    for (const [id, row] of this.#rows) {
      const isCurrent = row.link === event.target;
      row.link.tabIndex = isCurrent ? 0 : -1;
      if (isCurrent) this.#current = id;
    }
  }
}
