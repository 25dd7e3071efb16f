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

import { ListSubscription, notify, SessionSubscription } from "./subscriptions.js";
import { io } from "./vendor/socket.io.esm.min.js";

export { MAX_POINTS, WINDOW_MS } from "./subscriptions.js";

/**
 * @import { Anomaly, AnomalyEnd, AnomalyRecord, DecisionBody } from "./types.d.ts"
 * @import { EngagementHistory, SessionEvent, SessionList, Update } from "./types.d.ts"
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
 * `anomalies` are those that are open or ended in these 5 minutes, and `anomaly` is the latest.
 * `decisions` are the interventions that are open or have changed lately, each as it is now, the last
 * one that changed at the end. `status` is `ready` once the server has sent the session's history, which may be empty.
 * @typedef {Readonly<{
 *   sessionId: string,
 *   status: "loading" | "ready" | "refused",
 *   error: string | null,
 *   points: readonly Update[],
 *   latest: Update | null,
 *   anomaly: AnomalyRecord | null,
 *   anomalies: readonly AnomalyRecord[],
 *   decisions: readonly DecisionBody[],
 *   connection: ConnectionSnapshot,
 * }>} SessionSnapshot
 */

/**
 * A change of the list of live sessions. `isWhole`: `changed` lists all live sessions; sessions
 * that it does not list are over. `anomalies` and `decisions` are all open ones of the sessions in
 * `changed`.
 * @typedef {Readonly<{
 *   status: "loading" | "ready" | "refused",
 *   error: string | null,
 *   changed: readonly Update[],
 *   anomalies: readonly AnomalyRecord[],
 *   decisions: readonly DecisionBody[],
 *   isWhole: boolean,
 *   connection: ConnectionSnapshot,
 * }>} SessionsSnapshot
 */

/** @typedef {Readonly<{ok: boolean, error?: string}>} Acknowledgement */

/** @typedef {{token?: string | null, attempts?: number}} StreamOptions */

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
      const { sessionId, points, anomalies = [], decisions = [] } = history;
      for (const each of this.#subscriptionsTo(sessionId)) each.onHistory(points, anomalies, decisions);
    });
    socket.on("engagement:update", (/** @type {Update} */ update) => {
      this.#onData();
      for (const each of this.#subscriptionsTo(update.sessionId)) each.onUpdate(update);
    });
    socket.on("anomaly:detected", (/** @type {Anomaly} */ anomaly) => {
      for (const each of this.#subscriptionsTo(anomaly.sessionId)) each.onAnomaly(anomaly);
    });
    socket.on("anomaly:ended", (/** @type {AnomalyEnd} */ end) => {
      for (const each of this.#subscriptionsTo(end.sessionId)) each.onAnomalyEnd(end);
    });
    socket.on("agent.decision", (/** @type {SessionEvent} */ { session_id: sessionId, data }) => {
      const decision = /** @type {DecisionBody} */ (/** @type {unknown} */ (data));
      for (const each of this.#subscriptionsTo(sessionId)) each.onDecision(decision);
    });
    socket.on("sessions:update", (/** @type {SessionList} */ { sessions, anomalies = [], decisions = [] }) => {
      this.#onData();
      this.#list?.onUpdate(sessions, anomalies, decisions);
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
