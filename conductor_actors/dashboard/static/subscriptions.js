/**
 * The subscriptions of `engagement-stream.js`: what each keeps, and the snapshots of its listener.
 */

/**
 * @import { Anomaly, AnomalyEnd, AnomalyRecord, DecisionBody, Update } from "./types.d.ts"
 * @import { Acknowledgement, ConnectionSnapshot, SessionSnapshot, SessionsSnapshot } from "./engagement-stream.js"
 */

/** The length of a session's window, and the maximum number of its points. */
export const WINDOW_MS = 300_000;
export const MAX_POINTS = 60;
const MAX_DECISIONS = 50;

/** A subscription to one session. */
export class SessionSubscription {
  event = "subscribe:engagement";
  #listener;
  #points = new PointWindow();
  #anomalies = new AnomalyWindow();
  /** @type {readonly DecisionBody[]} */
  #decisions = Object.freeze([]);
  /** @type {SessionSnapshot} */
  #snapshot;

  /**
   * @param {string} sessionId
   * @param {(session: SessionSnapshot) => void} listener
   * @param {ConnectionSnapshot} connection
   */
  constructor(sessionId, listener, connection) {
    this.sessionId = sessionId;
    this.request = { sessionId };
    this.#listener = listener;
    this.#snapshot = {
      ...{ sessionId, status: "loading", error: null, connection },
      ...{ points: [], latest: null, anomaly: null, anomalies: [], decisions: [] },
    };
    this.#change({});
  }

  onSubscribe() {}

  /** @param {Acknowledgement} acknowledgement */
  onAcknowledgement({ ok, error }) {
    // "ok" is followed by the history; only that makes the session `ready`.
    if (!ok) this.#change({ status: "refused", error: error ?? "refused" });
    else if (this.#snapshot.error !== null) this.#change({ status: "loading", error: null });
  }

  /**
   * @param {readonly Update[]} points
   * @param {readonly AnomalyRecord[]} anomalies
   * @param {readonly DecisionBody[]} decisions
   */
  onHistory(points, anomalies, decisions) {
    this.#anomalies.replace(anomalies);
    this.#addDecisions(decisions);
    this.#addPoints(points);
  }

  /** @param {Update} update */
  onUpdate(update) {
    this.#addPoints([update]);
  }

  /** @param {Anomaly} anomaly */
  onAnomaly(anomaly) {
    this.#anomalies.begin(anomaly);
    this.#change(this.#anomaliesNow());
  }

  /** @param {AnomalyEnd} end */
  onAnomalyEnd(end) {
    this.#anomalies.end(end);
    this.#change(this.#anomaliesNow());
  }

  /** @param {DecisionBody} decision as it is now */
  onDecision(decision) {
    this.#addDecisions([decision]);
    this.#change({ decisions: this.#decisions });
  }

  /** @param {ConnectionSnapshot} connection */
  onConnection(connection) {
    this.#change({ connection });
  }

  /** @param {readonly Update[]} added */
  #addPoints(added) {
    this.#points.merge(added);
    const { points, latest } = this.#points;
    const decisions = this.#decisions;
    this.#change({ status: "ready", error: null, points, latest, decisions, ...this.#anomaliesNow() });
  }

  /** @param {readonly DecisionBody[]} changed */
  #addDecisions(changed) {
    const byId = new Map(this.#decisions.map((each) => [each.id, each]));
    for (const each of changed) {
      byId.delete(each.id); // so that it moves to the end
      byId.set(each.id, Object.freeze(each));
    }
    this.#decisions = Object.freeze([...byId.values()].slice(-MAX_DECISIONS));
  }

  #anomaliesNow() {
    const { latest } = this.#points;
    if (latest) this.#anomalies.expire(timeOf(latest.timestamp) - WINDOW_MS);
    const { anomalies } = this.#anomalies;
    return { anomalies, anomaly: anomalies.at(-1) ?? null };
  }

  /** @param {Partial<SessionSnapshot>} changes */
  #change(changes) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...changes });
    notify(this.#listener, this.#snapshot);
  }
}

/** The newest points of a session: each once, oldest first, in whatever order they arrive. */
class PointWindow {
  /** @type {readonly Update[]} */
  points = Object.freeze([]);

  get latest() {
    return this.points.at(-1) ?? null;
  }

  /** @param {readonly Update[]} added */
  merge(added) {
    const byTime = new Map([...this.points, ...added].map((point) => [timeOf(point.timestamp), point]));
    const times = [...byTime.keys()].sort((a, b) => a - b);
    const newest = times.at(-1) ?? 0;
    const kept = times.slice(-MAX_POINTS).filter((at) => newest - at < WINDOW_MS);
    this.points = Object.freeze(
      kept.map((at) => /** @type {Update} */ (byTime.get(at))),
    );
  }
}

/** The anomalies of a session that are open, or ended within the window. */
class AnomalyWindow {
  /** By id; an anomaly of another publisher may have none. @type {Map<string, AnomalyRecord>} */
  #byId = new Map();
  /** Oldest first. @type {readonly AnomalyRecord[]} */
  anomalies = Object.freeze([]);

  /** @param {readonly AnomalyRecord[]} records */
  replace(records) {
    this.#byId = new Map(records.map((record) => [idOf(record), Object.freeze(record)]));
    this.#sort();
  }

  /** @param {Anomaly} anomaly */
  begin(anomaly) {
    const id = idOf(anomaly);
    if (this.#byId.has(id)) return;
    this.#byId.set(id, Object.freeze({ ...anomaly, endedAt: null, durationS: null, feedback: null }));
    this.#sort();
  }

  /** @param {AnomalyEnd} end */
  end({ id, timestamp, durationS }) {
    const record = this.#byId.get(id);
    if (!record) return;
    this.#byId.set(id, Object.freeze({ ...record, endedAt: timestamp, durationS }));
    this.#sort();
  }

  /**
   * Remove those that ended before a time, and those that have no id and began before it: their end
   * is not sent.
   * @param {number} beforeMs
   */
  expire(beforeMs) {
    for (const [key, { id, endedAt, timestamp }] of this.#byId) {
      const at = endedAt ?? (id === undefined ? timestamp : null);
      if (at !== null && timeOf(at) <= beforeMs) this.#byId.delete(key);
    }
    if (this.#byId.size !== this.anomalies.length) this.#sort();
  }

  #sort() {
    const sorted = [...this.#byId.values()];
    sorted.sort((a, b) => timeOf(a.timestamp) - timeOf(b.timestamp));
    this.anomalies = Object.freeze(sorted);
  }
}

/** @param {Anomaly} anomaly */
function idOf({ id, type, timestamp }) {
  return id ?? `${type} ${timestamp}`;
}

/** @param {string} timestamp */
function timeOf(timestamp) {
  return Date.parse(timestamp);
}

const NO_CHANGES = Object.freeze({ changed: [], anomalies: [], decisions: [], isWhole: false });

/** The subscription to the list of live sessions. It passes on changes; listeners keep the list. */
export class ListSubscription {
  event = "subscribe:sessions";
  request = {};
  #listener;
  #isNextWhole = true;
  /** @type {SessionsSnapshot} */
  #snapshot;

  /**
   * @param {(snapshot: SessionsSnapshot) => void} listener
   * @param {ConnectionSnapshot} connection
   */
  constructor(listener, connection) {
    this.#listener = listener;
    this.#snapshot = { status: "loading", error: null, ...NO_CHANGES, connection };
    this.#change({});
  }

  onSubscribe() {
    this.#isNextWhole = true;
  }

  /** @param {Acknowledgement} acknowledgement */
  onAcknowledgement({ ok, error }) {
    if (ok) this.#change({ status: "ready", error: null });
    else this.#change({ status: "refused", error: error ?? "refused" });
  }

  /**
   * @param {readonly Update[]} changed
   * @param {readonly AnomalyRecord[]} anomalies
   * @param {readonly DecisionBody[]} decisions
   */
  onUpdate(changed, anomalies, decisions) {
    const isWhole = this.#isNextWhole;
    this.#isNextWhole = false;
    this.#change({ status: "ready", error: null, changed, anomalies, decisions, isWhole });
  }

  /** @param {ConnectionSnapshot} connection */
  onConnection(connection) {
    this.#change({ connection });
  }

  /** @param {Partial<SessionsSnapshot>} changes */
  #change(changes) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...NO_CHANGES, ...changes });
    notify(this.#listener, this.#snapshot);
  }
}

/**
 * Call a listener. An error in it is reported and does not affect other listeners.
 * @template T
 * @param {(value: T) => void} listener
 * @param {T} value
 */
export function notify(listener, value) {
  try {
    listener(value);
  } catch (error) {
    reportError(error);
  }
}
