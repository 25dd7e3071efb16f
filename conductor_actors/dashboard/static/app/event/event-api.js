/** Requests for an event: its sessions and their curves. */

import { get } from "../api.js";

/** @import { EventOverview } from "../../types.d.ts" */

/**
 * Fetch an event at a glance.
 * @param {string} eventId
 * @returns {Promise<EventOverview>}
 */
export function fetchEventOverview(eventId) {
  return get(`events/overview?event=${encodeURIComponent(eventId)}`);
}
