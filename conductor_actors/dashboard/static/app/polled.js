/** What the service stores: loaded, refreshed while it changes, and loaded again after a failure. */

import { ApiError } from "./api.js";

const RETRY_MS = 10_000; // after a failure that passes, unless the service names another time
const BUSY = 429;

/**
 * The newest response to one request at a time.
 * @template T
 */
export class Polled {
  #onChange;
  /** @type {(() => Promise<T>) | null} */
  #fetch = null;
  /** @type {number | null} */
  #refreshMs = null;
  #generation = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The newest response. @type {T | null} */
  value = null;
  /** Why the newest request failed. @type {ApiError | null} */
  failure = null;
  isLoading = false;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * Load now, and again after each interval; null: only once. The last value stays until the response.
   * @param {() => Promise<T>} fetch
   * @param {number | null} refreshMs
   */
  start(fetch, refreshMs) {
    this.#fetch = fetch;
    this.#refreshMs = refreshMs;
    this.refresh();
  }

  /** Forget everything. */
  stop() {
    this.#generation += 1;
    clearTimeout(this.#timer);
    this.#fetch = null;
    this.value = null;
    this.failure = null;
    this.isLoading = false;
  }

  /** Load now. */
  refresh() {
    const fetch = this.#fetch;
    if (fetch) void this.#load(fetch);
  }

  /** @param {() => Promise<T>} fetch */
  async #load(fetch) {
    const generation = ++this.#generation;
    clearTimeout(this.#timer);
    this.isLoading = true;
    /** @type {number | null} */
    let againMs = this.#refreshMs;
    try {
      const value = await fetch();
      if (generation !== this.#generation) return;
      this.value = value;
      this.failure = null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (generation !== this.#generation) return;
      this.failure = error;
      const isPassing = error.status === 0 || error.status === BUSY || error.status >= 500;
      if (isPassing) againMs = error.retryAfterMs || Math.min(againMs ?? RETRY_MS, RETRY_MS);
    }
    this.isLoading = false;
    if (againMs !== null) this.#timer = setTimeout(() => this.refresh(), againMs);
    this.#onChange();
  }
}
