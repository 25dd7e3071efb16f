/** The history: the sessions that were, newest first, with filters and one page after the other. */

import { announce } from "../announcer.js";
import { ApiError } from "../api.js";
import { find, html, setText, show } from "../element.js";
import { openExport } from "../export/export-dialog.js";
import { count } from "../format.js";
import { fetchSessions } from "../history-api.js";
import { addMarkup } from "../markup.js";
import { rangeIn } from "../routes.js";
import { setTitle } from "../tab-title.js";
import { HistoryFilters } from "./history-filters.js";
import { HISTORY_ROW, HISTORY_VIEW } from "./history-markup.js";
import { filtersIn, historyAddress, isUpsideDown, NO_FILTERS, pageQuery } from "./history-query.js";
import { historyRow } from "./history-row.js";

/** @import { Filters } from "./history-query.js" */
/** @import { SessionPage } from "../history-api.js" */

const RETRY_MS = 5_000; // after a failure, unless the service names another time
const KEPT_MS = 60_000; // the rows, when the view is shown again: a session may have ended meanwhile

/** Keeps its rows and scroll position for a while when another view is shown. */
export class HistoryView {
  #root;
  #list;
  #more;
  #filters;
  #shown = NO_FILTERS;
  /** @type {string | null} */
  #next = null;
  /** Incremented with each request, so that only the response to the newest is shown. */
  #request = 0;
  #loadedMs = -Infinity;
  #scrollY = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retrying;

  constructor() {
    addMarkup(html(document, "main"), "beforeend", HISTORY_VIEW);
    addMarkup(document.body, "beforeend", HISTORY_ROW);
    this.#root = html(document, ".history");
    this.#list = html(this.#root, ".history-list");
    this.#more = html(this.#root, ".history-more");
    this.#filters = new HistoryFilters(this.#root, (filters) => this.#onFilters(filters));
    this.#more.addEventListener("click", () => void this.#loadMore());
    html(this.#root, ".state-action").addEventListener("click", () => this.#onFilters(NO_FILTERS));
    html(this.#root, ".history-export").addEventListener("click", () => this.#export());
  }

  /**
   * Show the sessions that match the filters of the address.
   * @param {string} _
   * @param {URLSearchParams} query
   */
  open(_, query) {
    const filters = filtersIn(query);
    const isKept = performance.now() - this.#loadedMs < KEPT_MS && historyAddress(filters) === historyAddress(this.#shown);
    show(this.#root, true);
    setTitle("History · Engagement");
    this.#shown = filters;
    this.#filters.show(filters);
    if (isKept) scrollTo(0, this.#scrollY);
    else void this.#load();
    if (!this.#root.contains(document.activeElement)) html(this.#root, "h1").focus({ preventScroll: true });
  }

  close() {
    if (!this.#root.hidden) this.#scrollY = scrollY;
    clearTimeout(this.#retrying);
    show(this.#root, false);
  }

  /** @param {Filters} filters */
  #onFilters(filters) {
    this.#shown = filters;
    this.#filters.show(filters);
    history.replaceState(history.state, "", historyAddress(filters));
    void this.#load();
  }

  /** Offer the rows of the days and of the event that are filtered by. */
  #export() {
    const query = pageQuery(this.#shown, null);
    const event = query.get("event");
    openExport(event === null ? "all" : "event", event ?? "", rangeIn(query));
  }

  /** Load the first page. The rows before stay until it is there. */
  async #load() {
    this.#loadedMs = -Infinity;
    this.#scrollY = 0;
    if (isUpsideDown(this.#shown)) {
      this.#show({ sessions: [], next: null }, true);
      return;
    }
    const page = await this.#fetch(null);
    if (page) this.#show(page, true);
  }

  async #loadMore() {
    const before = this.#list.childElementCount;
    const page = await this.#fetch(this.#next);
    if (!page) return;
    this.#show(page, false);
    announce(`${count(page.sessions.length)} more sessions`);
    // The button may be gone, and who has used it reads on with the first new row.
    if (page.sessions.length > 0) find(/** @type {Element} */ (this.#list.children[before]), "a", HTMLAnchorElement).focus();
  }

  /**
   * Return a page; null: it failed, and is loaded again by itself, or another one was requested.
   * @param {string | null} cursor
   * @returns {Promise<SessionPage | null>}
   */
  async #fetch(cursor) {
    const request = ++this.#request;
    clearTimeout(this.#retrying);
    this.#list.setAttribute("aria-busy", "true");
    if (this.#list.childElementCount === 0) this.#drawState("Loading …", "");
    try {
      const page = await fetchSessions(pageQuery(this.#shown, cursor));
      return request === this.#request ? page : null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (request === this.#request) this.#onFailure(error, cursor);
      return null;
    } finally {
      if (request === this.#request) this.#list.removeAttribute("aria-busy");
    }
  }

  /**
   * @param {ApiError} error
   * @param {string | null} cursor
   */
  #onFailure(error, cursor) {
    const isPassing = error.status === 0 || error.status === 429 || error.status >= 500;
    const again = isPassing ? " It is loaded again by itself." : "";
    setText(html(this.#root, ".history-error"), `The history could not be loaded. Server response: ${error.message}.${again}`);
    if (this.#list.childElementCount === 0) this.#drawState("The history is not available", "Live sessions go on.");
    if (!isPassing) return;
    const load = () => (cursor === null ? this.#load() : this.#loadMore());
    this.#retrying = setTimeout(() => void load(), error.retryAfterMs || RETRY_MS);
  }

  /**
   * @param {SessionPage} page
   * @param {boolean} isFirst
   */
  #show({ sessions, next }, isFirst) {
    const rows = sessions.map(historyRow);
    if (isFirst) this.#list.replaceChildren(...rows);
    else this.#list.append(...rows);
    this.#next = next;
    this.#loadedMs = performance.now();
    const shown = this.#list.childElementCount;
    setText(html(this.#root, ".history-error"), "");
    setText(html(this.#root, ".history-counts"), shown > 0 ? countText(shown, next !== null) : "");
    show(this.#more, next !== null);
    if (shown > 0) this.#drawState("", "");
    else if (isUpsideDown(this.#shown)) this.#drawState("No sessions match", "The first day is after the last one.");
    else if (historyAddress(this.#shown) === historyAddress(NO_FILTERS)) {
      this.#drawState("No sessions have ended yet", "A session appears here when it is over.");
    } else this.#drawState("No sessions match", "Search for a part of a title, or choose other days.");
  }

  /**
   * @param {string} title
   * @param {string} text
   */
  #drawState(title, text) {
    const state = html(this.#root, ".history-state");
    setText(html(state, ".state-title"), title);
    setText(html(state, ".state-text"), text);
    show(html(state, ".state-action"), title === "No sessions match");
    show(state, title !== "");
  }
}

/**
 * @param {number} shown
 * @param {boolean} hasMore
 */
function countText(shown, hasMore) {
  if (hasMore) return `The newest ${count(shown)} sessions`;
  return shown === 1 ? "1 session" : `${count(shown)} sessions`;
}
