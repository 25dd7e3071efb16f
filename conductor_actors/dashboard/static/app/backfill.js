/** Fills sparklines with what is stored, for the rows that are seen, a few at a time. */

import { ApiError, history } from "./api.js";

/** @import { Line } from "./session-board.js" */

const AT_ONCE = 3;
const WINDOW_MS = 300_000;
const REST_MS = 60_000; // after a failure, so that a struggling service is left alone

/** Asks once per line; a service without stored points is no error here. */
export class Backfill {
  #running = 0;
  #restsUntil = 0;
  /** @type {Line[]} */
  #queue = [];
  #onFilled;

  /** @param {() => void} onFilled */
  constructor(onFilled) {
    this.#onFilled = onFilled;
  }

  /**
   * Want these lines filled, and no others any more.
   * @param {readonly Line[]} lines
   */
  want(lines) {
    this.#queue = lines.filter((line) => !line.isBackfilled);
    while (this.#running < AT_ONCE && this.#queue.length > 0 && Date.now() >= this.#restsUntil) {
      void this.#fill(/** @type {Line} */ (this.#queue.shift()));
    }
  }

  /** @param {Line} line */
  async #fill(line) {
    this.#running += 1;
    line.isBackfilled = true;
    try {
      const stored = await history(line.latest.sessionId, new Date(line.at - WINDOW_MS));
      line.backfill(stored.points.map((one) => ({ at: Date.parse(one.timestamp), score: one.score })));
      this.#onFilled();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 404) this.#rest(line);
    } finally {
      this.#running -= 1;
      this.want(this.#queue);
    }
  }

  /** @param {Line} line */
  #rest(line) {
    line.isBackfilled = false;
    this.#restsUntil = Date.now() + REST_MS;
  }
}
