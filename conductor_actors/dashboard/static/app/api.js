/** The HTTP API: what is asked for once, not streamed. */

import { savedToken } from "./token.js";

/** @import { Explanation, History } from "../types.d.ts" */

/** An answer that is none. `status` is 0 when there was no answer at all. */
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
 * Give the latest score, signal by signal.
 * @param {string} sessionId
 * @returns {Promise<Explanation>}
 */
export function explanation(sessionId) {
  return get(`sessions/${encodeURIComponent(sessionId)}/explanation`);
}

/**
 * Give a session's stored points since then.
 * @param {string} sessionId
 * @param {Date} from
 * @returns {Promise<History>}
 */
export function history(sessionId, from) {
  return get(`sessions/${encodeURIComponent(sessionId)}/history?from=${from.toISOString()}`);
}

/** Tell whether the API wants another token than the one there is. */
export async function wantsToken() {
  try {
    await get("sessions");
    return false;
  } catch (error) {
    return error instanceof ApiError && error.status === 401;
  }
}

/** @param {string} path */
async function get(path) {
  const token = savedToken();
  /** @type {Record<string, string>} */
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  const response = await fetch(`/api/v1/${path}`, { headers }).catch(() => null);
  if (response === null) throw new ApiError(0, "no answer");
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  throw new ApiError(response.status, body?.error?.message ?? response.statusText);
}
