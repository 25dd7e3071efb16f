/** Requests to the HTTP API. */

import { SERVICE_URL } from "./addresses.js";
import { savedToken } from "./token.js";

/** @import { Explanation, ScoreHistories } from "../types.d.ts" */

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
async function get(path) {
  const token = savedToken();
  /** @type {Record<string, string>} */
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`${SERVICE_URL}/api/v1/${path}`, { headers }).catch(() => null);
  if (response === null) throw new ApiError(0, "no response");
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const retryAfterMs = Number(response.headers.get("Retry-After")) * 1000;
  throw new ApiError(response.status, body?.error?.message ?? response.statusText, retryAfterMs);
}
