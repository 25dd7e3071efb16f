/** The live sessions as a list shows them: their newest update, their last minutes, their order. */

/** @import { Update } from "../types.d.ts" */

/** @typedef {"worst" | "name"} Order */
/** @typedef {Readonly<{at: number, score: number}>} Point */

const WINDOW_MS = 300_000;
const TREND_MS = 60_000;
const SILENT_MS = 60_000; // who has had no update for so long is no longer live
const NAMES = new Intl.Collator("en", { numeric: true });

/** One session and the scores of its last 5 minutes, oldest first. */
export class Line {
  /** @type {Point[]} */
  points = [];
  /** Counts the changes, so that one knows whether to draw it again. */
  version = 0;
  isBackfilled = false;

  /** @param {Update} update */
  constructor(update) {
    this.latest = update;
    this.take(update);
  }

  /** What a search looks at. */
  get words() {
    return `${this.latest.sessionId}\n${this.latest.eventId}`.toLowerCase();
  }

  get at() {
    return this.points.at(-1)?.at ?? 0;
  }

  /** By how much the score has changed in the last minute; null without an earlier one. */
  get trend() {
    const from = this.at - TREND_MS;
    const first = this.points.find((point) => point.at >= from);
    return first === undefined || first.at === this.at ? null : this.latest.score - first.score;
  }

  /** @param {Update} update */
  take(update) {
    const at = Date.parse(update.timestamp);
    if (at <= this.at) return;
    this.latest = update;
    this.points.push({ at, score: update.score });
    while (this.points.length > 0 && at - (this.points[0]?.at ?? at) >= WINDOW_MS) {
      this.points.shift();
    }
    this.version += 1;
  }

  /**
   * Add what was before the first point, or in a hole.
   * @param {readonly Point[]} stored
   */
  backfill(stored) {
    this.isBackfilled = true;
    const byTime = new Map([...stored, ...this.points].map((point) => [point.at, point]));
    const newest = this.at;
    this.points = [...byTime.values()]
      .filter((point) => point.at <= newest && newest - point.at < WINDOW_MS)
      .sort((a, b) => a.at - b.at);
    this.version += 1;
  }
}

/** All of them, by id. */
export class SessionBoard {
  /** @type {Map<string, Line>} */
  #lines = new Map();
  /** The time of the newest update. */
  newestAt = 0;

  get size() {
    return this.#lines.size;
  }

  /** @returns {Iterable<Line>} */
  get lines() {
    return this.#lines.values();
  }

  /**
   * Take what is new; `isWhole`: who is not in it is over.
   * @param {readonly Update[]} changed
   * @param {boolean} isWhole
   */
  take(changed, isWhole) {
    const before = this.#lines;
    if (isWhole) this.#lines = new Map();
    for (const update of changed) {
      const line = before.get(update.sessionId);
      if (line) {
        line.take(update);
        if (isWhole) line.isBackfilled = false; // nobody listened for a while
      }
      const kept = line ?? new Line(update);
      this.#lines.set(update.sessionId, kept);
      this.newestAt = Math.max(this.newestAt, kept.at);
    }
    for (const [id, line] of this.#lines) {
      if (this.newestAt - line.at > SILENT_MS) this.#lines.delete(id);
    }
  }

  /**
   * Give the lines that match, in that order.
   * @param {Order} order
   * @param {string} search
   */
  sorted(order, search) {
    const wanted = search.trim().toLowerCase();
    const found = [...this.#lines.values()].filter((line) => line.words.includes(wanted));
    return found.sort(order === "worst" ? byScore : byName);
  }
}

/**
 * @param {Line} a
 * @param {Line} b
 */
function byName(a, b) {
  return NAMES.compare(a.latest.sessionId, b.latest.sessionId);
}

/**
 * @param {Line} a
 * @param {Line} b
 */
function byScore(a, b) {
  return a.latest.score - b.latest.score || byName(a, b);
}
