/** The live sessions of the list: their newest updates, their last 5 minutes, their order. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { TREND_MS } from "../charts/points.js";
import { eventTitleOf, titleOf } from "../titles.js";

/** @import { AnomalyRecord, Update } from "../../types.d.ts" */

/** @typedef {"worst" | "name"} Order */
/** @typedef {Readonly<{at: number, score: number}>} Point */

const SESSION_TIMEOUT_MS = 60_000; // a session without an update for longer is no longer live
const NAMES = new Intl.Collator("en", { numeric: true });

/** One session and the scores of its last 5 minutes, oldest first. */
export class Line {
  /** @type {Point[]} */
  points = [];
  /** The number of changes, which tells whether a row is outdated. */
  version = 0;
  isBackfilled = false;
  /** The open anomaly. @type {AnomalyRecord | null} */
  anomaly = null;
  /** Whether a suggestion of the conductor waits for a decision. */
  isWaiting = false;

  /** @param {Update} update */
  constructor(update) {
    this.latest = update;
    this.add(update);
  }

  /** What people know the session by. */
  get name() {
    return titleOf(this.latest.sessionId) ?? this.latest.sessionId;
  }

  /** The text that a search matches. */
  get searchText() {
    const { sessionId, eventId } = this.latest;
    return [sessionId, titleOf(sessionId), eventId, eventTitleOf(eventId)].join("\n").toLowerCase();
  }

  /** The time of the newest point. */
  get at() {
    return this.points.at(-1)?.at ?? 0;
  }

  /** The change of the score in the last minute; null without an earlier score. */
  get change() {
    const from = this.at - TREND_MS;
    const first = this.points.find((point) => point.at >= from);
    return first === undefined || first.at === this.at ? null : this.latest.score - first.score;
  }

  /** @param {Update} update */
  add(update) {
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
   * Add stored points before the first point and in gaps.
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

/** All live sessions by id. */
export class SessionBoard {
  /** @type {Map<string, Line>} */
  #lines = new Map();
  /** The open anomalies by session. @type {ReadonlyMap<string, AnomalyRecord>} */
  #anomalies = new Map();
  /** The sessions with a suggestion. @type {ReadonlySet<string>} */
  #waiting = new Set();
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
   * Apply updates. `isWhole`: remove sessions without an update.
   * @param {readonly Update[]} changed
   * @param {boolean} isWhole
   */
  update(changed, isWhole) {
    const previous = this.#lines;
    if (isWhole) this.#lines = new Map();
    for (const update of changed) {
      const line = previous.get(update.sessionId);
      if (line) {
        line.add(update);
        if (isWhole) line.isBackfilled = false; // updates may have been missed
      }
      const kept = line ?? new Line(update);
      this.#lines.set(update.sessionId, kept);
      this.newestAt = Math.max(this.newestAt, kept.at);
    }
    this.#mark();
    for (const [id, line] of this.#lines) {
      if (this.newestAt - line.at > SESSION_TIMEOUT_MS) this.#lines.delete(id);
    }
  }

  /**
   * Set the open anomalies.
   * @param {ReadonlyMap<string, AnomalyRecord>} bySession
   */
  setAnomalies(bySession) {
    this.#anomalies = bySession;
    this.#mark();
  }

  /**
   * Set the sessions in which a suggestion waits for a decision.
   * @param {ReadonlySet<string>} sessionIds
   */
  setWaiting(sessionIds) {
    this.#waiting = sessionIds;
    this.#mark();
  }

  /**
   * Return the lines that match a search, in an order.
   * @param {Order} order
   * @param {string} search
   * @param {boolean} [onlyAnomalies] only sessions with an open anomaly
   */
  sorted(order, search, onlyAnomalies = false) {
    const text = search.trim().toLowerCase();
    const found = [...this.#lines.values()].filter(
      (line) => line.searchText.includes(text) && (!onlyAnomalies || line.anomaly),
    );
    return found.sort(order === "worst" ? byNeed : byName);
  }

  #mark() {
    for (const [id, line] of this.#lines) {
      const anomaly = this.#anomalies.get(id) ?? null;
      const isWaiting = this.#waiting.has(id);
      if (anomaly === line.anomaly && isWaiting === line.isWaiting) continue;
      line.anomaly = anomaly;
      line.isWaiting = isWaiting;
      line.version += 1;
    }
  }
}

/**
 * @param {Line} a
 * @param {Line} b
 */
function byName(a, b) {
  return NAMES.compare(a.name, b.name) || NAMES.compare(a.latest.sessionId, b.latest.sessionId);
}

/**
 * What waits for a decision comes first, then open anomalies, the critical ones before the others,
 * then the lowest scores.
 * @param {Line} a
 * @param {Line} b
 */
function byNeed(a, b) {
  return need(b) - need(a) || a.latest.score - b.latest.score || byName(a, b);
}

/** @param {Line} line */
function need({ anomaly, isWaiting }) {
  if (isWaiting) return 3;
  if (anomaly === null) return 0;
  return anomaly.severity === "CRITICAL" ? 2 : 1;
}
