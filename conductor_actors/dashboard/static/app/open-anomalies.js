/** The open anomalies of all sessions, for the list, the title of the tab, and notifications. */

import { ApiError, fetchOpenAnomalies } from "./api.js";
import { keyOf } from "./incidents.js";
import { setOpenCount } from "./tab-title.js";

/** @import { EngagementStream } from "../engagement-stream.js" */
/** @import { AnomalyRecord } from "../types.d.ts" */

const POLL_MS = 30_000; // while the list, which has them, is not watched

/**
 * Known from the list while it is shown, from the session that is shown, and by requests otherwise.
 * Listeners get those that have begun since the first ones were known.
 */
export class OpenAnomalies {
  #stream;
  /** @type {Map<string, AnomalyRecord>} */
  #open = new Map();
  /** @type {Set<(began: readonly AnomalyRecord[]) => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isKnown = false;
  /** The sessions that were updated since the last request. @type {Set<string>} */
  #updated = new Set();

  /** @param {EngagementStream} stream */
  constructor(stream) {
    this.#stream = stream;
  }

  /** The newest open anomaly of each session. */
  get bySession() {
    return new Map([...this.#open.values()].map((record) => [record.sessionId, record]));
  }

  /** @param {(began: readonly AnomalyRecord[]) => void} listener */
  watch(listener) {
    this.#listeners.add(listener);
  }

  /**
   * Replace the open anomalies of some sessions; null: of all.
   * @param {readonly string[] | null} sessionIds
   * @param {readonly AnomalyRecord[]} records
   */
  update(sessionIds, records) {
    for (const id of sessionIds ?? []) this.#updated.add(id);
    const replaced = new Set(sessionIds);
    this.#replace((id) => sessionIds === null || replaced.has(id), records);
    this.#isKnown ||= sessionIds === null;
  }

  /** Request the open anomalies now and at intervals, until the list is watched. */
  startPolling() {
    this.stopPolling();
    void this.#poll();
  }

  stopPolling() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #poll() {
    const timer = (this.#timer = setTimeout(() => void this.#poll(), POLL_MS * (0.9 + Math.random() / 5)));
    if (this.#stream.connection.phase !== "live") return;
    this.#updated.clear();
    try {
      const { anomalies } = await fetchOpenAnomalies();
      if (timer !== this.#timer) return; // the list is newer
      const isOlder = (/** @type {string} */ id) => !this.#updated.has(id);
      this.#replace(isOlder, anomalies.filter(({ sessionId }) => isOlder(sessionId)));
      this.#isKnown = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the next request may succeed
    }
  }

  /**
   * @param {(sessionId: string) => boolean} isReplaced
   * @param {readonly AnomalyRecord[]} records
   */
  #replace(isReplaced, records) {
    const before = this.#open;
    const kept = [...before].filter(([, { sessionId }]) => !isReplaced(sessionId));
    const added = records.filter(({ endedAt }) => endedAt === null);
    this.#open = new Map([...kept, ...added.map((each) => /** @type {const} */ ([keyOf(each), each]))]);
    const began = this.#isKnown ? added.filter((each) => !before.has(keyOf(each))) : [];
    if (before.size + this.#open.size > 0) this.#notify(began);
  }

  /** @param {readonly AnomalyRecord[]} began */
  #notify(began) {
    setOpenCount(this.#open.size);
    for (const listener of this.#listeners) listener(began);
  }
}
