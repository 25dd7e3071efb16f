/** The anomalies of one session: those that are stored, and those that begin and end meanwhile. */

import { ApiError, fetchAnomalies } from "../api.js";
import { beginMs, endMs, isOpen, keyOf } from "../incidents.js";
import { setMarked } from "./feedback.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */

/** Requests what is stored, and merges it with what the stream sends. */
export class SessionAnomalies {
  #sessionId = "";
  #onChange;
  /** @type {Map<string, AnomalyRecord>} */
  #byKey = new Map();
  #isLoading = false;
  /** When the session began and ended, if that is longer ago than a day. @type {Readonly<{fromMs: number, toMs: number | null}> | null} */
  #time = null;
  /** Why the stored anomalies are missing. @type {string | null} */
  error = null;
  /** Oldest first. @type {readonly AnomalyRecord[]} */
  all = [];

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  get isLoading() {
    return this.#isLoading;
  }

  /**
   * Begin with another session.
   * @param {string} sessionId
   */
  open(sessionId) {
    this.#sessionId = sessionId;
    this.#byKey.clear();
    this.all = [];
    this.error = null;
    this.#time = null;
  }

  /**
   * Set when the session began and ended; null: it is live. Without it, those of the last day are loaded.
   * @param {number} fromMs
   * @param {number | null} toMs
   */
  setTime(fromMs, toMs) {
    if (this.#time?.fromMs === fromMs && this.#time.toMs === toMs) return;
    this.#time = { fromMs, toMs };
    void this.load();
  }

  /** Request the stored anomalies, at first and after each interruption. */
  async load() {
    const sessionId = this.#sessionId;
    this.#isLoading = true;
    try {
      const { anomalies } = await fetchAnomalies(sessionId, this.#time);
      if (sessionId !== this.#sessionId) return;
      this.#keep(anomalies);
      this.error = null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (sessionId !== this.#sessionId) return;
      this.error = error.message;
    } finally {
      if (sessionId === this.#sessionId) {
        this.#isLoading = false;
        this.#sort();
        this.#onChange();
      }
    }
  }

  /**
   * Add what the stream has sent: all that are open, and some that are not.
   * @param {readonly AnomalyRecord[]} incidents
   */
  merge(incidents) {
    this.#keep(incidents);
    this.#sort();
  }

  /** @param {readonly AnomalyRecord[]} records */
  #keep(records) {
    for (const record of records) {
      this.#add(record);
      if (record.feedback?.verdict === "not_a_problem" && record.id !== undefined) setMarked(record.id);
    }
  }

  /**
   * Add an anomaly, or its end.
   * @param {AnomalyRecord} incident
   */
  #add(incident) {
    const key = keyOf(incident);
    const known = this.#byKey.get(key);
    if (known && (known.endedAt !== null || incident.endedAt === null)) return;
    this.#byKey.set(key, incident);
  }

  /**
   * Return those that are open, and those of the time since then, oldest first.
   * @param {number} sinceMs
   */
  since(sinceMs) {
    return this.all.filter((each) => isOpen(each) || (endMs(each) ?? beginMs(each)) > sinceMs);
  }

  #sort() {
    this.all = [...this.#byKey.values()].sort((a, b) => beginMs(a) - beginMs(b));
  }
}
