/** The fields that filter the history. */

import { ApiError } from "../api.js";
import { find, html } from "../element.js";
import { fetchEvents } from "../history-api.js";

/** @import { Filters, State } from "./history-query.js" */

const TYPING_MS = 250; // until what was typed is requested

/** Reads and writes the fields, and offers the events that match what is typed. */
export class HistoryFilters {
  #form;
  #search;
  #event;
  #from;
  #to;
  #offered;
  /** The ids of the events that were offered, by their titles. @type {Map<string, string>} */
  #idsByTitle = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} root
   * @param {(filters: Filters) => void} onChange
   */
  constructor(root, onChange) {
    this.#form = find(root, ".history-filters", HTMLFormElement);
    this.#search = find(root, "#history-search", HTMLInputElement);
    this.#event = find(root, "#history-event", HTMLInputElement);
    this.#from = find(root, "#history-from", HTMLInputElement);
    this.#to = find(root, "#history-to", HTMLInputElement);
    this.#offered = html(root, "#history-events");
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#event.addEventListener("focus", () => void this.#offerEvents());
    this.#event.addEventListener("input", () => void this.#offerEvents());
    this.#form.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => onChange(this.value), TYPING_MS);
    });
  }

  /** @returns {Filters} */
  get value() {
    const state = find(this.#form, "[name=history-state]:checked", HTMLInputElement).value;
    const event = this.#event.value.trim();
    return {
      search: this.#search.value,
      event: this.#idsByTitle.get(event) ?? event,
      from: this.#from.value,
      to: this.#to.value,
      state: /** @type {State} */ (state),
    };
  }

  /**
   * Show filters, but do not change what somebody is typing.
   * @param {Filters} filters
   */
  show({ search, event, from, to, state }) {
    clearTimeout(this.#timer);
    const shown = this.value;
    if (shown.search !== search) this.#search.value = search;
    if (shown.event !== event) this.#event.value = event;
    if (shown.from !== from) this.#from.value = from;
    if (shown.to !== to) this.#to.value = to;
    find(this.#form, `[name=history-state][value=${state}]`, HTMLInputElement).checked = true;
  }

  /** Offer the newest events that match. Without them, an id can be typed. */
  async #offerEvents() {
    const search = this.#event.value.trim();
    try {
      const { events } = await fetchEvents(search);
      if (search !== this.#event.value.trim()) return;
      this.#offered.replaceChildren(...events.map((event) => this.#option(event)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /**
   * Return an option that enters the title; the id, if the event has none or shares it with another.
   * @param {Readonly<{eventId: string, title: string | null}>} event
   */
  #option({ eventId, title }) {
    if (title === null) return new Option("", eventId);
    const known = this.#idsByTitle.get(title) ?? eventId;
    this.#idsByTitle.set(title, known);
    return known === eventId ? new Option(eventId, title) : new Option(title, eventId);
  }
}
