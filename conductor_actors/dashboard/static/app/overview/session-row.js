/** One row of the list: created once per session, updated only where something has changed. */

import { find, fromTemplate, html, setText, show } from "../element.js";
import { count, percent, printable, trend } from "../format.js";
import { lengthOf, typeName } from "../incidents.js";
import { categoryName, levelOf } from "../levels.js";
import { sessionAddress } from "../routes.js";
import { eventName, sessionName } from "../titles.js";
import { drawSparkline } from "./sparkline.js";

/** @import { Line } from "./session-board.js" */

/** A row, its link, and its cells. */
export class SessionRow {
  element = fromTemplate("row");
  link = find(this.element, ".row-link", HTMLAnchorElement);
  #spark = find(this.element, ".row-spark", HTMLCanvasElement);
  #cells = {
    session: html(this.element, ".row-session"),
    anomaly: html(this.element, ".row-anomaly"),
    suggestion: html(this.element, ".row-suggestion"),
    event: html(this.element, ".row-event"),
    active: html(this.element, ".row-active"),
    chat: html(this.element, ".row-chat"),
    trend: html(this.element, ".row-trend"),
    score: html(this.element, ".row-score"),
    category: html(this.element, ".row-category"),
  };
  #drawn = "";

  /** @param {Line} line */
  constructor(line) {
    this.line = line;
    this.#cells.session.title = printable(line.latest.sessionId);
    this.link.href = sessionAddress(line.latest.sessionId);
  }

  /**
   * Move the row to its position: `index` of `total`, `top` pixels from the top of the list.
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
   * Show the current state of the line.
   * @param {number} untilMs the right edge of the sparkline
   */
  render(untilMs) {
    const state = `${this.line.version} ${untilMs}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    const { latest } = this.line;
    const cells = this.#cells;
    const change = trend(this.line.change);
    this.element.dataset["level"] = levelOf(latest.score);
    setText(cells.session, sessionName(latest.sessionId));
    setText(cells.event, latest.eventId === latest.sessionId ? "" : eventName(latest.eventId));
    cells.event.title = printable(latest.eventId);
    setText(cells.active, `${count(latest.signals.active_users)}/${count(latest.signals.total_users)}`);
    setText(cells.chat, count(latest.signals.chat_msgs_per_min));
    setText(cells.trend, change.short);
    cells.trend.dataset["direction"] = change.direction;
    setText(cells.score, percent(latest.score));
    setText(cells.category, categoryName(latest.category));
    this.#drawAnomaly(untilMs);
    show(this.#cells.suggestion, this.line.isWaiting);
    drawSparkline(this.#spark, this.line.points, untilMs);
  }

  /** @param {number} untilMs */
  #drawAnomaly(untilMs) {
    const { anomaly } = this.line;
    show(this.#cells.anomaly, anomaly !== null);
    if (anomaly === null) return;
    this.#cells.anomaly.dataset["severity"] = anomaly.severity.toLowerCase();
    setText(html(this.#cells.anomaly, ".row-anomaly-type"), typeName(anomaly));
    setText(html(this.#cells.anomaly, ".row-anomaly-length"), lengthOf(anomaly, untilMs));
  }

  /** Redraw the whole row at the next `render`, for another theme or width. */
  invalidate() {
    this.#drawn = "";
  }
}
