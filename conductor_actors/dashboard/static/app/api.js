/** Requests to the HTTP API. */

import { SERVICE_URL } from "./addresses.js";
import { savedToken } from "./token.js";

/** @import { AnomalyList, Explanation, ScoreHistories } from "../types.d.ts" */

/**
 * A failed request. `status` is 0 if there was no response, and `retryAfterMs` if the service
 * named no time.
 */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {number} retryAfterMs
   */
  constructor(status, message, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Fetch the contribution of each signal to the latest score.
 * @param {string} sessionId
 * @returns {Promise<Explanation>}
 */
export function fetchExplanation(sessionId) {
  return get(`sessions/${encodeURIComponent(sessionId)}/explanation`);
}

/**
 * Fetch the stored scores of several sessions from a time until before another.
 * @param {readonly string[]} sessionIds
 * @param {Date} from
 * @param {Date} to
 * @returns {Promise<ScoreHistories>}
 */
export function fetchHistories(sessionIds, from, to) {
  const sessions = sessionIds.map((id) => `session=${encodeURIComponent(id)}`).join("&");
  return get(`histories?from=${from.toISOString()}&to=${to.toISOString()}&${sessions}`);
}

/**
 * Fetch the newest anomalies of a session in the last day.
 * @param {string} sessionId
 * @returns {Promise<AnomalyList>}
 */
export function fetchAnomalies(sessionId) {
  return get(`anomalies?session=${encodeURIComponent(sessionId)}`);
}

/**
 * Fetch the open anomalies of all sessions.
 * @returns {Promise<AnomalyList>}
 */
export function fetchOpenAnomalies() {
  return get("anomalies?open=true");
}

/**
 * Store that an anomaly was not a problem.
 * @param {string} anomalyId
 */
export function sendFeedback(anomalyId) {
  return post(`anomalies/${encodeURIComponent(anomalyId)}/feedback`, { verdict: "not_a_problem" });
}

/**
 * Arrange quiet for a session until a time; null ends it.
 * @param {string} sessionId
 * @param {Date | null} until
 */
export function sendQuiet(sessionId, until) {
  return post(`sessions/${encodeURIComponent(sessionId)}/quiet`, { until: until?.toISOString() ?? null });
}

/**
 * Return why the API rejects the current token, or requires one; null: it does not.
 * @returns {Promise<string | null>}
 */
export async function tokenRejection() {
  try {
    await get("sessions");
    return null;
  } catch (error) {
    return error instanceof ApiError && error.status === 401 ? error.message : null;
  }
}

/** @param {string} path */
function get(path) {
  return send(path, {});
}

/**
 * @param {string} path
 * @param {object} body
 */
function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return send(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/**
 * @param {string} path
 * @param {{method?: string, headers?: Record<string, string>, body?: string}} request
 */
async function send(path, { headers = {}, ...request }) {
  const token = savedToken();
  if (token !== null) headers = { ...headers, Authorization: `Bearer ${token}` };
  const response = await fetch(`${SERVICE_URL}/api/v1/${path}`, { ...request, headers }).catch(() => null);
  if (response === null) throw new ApiError(0, "no response");
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const retryAfterMs = Number(response.headers.get("Retry-After")) * 1000;
  throw new ApiError(response.status, body?.error?.message ?? response.statusText, retryAfterMs);
}
