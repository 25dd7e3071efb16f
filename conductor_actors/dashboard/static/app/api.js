/** Requests to the HTTP API. */

import { SERVICE_URL } from "./addresses.js";
import { savedToken } from "./token.js";

/** @import { Explanation, History } from "../types.d.ts" */

/** A failed request. `status` is 0 if there was no response. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
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
 * Fetch a session's stored scores since a time.
 * @param {string} sessionId
 * @param {Date} from
 * @returns {Promise<History>}
 */
export function fetchHistory(sessionId, from) {
  return get(`sessions/${encodeURIComponent(sessionId)}/history?from=${from.toISOString()}`);
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
  throw new ApiError(response.status, body?.error?.message ?? response.statusText);
}
