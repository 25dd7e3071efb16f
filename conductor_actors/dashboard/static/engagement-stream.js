/**
 * A client for live engagement scores over Socket.IO, without a framework.
 *
 * It connects, subscribes, keeps the last points of each session, reports the state of the
 * connection, and cleans up. Each `watch…` method calls its listener immediately and after each
 * change, with a frozen snapshot. It returns the function that stops watching.
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
 * The state of the connection. `attempt` is the number of the current attempt to reconnect.
 * `reason` says why there is no connection. `isRefused`: the server requires another token, is at
 * its connection limit, or does not allow this page.
 * @typedef {Readonly<{phase: Phase, attempt: number, reason: string | null, isRefused: boolean}>}
 *   ConnectionSnapshot
 */

/**
 * The state of one session. `points` are the newest 60 of the last 5 minutes, oldest first.
 * `anomaly` is the latest anomaly of these 5 minutes. `status` is `ready` once the server has sent
 * the session's history, which may be empty.
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
 * A change of the list of live sessions. `isWhole`: `changed` lists all live sessions; sessions
 * that it does not list are over.
 * @typedef {Readonly<{
 *   status: "loading" | "ready" | "refused",
 *   error: string | null,
 *   changed: readonly Update[],
 *   isWhole: boolean,
 *   connection: ConnectionSnapshot,
 * }>} SessionsSnapshot
 */

/** @typedef {Readonly<{ok: boolean, error?: string}>} Acknowledgement */

/** @typedef {{token?: string | null, attempts?: number}} StreamOptions */

/** The length of a session's window, and the maximum number of its points. */
export const WINDOW_MS = 300_000;
export const MAX_POINTS = 60;

const ACKNOWLEDGEMENT_TIMEOUT_MS = 10_000;
const MIN_RECONNECT_DELAY_MS = 500;
const MAX_RECONNECT_DELAY_MS = 5_000;
const MAX_ATTEMPTS = 8; // about half a minute; then the phase is "disconnected"
const DISCONNECTED_RETRY_MS = 30_000;
const REFUSAL_STATUSES = [401, 403, 429]; // to repeat the request at once is of no use

/** @type {ConnectionSnapshot} */
const CONNECTING = Object.freeze({
  phase: "connecting",
  attempt: 0,
  reason: null,
  isRefused: false,
});

/** One connection to the service, and any number of watched sessions. */
export class EngagementStream {
  /** @type {import("socket.io-client").Socket} */
  #socket;
  /** @type {string | null} */
  #token;
  #attempts;
  #connection = CONNECTING;
  /** @type {Set<SessionSubscription>} */
  #sessions = new Set();
  /** @type {ListSubscription | null} */
  #list = null;
  /** @type {Set<(connection: ConnectionSnapshot) => void>} */
  #connectionListeners = new Set();
  #serverDisconnects = 0;
  /** Why the last attempt failed. @type {string | null} */
  #failure = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * Start to connect.
   * @param {string} url the address of the service, which may have a path; "" is the origin of the page
   * @param {StreamOptions} [options] `attempts`: failed attempts until the phase is `disconnected`
   */
  constructor(url = "", { token = null, attempts = MAX_ATTEMPTS } = {}) {
    this.#token = token;
    this.#attempts = attempts;
    const { origin, pathname } = new URL(url || "/", globalThis.location?.href);
    this.#socket = io(`${origin}/events`, {
      path: `${pathname.replace(/\/+$/, "")}/socket.io`,
      auth: (send) => send(this.#token === null ? {} : { token: this.#token }),
      forceNew: true,
      transports: ["websocket", "polling"],
      tryAllTransports: true,
      reconnectionDelay: MIN_RECONNECT_DELAY_MS,
      reconnectionDelayMax: MAX_RECONNECT_DELAY_MS,
      reconnectionAttempts: attempts,
    });
    this.#listen();
    globalThis.addEventListener?.("online", this.#onOnline);
  }

  /** The state of the connection. */
  get connection() {
    return this.#connection;
  }

  /**
   * Watch the state of the connection.
   * @param {(connection: ConnectionSnapshot) => void} listener
   * @returns {() => void} stops watching
   */
  watchConnection(listener) {
    this.#connectionListeners.add(listener);
    notify(listener, this.#connection);
    return () => void this.#connectionListeners.delete(listener);
  }

  /**
   * Watch one session.
   * @param {string} sessionId
   * @param {(session: SessionSnapshot) => void} listener
   * @returns {() => void} stops watching
   */
  watchSession(sessionId, listener) {
    const subscription = new SessionSubscription(sessionId, listener, this.#connection);
    this.#sessions.add(subscription);
    this.#subscribe(subscription);
    return () => {
      const wasActive = this.#sessions.delete(subscription);
      if (wasActive && this.#subscriptionsTo(sessionId).length === 0 && this.#socket.connected) {
        this.#socket.emit("unsubscribe:engagement", { sessionId });
      }
    };
  }

  /**
   * Watch all live sessions. Replaces the previous listener.
   * @param {(snapshot: SessionsSnapshot) => void} listener
   * @returns {() => void} stops watching
   */
  watchSessions(listener) {
    const list = new ListSubscription(listener, this.#connection);
    this.#list = list;
    this.#subscribe(list);
    return () => {
      if (this.#list !== list) return;
      this.#list = null;
      if (this.#socket.connected) this.#socket.emit("unsubscribe:sessions", {});
    };
  }

  /**
   * Reconnect immediately, with the new token if one is given.
   * @param {string | null} [token]
   */
  retry(token = this.#token) {
    this.#token = token;
    this.#reconnectAfter(0, 1);
  }

  /** Stop watching everything and disconnect. */
  close() {
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#onOnline);
    this.#connectionListeners.clear();
    this.#sessions.clear();
    this.#list = null;
    this.#socket.disconnect();
  }

  #listen() {
    const socket = this.#socket;
    socket.on("connect", () => this.#onConnect());
    socket.on("disconnect", (reason) => this.#onDisconnect(reason));
    socket.on("connect_error", (error) => this.#onConnectError(error));
    socket.io.on("reconnect_attempt", (attempt) => this.#setPhase("reconnecting", { attempt }));
    socket.io.on("reconnect_failed", () => this.#onAttemptsExhausted());
    socket.on("engagement:history", (/** @type {EngagementHistory} */ history) => {
      this.#onData();
      for (const each of this.#subscriptionsTo(history.sessionId)) each.onHistory(history.points);
    });
    socket.on("engagement:update", (/** @type {Update} */ update) => {
      this.#onData();
      for (const each of this.#subscriptionsTo(update.sessionId)) each.onUpdate(update);
    });
    socket.on("anomaly:detected", (/** @type {Anomaly} */ anomaly) => {
      for (const each of this.#subscriptionsTo(anomaly.sessionId)) each.onAnomaly(anomaly);
    });
    socket.on("sessions:update", (/** @type {SessionList} */ { sessions }) => {
      this.#onData();
      this.#list?.onUpdate(sessions);
    });
  }

  /** @param {string} sessionId */
  #subscriptionsTo(sessionId) {
    return [...this.#sessions].filter((each) => each.sessionId === sessionId);
  }

  /** @returns {(SessionSubscription | ListSubscription)[]} */
  #subscriptions() {
    return this.#list ? [...this.#sessions, this.#list] : [...this.#sessions];
  }

  #onConnect() {
    clearTimeout(this.#timer);
    this.#failure = null;
    this.#setPhase("live");
    for (const each of this.#subscriptions()) this.#subscribe(each);
  }

  /**
   * Send the request to subscribe. Repeat it until it is acknowledged or the connection is lost.
   * @param {SessionSubscription | ListSubscription} subscription
   */
  #subscribe(subscription) {
    // The library sends later what is emitted while disconnected, and `#onConnect` subscribes, too.
    if (!this.#socket.connected) return;
    subscription.onSubscribe();
    this.#socket.timeout(ACKNOWLEDGEMENT_TIMEOUT_MS).emit(
      subscription.event,
      subscription.request,
      (/** @type {unknown} */ timeout, /** @type {Acknowledgement} */ acknowledgement) => {
        if (!this.#subscriptions().includes(subscription)) return;
        if (timeout) this.#subscribe(subscription);
        else subscription.onAcknowledgement(acknowledgement);
      },
    );
  }

  /** @param {string} reason */
  #onDisconnect(reason) {
    if (reason === "io client disconnect") return; // by `close` or `retry`
    if (reason !== "io server disconnect") {
      this.#setPhase("reconnecting", { attempt: 1, reason });
      return;
    }
    // The library does not reconnect when the server disconnects, but the server may be restarting.
    this.#serverDisconnects += 1;
    if (this.#serverDisconnects > this.#attempts) {
      this.#failure = "the server closes the connection";
      this.#onAttemptsExhausted();
      return;
    }
    const delayMs = Math.min(MIN_RECONNECT_DELAY_MS * 2 ** this.#serverDisconnects, MAX_RECONNECT_DELAY_MS);
    this.#reconnectAfter(delayMs * (0.5 + Math.random()), this.#serverDisconnects, reason);
  }

  /** Data was received, so the server accepts this connection. */
  #onData() {
    this.#serverDisconnects = 0;
  }

  /** @param {Error} error */
  #onConnectError(error) {
    const response = httpResponse(error);
    this.#failure = response?.reason ?? null;
    const isRefusal = response !== null && REFUSAL_STATUSES.includes(response.status);
    if (this.#socket.active && !isRefusal) return; // the library reconnects
    if (isRefusal) this.#socket.disconnect(); // so that it does not
    this.#setPhase("disconnected", { reason: this.#failure ?? error.message, isRefused: true });
    this.#scheduleRetry();
  }

  #onAttemptsExhausted() {
    this.#setPhase("disconnected", { reason: this.#failure ?? "no response" });
    this.#scheduleRetry();
  }

  #scheduleRetry() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.connect(), DISCONNECTED_RETRY_MS * (0.75 + Math.random() / 2));
  }

  /**
   * @param {number} delayMs
   * @param {number} attempt
   * @param {string | null} [reason]
   */
  #reconnectAfter(delayMs, attempt, reason = null) {
    this.#setPhase("reconnecting", { attempt, reason });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#socket.disconnect().connect(), delayMs);
  }

  #onOnline = () => {
    if (this.#connection.phase === "disconnected") this.retry();
  };

  /**
   * @param {Phase} phase
   * @param {Partial<ConnectionSnapshot>} [details]
   */
  #setPhase(phase, details = {}) {
    this.#connection = Object.freeze({ ...CONNECTING, phase, ...details });
    for (const listener of [...this.#connectionListeners]) notify(listener, this.#connection);
    for (const each of this.#subscriptions()) each.onConnection(this.#connection);
  }
}

/**
 * Return the response to an attempt to connect; null: the error is not a response by HTTP.
 * @param {Error & {description?: unknown, context?: unknown}} error
 * @returns {{status: number, reason: string} | null}
 */
function httpResponse({ description: status, context }) {
  if (typeof status !== "number" || status === 0) return null;
  try {
    const body = JSON.parse(/** @type {{responseText: string}} */ (context).responseText);
    return { status, reason: String(body.error.message) };
  } catch {
    return { status, reason: `HTTP status ${status}` };
  }
}

/** A subscription to one session. */
class SessionSubscription {
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

  onSubscribe() {}

  /** @param {Acknowledgement} acknowledgement */
  onAcknowledgement({ ok, error }) {
    // "ok" is followed by the history; only that makes the session `ready`.
    if (!ok) this.#change({ status: "refused", error: error ?? "refused" });
    else if (this.#snapshot.error !== null) this.#change({ status: "loading", error: null });
  }

  /** @param {readonly Update[]} points */
  onHistory(points) {
    this.#window.merge(points);
    this.#onPoints();
  }

  /** @param {Update} update */
  onUpdate(update) {
    this.#window.merge([update]);
    this.#onPoints();
  }

  /** @param {Anomaly} anomaly */
  onAnomaly(anomaly) {
    this.#change({ anomaly });
  }

  /** @param {ConnectionSnapshot} connection */
  onConnection(connection) {
    this.#change({ connection });
  }

  #onPoints() {
    const { anomaly } = this.#snapshot;
    this.#change({
      status: "ready",
      error: null,
      points: this.#window.points,
      latest: this.#window.latest,
      anomaly: anomaly && this.#window.covers(anomaly.timestamp) ? anomaly : null,
    });
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

  /**
   * Return whether a time is within the window.
   * @param {string} timestamp
   */
  covers(timestamp) {
    return this.latest === null || timeOf(this.latest.timestamp) - timeOf(timestamp) < WINDOW_MS;
  }
}

/** @param {string} timestamp */
function timeOf(timestamp) {
  return Date.parse(timestamp);
}

/** The subscription to the list of live sessions. It passes on changes; listeners keep the list. */
class ListSubscription {
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
    this.#snapshot = { status: "loading", error: null, changed: [], isWhole: false, connection };
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

  /** @param {readonly Update[]} changed */
  onUpdate(changed) {
    const isWhole = this.#isNextWhole;
    this.#isNextWhole = false;
    this.#change({ status: "ready", error: null, changed, isWhole });
  }

  /** @param {ConnectionSnapshot} connection */
  onConnection(connection) {
    this.#change({ connection });
  }

  /** @param {Partial<SessionsSnapshot>} changes */
  #change(changes) {
    this.#snapshot = Object.freeze({ ...this.#snapshot, changed: [], isWhole: false, ...changes });
    notify(this.#listener, this.#snapshot);
  }
}

/**
 * Call a listener. An error in it is reported and does not affect other listeners.
 * @template T
 * @param {(value: T) => void} listener
 * @param {T} value
 */
function notify(listener, value) {
  try {
    listener(value);
  } catch (error) {
    reportError(error);
  }
}
