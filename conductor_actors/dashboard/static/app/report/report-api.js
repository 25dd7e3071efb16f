/** Requests for reports. */

import { get } from "../api.js";

/** @import { Report } from "../../types.d.ts" */

/**
 * Fetch the report of a session or an event.
 * @param {"session" | "event"} kind
 * @param {string} id
 * @returns {Promise<Report>}
 */
export function fetchReport(kind, id) {
  const encoded = encodeURIComponent(id);
  return get(kind === "session" ? `sessions/${encoded}/report` : `events/report?event=${encoded}`);
}
