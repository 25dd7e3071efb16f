/** The sessions of an event as small charts on one time axis. */

import { fromTemplate, find, html, setText } from "../element.js";
import { count, duration, printable } from "../format.js";
import { levelOf } from "../levels.js";
import { timesIn } from "../local-times.js";
import { sessionAddress } from "../routes.js";
import { scoreCurve, thresholdLine } from "../charts/score-curve.js";
import { figuresOf, nameOf, percentOf } from "./event-figures.js";

/** @import { EventSession } from "../../types.d.ts" */
/** @import { Span } from "../charts/score-curve.js" */

/** Keeps a row for each session. */
export class SessionMultiples {
  #list;
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  /** What each row shows. @type {WeakMap<HTMLElement, {session: EventSession, span: Span}>} */
  #drawn = new WeakMap();

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#list = list;
  }

  /**
   * Show sessions in this order, their curves over the same span.
   * @param {readonly EventSession[]} sessions
   * @param {Span} span
   */
  show(sessions, span) {
    const shown = new Set(sessions.map(({ sessionId }) => sessionId));
    for (const [id, row] of this.#rows) {
      if (!shown.has(id)) row.remove();
    }
    this.#rows = new Map(
      sessions.map((session) => {
        const row = this.#rows.get(session.sessionId) ?? fromTemplate("multiple");
        this.#draw(row, session, span);
        return [session.sessionId, row];
      }),
    );
    this.#arrange([...this.#rows.values()]);
  }

  /**
   * @param {HTMLElement} row
   * @param {EventSession} session
   * @param {Span} span
   */
  #draw(row, session, span) {
    const drawn = this.#drawn.get(row);
    if (drawn?.session === session && drawn.span.fromMs === span.fromMs && drawn.span.toMs === span.toMs) return;
    this.#drawn.set(row, { session, span });
    drawRow(row, session, span);
  }

  /**
   * Move the rows that are not in their place, and no others, so that the focus stays.
   * @param {readonly HTMLElement[]} rows
   */
  #arrange(rows) {
    const focused = document.activeElement;
    rows.forEach((row, index) => {
      if (this.#list.children[index] !== row) this.#list.insertBefore(row, this.#list.children[index] ?? null);
    });
    if (focused instanceof HTMLElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }
}

/**
 * @param {HTMLElement} row
 * @param {EventSession} session
 * @param {Span} span
 */
function drawRow(row, session, span) {
  const { mean, peak, people } = figuresOf(session);
  find(row, "a", HTMLAnchorElement).href = sessionAddress(session.sessionId);
  const title = html(row, ".multiple-title");
  setText(title, nameOf(session));
  title.title = printable(session.sessionId);
  setText(html(row, ".multiple-times"), timesText(session, span));
  setText(html(row, ".multiple-speakers"), printable((session.speakers ?? []).join(", ")));
  setText(html(row, ".multiple-mean"), percentOf(mean));
  setText(html(row, ".multiple-peak"), percentOf(peak));
  setText(html(row, ".multiple-people"), people === null ? "–" : count(people));
  row.dataset["level"] = mean === null ? "none" : levelOf(mean);
  row.dataset["state"] = session.state;
  const points = session.points.map(({ timestamp, score }) => ({ at: Date.parse(timestamp), score }));
  const curve = scoreCurve(points, span);
  curve.prepend(thresholdLine());
  html(row, ".multiple-plot").replaceChildren(curve);
}

/**
 * @param {EventSession} session
 * @param {Span} span
 */
function timesText({ startedAt, endedAt, durationS, state }, { fromMs, toMs }) {
  if (startedAt == null) return "Not begun";
  const begin = timesIn(fromMs, toMs).minute(Date.parse(startedAt));
  if (state === "live" || endedAt == null) return `${begin} · live`;
  const lengthMs = durationS == null ? Date.parse(endedAt) - Date.parse(startedAt) : durationS * 1000;
  return `${begin} · ${duration(lengthMs)}`;
}
