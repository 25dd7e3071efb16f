/** Fills the sparklines of visible rows with stored scores, a few requests at a time. */

import { WINDOW_MS } from "../engagement-stream.js";
import { ApiError, fetchHistory } from "./api.js";

/** @import { Line } from "./session-board.js" */

const MAX_REQUESTS = 3;
const PAUSE_MS = 60_000; // after a failure, to reduce the load of the service

/** Requests the history of each line once. A session without stored scores is not an error. */
export class Backfill {
  #requests = 0;
  #pausedUntil = 0;
  /** @type {Line[]} */
  #queue = [];
  #onFilled;

  /** @param {() => void} onFilled */
  constructor(onFilled) {
    this.#onFilled = onFilled;
  }

  /**
   * Fill these lines, instead of those that still wait.
   * @param {readonly Line[]} lines
   */
  fill(lines) {
    this.#queue = lines.filter((line) => !line.isBackfilled);
    while (this.#requests < MAX_REQUESTS && this.#queue.length > 0 && Date.now() >= this.#pausedUntil) {
      void this.#fetch(/** @type {Line} */ (this.#queue.shift()));
    }
  }

  /** @param {Line} line */
  async #fetch(line) {
    this.#requests += 1;
    line.isBackfilled = true;
    try {
      const stored = await fetchHistory(line.latest.sessionId, new Date(line.at - WINDOW_MS));
      line.backfill(stored.points.map(({ timestamp, score }) => ({ at: Date.parse(timestamp), score })));
      this.#onFilled();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 404) this.#pause(line);
    } finally {
      this.#requests -= 1;
      this.fill(this.#queue);
    }
  }

  /** @param {Line} line */
  #pause(line) {
    line.isBackfilled = false;
    this.#pausedUntil = Date.now() + PAUSE_MS;
  }
}
