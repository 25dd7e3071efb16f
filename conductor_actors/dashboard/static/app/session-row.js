/** One row of the list: made once per session, touched only where something changed. */

import { find, fromTemplate, html, setText } from "./element.js";
import { count, percent, printable, trend } from "./format.js";
import { categoryName, levelOf } from "./levels.js";
import { drawSparkline } from "./sparkline.js";

/** @import { Line } from "./session-board.js" */

/** A row, its link, and what it shows. */
export class SessionRow {
  element = fromTemplate("row");
  link = find(this.element, ".row-link", HTMLAnchorElement);
  #spark = find(this.element, ".row-spark", HTMLCanvasElement);
  #parts = {
    event: html(this.element, ".row-event"),
    active: html(this.element, ".row-active"),
    chat: html(this.element, ".row-chat"),
    trend: html(this.element, ".row-trend"),
    score: html(this.element, ".row-score"),
    category: html(this.element, ".row-category"),
  };
  #shown = "";

  /** @param {Line} line */
  constructor(line) {
    this.line = line;
    const name = html(this.element, ".row-session");
    name.textContent = printable(line.latest.sessionId);
    name.title = name.textContent;
    this.link.href = `#/session/${encodeURIComponent(line.latest.sessionId)}`;
  }

  /**
   * Put it in its place: the `index`th of `total`, `top` pixels down.
   * @param {number} index
   * @param {number} total
   * @param {number} top
   */
  place(index, total, top) {
    this.element.style.transform = `translateY(${top}px)`;
    this.element.setAttribute("aria-posinset", String(index + 1));
    this.element.setAttribute("aria-setsize", String(total));
  }

  /**
   * Show what the line says now.
   * @param {number} untilMs the right edge of the sparkline
   */
  render(untilMs) {
    const state = `${this.line.version} ${untilMs}`;
    if (state === this.#shown) return;
    this.#shown = state;
    const { latest } = this.line;
    const parts = this.#parts;
    const change = trend(this.line.trend);
    this.element.dataset["level"] = levelOf(latest.score);
    setText(parts.event, latest.eventId === latest.sessionId ? "" : printable(latest.eventId));
    setText(parts.active, `${count(latest.signals.active_users)}/${count(latest.signals.total_users)}`);
    setText(parts.chat, count(latest.signals.chat_msgs_per_min));
    setText(parts.trend, change.short);
    parts.trend.dataset["direction"] = change.direction;
    setText(parts.score, percent(latest.score));
    setText(parts.category, categoryName(latest.category));
    drawSparkline(this.#spark, this.line.points, untilMs);
  }

  /** Draw all of it again: another theme, another width. */
  invalidate() {
    this.#shown = "";
  }
}
