/** The interventions of one session: those that are stored, and those that change meanwhile. */

import { ApiError, fetchInterventions } from "../api.js";
import { isNewer, readIntervention } from "../conductor/intervention-bodies.js";

/** @import { DecisionBody } from "../../types.d.ts" */
/** @import { Intervention } from "../conductor/intervention-bodies.js" */

/** Requests what is stored, and merges it with what the stream sends. */
export class SessionInterventions {
  #sessionId = "";
  #onChange;
  /** @type {Map<string, Intervention>} */
  #byId = new Map();
  #isLoading = true;
  /** Why the stored interventions are missing. @type {string | null} */
  #error = null;
  /** Oldest first. @type {readonly Intervention[]} */
  all = [];

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * Return what to say instead of a list, or above it; empty: nothing.
   * @param {boolean} isEnded
   */
  stateText(isEnded) {
    if (this.#error !== null) return `What is stored could not be loaded. Server response: ${this.#error}`;
    if (this.all.length > 0) return "";
    if (this.#isLoading) return "Loading …";
    return isEnded ? "It did nothing." : "Nothing yet. It acts, or suggests what to do, when engagement drops.";
  }

  /**
   * Begin with another session.
   * @param {string} sessionId
   */
  open(sessionId) {
    this.#sessionId = sessionId;
    this.#byId.clear();
    this.all = [];
    this.#error = null;
    this.#isLoading = true;
  }

  /** Request what is stored: at first, after each interruption, and after each decision. */
  async load() {
    const sessionId = this.#sessionId;
    try {
      const stored = await fetchInterventions(sessionId);
      if (sessionId !== this.#sessionId) return;
      this.merge(stored);
      this.#error = null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (sessionId !== this.#sessionId) return;
      this.#error = error.message;
    }
    this.#isLoading = false;
    this.#onChange();
  }

  /** @param {readonly DecisionBody[]} bodies */
  merge(bodies) {
    for (const body of bodies) {
      const read = readIntervention(body);
      const known = this.#byId.get(read.id);
      if (!known || isNewer(read, known)) this.#byId.set(read.id, read);
    }
    this.all = [...this.#byId.values()].sort((a, b) => a.atMs - b.atMs);
  }
}
