/** The event page: its sessions on one time axis, its own curve, and its moments. */

import { html, oncePerFrame, setText, show } from "../element.js";
import { PageActions } from "../export/page-actions.js";
import { printable } from "../format.js";
import { spanText, timesIn } from "../local-times.js";
import { addMarkup } from "../markup.js";
import { showMoments } from "../moments.js";
import { Polled } from "../polled.js";
import { copyOnClick } from "../session/clipboard.js";
import { setTitle } from "../tab-title.js";
import { showTimes } from "../charts/time-axis.js";
import { fetchEventOverview } from "./event-api.js";
import { EventChart } from "./event-chart.js";
import { inOrder, nameOf, showEventFigures } from "./event-figures.js";
import { EVENT_VIEW, MULTIPLE } from "./event-markup.js";
import { SessionMultiples } from "./session-multiples.js";

/** @import { EventOverview } from "../../types.d.ts" */
/** @import { ApiError } from "../api.js" */
/** @import { Span } from "../charts/score-curve.js" */
/** @import { Order } from "./event-figures.js" */

const REFRESH_MS = 15_000; // the sessions of a live event
const ORDERS = /** @type {const} */ (["start", "mean", "peak", "people"]);

/** Shows one event at a time. */
export class EventView {
  #root;
  #multiples;
  #chart;
  #actions;
  #eventId = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #refresh;
  /** @type {EventOverview | null} */
  #newest = null;
  /** @type {Order} */
  #order = "start";
  #render = oncePerFrame(() => this.#draw());
  /** @type {Polled<EventOverview>} */
  #overview = new Polled(this.#render);

  constructor() {
    addMarkup(html(document, "main"), "beforeend", EVENT_VIEW);
    addMarkup(document.body, "beforeend", MULTIPLE);
    this.#root = html(document, ".event-view");
    this.#multiples = new SessionMultiples(html(this.#root, ".multiples-list"));
    this.#chart = new EventChart(this.#root);
    this.#actions = new PageActions(html(this.#root, ".page-actions"));
    copyOnClick(html(this.#root, ".copy"), () => this.#eventId);
    this.#root.addEventListener("change", (event) => this.#onOrder(event));
    new ResizeObserver(this.#render).observe(this.#root);
  }

  /**
   * Show an event.
   * @param {string} eventId
   * @param {URLSearchParams} query
   */
  open(eventId, query) {
    const isOther = this.#root.hidden || eventId !== this.#eventId;
    this.#eventId = eventId;
    this.#order = ORDERS.find((order) => order === query.get("order")) ?? "start";
    for (const input of this.#root.querySelectorAll("input")) input.checked = input.value === this.#order;
    this.#actions.show("event", eventId);
    show(this.#root, true);
    if (isOther || this.#overview.value === null) {
      scrollTo(0, 0);
      this.#forget();
      this.#overview.start(() => fetchEventOverview(eventId), null);
      html(this.#root, "h1").focus({ preventScroll: true });
    }
    this.#draw();
  }

  close() {
    show(this.#root, false);
    this.#forget();
  }

  #forget() {
    this.#overview.stop();
    clearTimeout(this.#refresh);
    this.#newest = null;
  }

  /** @param {Event} event */
  #onOrder({ target }) {
    if (!(target instanceof HTMLInputElement)) return;
    this.#order = /** @type {Order} */ (target.value);
    const [path] = location.hash.split("?");
    history.replaceState(history.state, "", this.#order === "start" ? path : `${path}?order=${this.#order}`);
    this.#render();
  }

  #draw() {
    if (this.#root.hidden) return;
    const overview = this.#overview.value;
    const name = printable(overview?.title || this.#eventId);
    setTitle(`${name} · Engagement`);
    const title = html(this.#root, "h1 bdi");
    setText(title, name);
    title.title = printable(this.#eventId);
    this.#drawState(overview);
    show(html(this.#root, ".event-body"), overview !== null);
    setText(html(this.#root, ".event-about"), overview ? aboutText(overview) : "");
    if (overview) this.#drawEvent(overview);
  }

  /** @param {EventOverview} overview */
  #drawEvent(overview) {
    if (overview !== this.#newest && overview.sessions.some(({ state }) => state === "live")) {
      clearTimeout(this.#refresh);
      this.#refresh = setTimeout(() => this.#overview.refresh(), REFRESH_MS);
    }
    this.#newest = overview;
    const span = spanOf(overview);
    showEventFigures(html(this.#root, ".event-figures"), overview);
    this.#chart.show(overview.curve, span);
    this.#multiples.show(inOrder(overview.sessions, this.#order), span);
    for (const axis of this.#root.querySelectorAll(".time-axis")) showTimes(/** @type {HTMLElement} */ (axis), span);
    const names = new Map(overview.sessions.map((session) => [session.sessionId, nameOf(session)]));
    const { minute: timeText } = timesIn(span.fromMs, span.toMs);
    const sessionName = (/** @type {string} */ id) => names.get(id) ?? printable(id);
    showMoments(html(this.#root, ".moments"), overview.moments, sessionName, timeText);
  }

  /** @param {EventOverview | null} overview */
  #drawState(overview) {
    const { failure } = this.#overview;
    const isOld = failure !== null && overview !== null;
    const error = isOld ? `The event could not be loaded again. Server response: ${failure.message}.` : "";
    setText(html(this.#root, ".event-error"), error);
    const [title, text] = stateOf(overview, failure);
    const state = html(this.#root, ".event-state");
    setText(html(state, ".state-title"), title);
    setText(html(state, ".state-text"), text);
    show(state, title !== "");
  }
}

/**
 * Return the message that replaces the event; an empty title: none does.
 * @param {EventOverview | null} overview
 * @param {ApiError | null} failure
 * @returns {[title: string, text: string]}
 */
function stateOf(overview, failure) {
  if (overview !== null) return ["", ""];
  if (failure === null) return ["Loading …", ""];
  if (failure.status === 404) return ["Nothing is stored of this event", "It appears here after its first score."];
  return ["The event could not be loaded", `Server response: ${failure.message}. It is loaded again by itself.`];
}

/** @param {EventOverview} overview */
function aboutText(overview) {
  const { sessions, endedAt } = overview;
  const { fromMs, toMs } = spanOf(overview);
  const live = sessions.filter(({ state }) => state === "live").length;
  const parts = [sessions.length === 1 ? "1 session" : `${sessions.length} sessions`];
  if (live > 0) parts.push(`${live} live`);
  return [...parts, spanText(fromMs, toMs, endedAt === null)].join(" · ");
}

/**
 * Return the time that all curves of an event are drawn over: of a live one, until its newest point.
 * @param {EventOverview} overview
 * @returns {Span}
 */
function spanOf({ startedAt, endedAt, sessions }) {
  const newest = sessions.map(({ points }) => Date.parse(points.at(-1)?.timestamp ?? startedAt));
  const fromMs = Date.parse(startedAt);
  return { fromMs, toMs: Math.max(endedAt === null ? fromMs + 1000 : Date.parse(endedAt), ...newest) };
}
