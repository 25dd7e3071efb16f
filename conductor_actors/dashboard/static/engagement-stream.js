/**
 * Live engagement scores over Socket.IO, in one small client without a framework.
 *
 * It connects, subscribes, keeps a window of the last points for each session, says how the
 * connection is doing, and cleans up. Every `watch…` calls its listener at once and after each
 * change with a frozen snapshot, and returns the function that stops it.
 *
 *     const stream = new EngagementStream("http://localhost:3002", { token });
 *     const stop = stream.watchSession("keynote", ({ latest }) => console.log(latest?.score));
 *     stop();
 *     stream.close();
 */

import { io } from "./vendor/socket.io.esm.min.js";

/**
 * @import { Anomaly, EngagementHistory, SessionList, Update } from "./types.d.ts"
 */

/** @typedef {"connecting" | "live" | "reconnecting" | "disconnected"} Phase */

/**
 * How the connection is doing. `attempt` counts while reconnecting; `reason` says why there is
 * no connection, and `isRefused` that the server said no: it wants another token, or is full.
 * @typedef {Readonly<{phase: Phase, attempt: number, reason: string | null, isRefused: boolean}>}
 *   ConnectionSnapshot
 */

/**
 * One session as it is known now. `points` are the newest 60 of the last 5 minutes, oldest first;
 * `anomaly` is the last one, for as long as it is part of these 5 minutes. `status` is `ready`
 * once the server has answered with what it has, be it no point at all.
 * @typedef {Readonly<{
 *   sessionId: string,
 *   status: "loading" | "ready" | "refused",
 *   error: string | null,
 *   points: readonly Update[],
 *   latest: Update | null,
 *   anomaly: Anomaly | null,
 *   connection: ConnectionSnapshot,
 * }>} SessionSnapshot
 */

/**
 * What is new among all live sessions. `isWhole`: these are all of them; others are over.
 * @typedef {Readonly<{
 *   status: "loading" | "ready" | "refused",
 *   error: string | null,
 *   changed: readonly Update[],
 *   isWhole: boolean,
 *   connection: ConnectionSnapshot,
 * }>} SessionsNews
 */

/** @typedef {Readonly<{ok: boolean, error?: string}>} Acknowledgement */

/** @typedef {{token?: string | null, attempts?: number}} StreamOptions */

/** How far back a window reaches, and how many points it holds at most. */
export const WINDOW_MS = 300_000;
export const WINDOW_POINTS = 60;

const ANSWER_WITHIN_MS = 10_000;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 5_000;
const ATTEMPTS = 8; // about half a minute of them; then it says so, and goes on rarely
const RARELY_MS = 30_000;

/** @type {ConnectionSnapshot} */
const CONNECTING = Object.freeze({
  phase: "connecting",
  attempt: 0,
  reason: null,
  isRefused: false,
});

/** One connection, any number of watched sessions. */
export class EngagementStream {
  /** @type {import("socket.io-client").Socket} */
  #socket;
  /** @type {string | null} */
  #token;
  #attempts;
  #connection = CONNECTING;
  /** @type {Set<WatchedSession>} */
  #sessions = new Set();
  /** @type {WatchedList | null} */
  #list = null;
  /** @type {Set<(connection: ConnectionSnapshot) => void>} */
  #connectionListeners = new Set();
  #dismissals = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * Begin to connect.
   * @param {string} url where the service is; "" is where the page came from
   * @param {StreamOptions} [options] `attempts`: how many before it counts as disconnected
   */
  constructor(url = "", { token = null, attempts = ATTEMPTS } = {}) {
    this.#token = token;
    this.#attempts = attempts;
    this.#socket = io(`${url}/events`, {
      auth: (give) => give(this.#token === null ? {} : { token: this.#token }),
      forceNew: true,
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: FIRST_DELAY_MS,
      reconnectionDelayMax: LONGEST_DELAY_MS,
      reconnectionAttempts: attempts,
    });
    this.#listen();
    globalThis.addEventListener?.("online", this.#comeBack);
  }

  /** How the connection is doing now. */
  get connection() {
    return this.#connection;
  }

  /**
   * Follow the state of the connection.
   * @param {(connection: ConnectionSnapshot) => void} listener
   * @returns {() => void} stops it
   */
  watchConnection(listener) {
    this.#connectionListeners.add(listener);
    call(listener, this.#connection);
    return () => void this.#connectionListeners.delete(listener);
  }

  /**
   * Follow one session.
   * @param {string} sessionId
   * @param {(session: SessionSnapshot) => void} listener
   * @returns {() => void} stops it
   */
  watchSession(sessionId, listener) {
    const watched = new WatchedSession(sessionId, listener, this.#connection);
    this.#sessions.add(watched);
    this.#subscribe(watched);
    return () => {
      const wasThere = this.#sessions.delete(watched);
      if (wasThere && this.#watching(sessionId).length === 0 && this.#socket.connected) {
        this.#socket.emit("unsubscribe:engagement", { sessionId });
      }
    };
  }

  /**
   * Follow all live sessions; one listener at a time.
   * @param {(news: SessionsNews) => void} listener
   * @returns {() => void} stops it
   */
  watchSessions(listener) {
    const list = new WatchedList(listener, this.#connection);
    this.#list = list;
    this.#subscribe(list);
    return () => {
      if (this.#list !== list) return;
      this.#list = null;
      if (this.#socket.connected) this.#socket.emit("unsubscribe:sessions", {});
    };
  }

  /**
   * Connect again at once, and with another token if one is given.
   * @param {string | null} [token]
   */
  retry(token = this.#token) {
    this.#token = token;
    this.#attemptAfter(0, 1);
  }

  /** Close the connection and forget every listener. */
  close() {
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#comeBack);
    this.#connectionListeners.clear();
    this.#sessions.clear();
    this.#list = null;
    this.#socket.disconnect();
  }

  #listen() {
    const socket = this.#socket;
    socket.on("connect", () => this.#connected());
    socket.on("disconnect", (reason) => this.#lost(reason));
    socket.on("connect_error", (error) => this.#failed(error));
    socket.io.on("reconnect_attempt", (attempt) => this.#become("reconnecting", { attempt }));
    socket.io.on("reconnect_failed", () => this.#gaveUp());
    socket.on("engagement:history", (/** @type {EngagementHistory} */ history) => {
      this.#stayed();
      for (const one of this.#watching(history.sessionId)) one.history(history.points);
    });
    socket.on("engagement:update", (/** @type {Update} */ update) => {
      this.#stayed();
      for (const one of this.#watching(update.sessionId)) one.update(update);
    });
    socket.on("anomaly:detected", (/** @type {Anomaly} */ anomaly) => {
      for (const one of this.#watching(anomaly.sessionId)) one.anomaly(anomaly);
    });
    socket.on("sessions:update", (/** @type {SessionList} */ { sessions }) => {
      this.#stayed();
      this.#list?.update(sessions);
    });
  }

  /** @param {string} sessionId */
  #watching(sessionId) {
    return [...this.#sessions].filter((one) => one.sessionId === sessionId);
  }

  /** @returns {(WatchedSession | WatchedList)[]} */
  #all() {
    return this.#list ? [...this.#sessions, this.#list] : [...this.#sessions];
  }

  #connected() {
    clearTimeout(this.#timer);
    this.#become("live");
    for (const one of this.#all()) this.#subscribe(one);
  }

  /**
   * Ask for it, and again as long as there is no answer on a connection that seems fine.
   * @param {WatchedSession | WatchedList} one
   */
  #subscribe(one) {
    // What is emitted while there is no connection would be sent twice: "connect" subscribes.
    if (!this.#socket.connected) return;
    one.expectWhole();
    this.#socket
      .timeout(ANSWER_WITHIN_MS)
      .emit(one.event, one.request, (/** @type {unknown} */ late, /** @type {Acknowledgement} */ answer) => {
        if (!this.#all().includes(one)) return;
        if (late) this.#subscribe(one);
        else one.answered(answer);
      });
  }

  /** @param {string} reason */
  #lost(reason) {
    if (reason === "io client disconnect") return; // by `close` or `retry`
    if (reason !== "io server disconnect") {
      this.#become("reconnecting", { attempt: 1, reason });
      return;
    }
    // The server closed it: for the library that is final, but it may only be going down.
    this.#dismissals += 1;
    if (this.#dismissals > this.#attempts) {
      this.#gaveUp(reason);
      return;
    }
    const delay_ms = Math.min(FIRST_DELAY_MS * 2 ** this.#dismissals, LONGEST_DELAY_MS);
    this.#attemptAfter(delay_ms * (0.5 + Math.random()), this.#dismissals, reason);
  }

  /** Data came, so the server means to keep this connection. */
  #stayed() {
    this.#dismissals = 0;
  }

  /** @param {Error} error */
  #failed(error) {
    if (this.#socket.active) return; // it is tried again by itself
    this.#become("disconnected", { reason: error.message, isRefused: true });
    this.#tryRarely();
  }

  /** @param {string} [reason] */
  #gaveUp(reason = "no answer") {
    this.#become("disconnected", { reason });
    this.#tryRarely();
  }

  #tryRarely() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.connect(), RARELY_MS * (0.75 + Math.random() / 2));
  }

  /**
   * @param {number} delay_ms
   * @param {number} attempt
   * @param {string | null} [reason]
   */
  #attemptAfter(delay_ms, attempt, reason = null) {
    this.#become("reconnecting", { attempt, reason });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.disconnect().connect(), delay_ms);
  }

  #comeBack = () => {
    if (this.#connection.phase === "disconnected") this.retry();
  };

  /**
   * @param {Phase} phase
   * @param {Partial<ConnectionSnapshot>} [more]
   */
  #become(phase, more = {}) {
    this.#connection = Object.freeze({ ...CONNECTING, phase, ...more });
    for (const listener of [...this.#connectionListeners]) call(listener, this.#connection);
    for (const one of this.#all()) one.connection(this.#connection);
  }
}

/** One session that somebody looks at. */
class WatchedSession {
  event = "subscribe:engagement";
  #listener;
  #window = new PointWindow();
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
      ...{ points: [], latest: null, anomaly: null },
    };
    this.#change({});
  }

  expectWhole() {}

  /** @param {Acknowledgement} answer */
  answered(answer) {
    // An "ok" is followed by the history: until then there is nothing to be shown as empty.
    if (!answer.ok) this.#change({ status: "refused", error: answer.error ?? "refused" });
    else if (this.#snapshot.error !== null) this.#change({ status: "loading", error: null });
  }

  /** @param {readonly Update[]} points */
  history(points) {
    this.#window.merge(points);
    this.#moved();
  }

  /** @param {Update} update */
  update(update) {
    this.#window.merge([update]);
    this.#moved();
  }

  /** @param {Anomaly} anomaly */
  anomaly(anomaly) {
    this.#change({ anomaly });
  }

  /** @param {ConnectionSnapshot} connection */
  connection(connection) {
    this.#change({ connection });
  }

  #moved() {
    const { anomaly } = this.#snapshot;
    this.#change({
      status: "ready",
      error: null,
      points: this.#window.points,
      latest: this.#window.latest,
      anomaly: anomaly && this.#window.reaches(anomaly.timestamp) ? anomaly : null,
    });
  }

  /** @param {Partial<SessionSnapshot>} changes */
  #change(changes) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, ...changes });
    call(this.#listener, this.#snapshot);
  }
}

/** The newest points of a session, each once, oldest first, however they arrived. */
class PointWindow {
  /** @type {readonly Update[]} */
  points = Object.freeze([]);

  get latest() {
    return this.points.at(-1) ?? null;
  }

  /** @param {readonly Update[]} news */
  merge(news) {
    const byTime = new Map([...this.points, ...news].map((one) => [timeOf(one.timestamp), one]));
    const times = [...byTime.keys()].sort((a, b) => a - b);
    const newest = times.at(-1) ?? 0;
    const kept = times.slice(-WINDOW_POINTS).filter((at) => newest - at < WINDOW_MS);
    this.points = Object.freeze(
      kept.map((at) => /** @type {Update} */ (byTime.get(at))),
    );
  }

  /**
   * Tell whether that moment is not longer ago than the window is long.
   * @param {string} timestamp
   */
  reaches(timestamp) {
    return this.latest === null || timeOf(this.latest.timestamp) - timeOf(timestamp) < WINDOW_MS;
  }
}

/** @param {string} timestamp */
function timeOf(timestamp) {
  return Date.parse(timestamp);
}

/** The list of all live sessions, as news: who keeps it knows best how. */
class WatchedList {
  event = "subscribe:sessions";
  request = {};
  #listener;
  #expectsWhole = true;
  /** @type {SessionsNews} */
  #news;

  /**
   * @param {(news: SessionsNews) => void} listener
   * @param {ConnectionSnapshot} connection
   */
  constructor(listener, connection) {
    this.#listener = listener;
    this.#news = { status: "loading", error: null, changed: [], isWhole: false, connection };
    this.#tell({});
  }

  expectWhole() {
    this.#expectsWhole = true;
  }

  /** @param {Acknowledgement} answer */
  answered(answer) {
    if (answer.ok) this.#tell({ status: "ready", error: null });
    else this.#tell({ status: "refused", error: answer.error ?? "refused" });
  }

  /** @param {readonly Update[]} changed */
  update(changed) {
    const isWhole = this.#expectsWhole;
    this.#expectsWhole = false;
    this.#tell({ status: "ready", error: null, changed, isWhole });
  }

  /** @param {ConnectionSnapshot} connection */
  connection(connection) {
    this.#tell({ connection });
  }

  /** @param {Partial<SessionsNews>} changes */
  #tell(changes) {
    this.#news = Object.freeze({ ...this.#news, changed: [], isWhole: false, ...changes });
    call(this.#listener, this.#news);
  }
}

/**
 * Call a listener; its mistake is reported, and stops nobody else's news.
 * @template T
 * @param {(value: T) => void} listener
 * @param {T} value
 */
function call(listener, value) {
  try {
    listener(value);
  } catch (error) {
    reportError(error);
  }
}
