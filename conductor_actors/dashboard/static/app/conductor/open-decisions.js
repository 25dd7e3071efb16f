/** The suggestions of all sessions that wait for a decision, and whether the conductor works at all. */

import { ApiError, fetchDecisions } from "../api.js";
import { readIntervention } from "./intervention-bodies.js";

/** @import { EngagementStream } from "../../engagement-stream.js" */
/** @import { DecisionBody } from "../../types.d.ts" */
/** @import { Intervention } from "./intervention-bodies.js" */
/** @import { Mode } from "./modes.js" */

const POLL_MS = 30_000;

/**
 * Known by requests, and from the list and the session that are shown, which are newer. Listeners get
 * the suggestions that came since the first ones were known.
 */
export class OpenDecisions {
  #stream;
  /** @type {Map<string, Intervention>} */
  #open = new Map();
  /** @type {Set<(began: readonly Intervention[]) => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The sessions that were updated since the last request. @type {Set<string>} */
  #updated = new Set();
  #isKnown = false;
  /** False: the kill switch of the service is on. */
  isEnabled = true;
  /** The mode of sessions and events for which none is set. @type {Mode} */
  defaultMode = "SEMI_AUTO";

  /** @param {EngagementStream} stream */
  constructor(stream) {
    this.#stream = stream;
    let wasLive = false;
    stream.watchConnection(({ phase }) => {
      if (phase === "live" && !wasLive) void this.load();
      wasLive = phase === "live";
    });
  }

  /** The suggestions, the oldest first. */
  get all() {
    return [...this.#open.values()].sort((a, b) => a.atMs - b.atMs);
  }

  /** The sessions that have a suggestion. */
  get sessions() {
    return new Set([...this.#open.values()].map(({ sessionId }) => sessionId));
  }

  /** @param {(began: readonly Intervention[]) => void} listener */
  watch(listener) {
    this.#listeners.add(listener);
  }

  /**
   * Replace the suggestions of some sessions.
   * @param {readonly string[]} sessionIds
   * @param {readonly DecisionBody[]} decisions
   */
  update(sessionIds, decisions) {
    for (const id of sessionIds) this.#updated.add(id);
    const replaced = new Set(sessionIds);
    this.#replace((id) => replaced.has(id), decisions);
  }

  /** Request all, now and at intervals. */
  async load() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.load(), POLL_MS * (0.9 + Math.random() / 5));
    if (this.#stream.connection.phase !== "live") return;
    this.#updated.clear();
    try {
      const { decisions, enabled, default_mode: defaultMode } = await fetchDecisions();
      const isOlder = (/** @type {string} */ id) => !this.#updated.has(id);
      const isChanged = enabled !== this.isEnabled || defaultMode !== this.defaultMode;
      this.isEnabled = enabled;
      this.defaultMode = defaultMode;
      this.#replace(isOlder, decisions.filter(({ session_id: id }) => isOlder(id)));
      this.#isKnown = true;
      if (isChanged) this.#notify([]);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the next request may succeed
    }
  }

  /**
   * @param {(sessionId: string) => boolean} isReplaced
   * @param {readonly DecisionBody[]} decisions
   */
  #replace(isReplaced, decisions) {
    const before = this.#open;
    const kept = [...this.#open.values()].filter(({ sessionId }) => !isReplaced(sessionId));
    const added = decisions.map(readIntervention).filter(({ status }) => status === "SUGGESTED");
    this.#open = new Map([...kept, ...added].map((each) => [each.id, each]));
    const began = added.filter(({ id }) => !before.has(id));
    if (began.length === 0 && before.size === this.#open.size) return;
    this.#notify(this.#isKnown ? began : []);
  }

  /** @param {readonly Intervention[]} began */
  #notify(began) {
    for (const listener of this.#listeners) listener(began);
  }
}
