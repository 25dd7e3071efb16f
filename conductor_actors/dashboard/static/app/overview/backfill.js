/** Fills the sparklines of visible rows with stored scores, many in one request. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { ApiError, fetchHistories } from "../api.js";

/** @import { ScoreHistory } from "../../types.d.ts" */
/** @import { Line } from "./session-board.js" */

const BATCH_DELAY_MS = 50; // to collect the rows that become visible while the user scrolls
const MAX_REQUESTS = 2; // at once
const MAX_SESSIONS = 25; // of a request: at a tick of 1 s they have 9,000 points, of 10,000 allowed
const MAX_IDS_CHARS = 4_000; // of a request: proxies refuse addresses of 8 KB
const PAUSE_MS = 60_000; // after a failure, unless the service names another time

/** Requests the history of each line once. A session without stored scores is not an error. */
export class Backfill {
  #requests = 0;
  #pausedUntil = 0;
  /** @type {Line[]} */
  #queue = [];
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #onFilled;

  /** @param {() => void} onFilled */
  constructor(onFilled) {
    this.#onFilled = onFilled;
  }

  /**
   * Fill these lines soon, instead of those that still wait.
   * @param {readonly Line[]} lines
   */
  fill(lines) {
    this.#queue = lines.filter((line) => !line.isBackfilled);
    if (this.#queue.length > 0) this.#timer ??= setTimeout(() => this.#send(), BATCH_DELAY_MS);
  }

  #send() {
    this.#timer = null;
    while (this.#requests < MAX_REQUESTS && this.#queue.length > 0 && Date.now() >= this.#pausedUntil) {
      void this.#fetch(this.#queue.splice(0, batchSize(this.#queue)));
    }
  }

  /** @param {readonly Line[]} lines */
  async #fetch(lines) {
    this.#requests += 1;
    for (const line of lines) line.isBackfilled = true;
    const times = lines.map((line) => line.at);
    const ids = lines.map((line) => line.latest.sessionId);
    const [from, to] = [new Date(Math.min(...times) - WINDOW_MS), new Date(Math.max(...times) + 1)];
    try {
      const { histories } = await fetchHistories(ids, from, to);
      const byId = new Map(histories.map((history) => [history.sessionId, history]));
      for (const line of lines) line.backfill(pointsOf(byId.get(line.latest.sessionId)));
      this.#onFilled();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      for (const line of lines) line.isBackfilled = false;
      this.#pausedUntil = Date.now() + (error.retryAfterMs || PAUSE_MS);
    } finally {
      this.#requests -= 1;
      this.#send();
    }
  }
}

/**
 * Return the number of lines that fit in a request, at least one.
 * @param {readonly Line[]} lines
 */
function batchSize(lines) {
  let chars = 0;
  const end = lines.findIndex(({ latest }, index) => {
    chars += encodeURIComponent(latest.sessionId).length;
    return index > 0 && (index === MAX_SESSIONS || chars > MAX_IDS_CHARS);
  });
  return end < 0 ? lines.length : end;
}

/** @param {ScoreHistory | undefined} history */
function pointsOf(history) {
  return history?.points.map(({ timestamp, score }) => ({ at: Date.parse(timestamp), score })) ?? [];
}
