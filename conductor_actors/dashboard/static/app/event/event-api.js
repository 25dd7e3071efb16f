/** Requests for an event: its sessions and their curves. */

import { get } from "../api.js";

/**
 * @typedef {Readonly<{
 *   sessionId: string, eventId: string, title: string | null, eventTitle: string | null,
 *   speakers: readonly string[], state: "live" | "ended" | "planned",
 *   startedAt: string | null, endedAt: string | null, durationS: number | null,
 *   meanScore: number | null, peakScore: number | null, peakAt: string | null, peakUsers: number | null,
 * }>} SessionSummary
 */
/** @typedef {Readonly<{timestamp: string, score: number, totalUsers: number}>} EventPoint */
/** @typedef {SessionSummary & Readonly<{points: readonly EventPoint[]}>} EventSession */
/** @typedef {Readonly<{sessionId: string, at: string, before: number, after: number, change: number}>} Moment */
/** @typedef {Readonly<{rises: readonly Moment[], falls: readonly Moment[]}>} Moments */
/**
 * @typedef {Readonly<{
 *   eventId: string, title: string | null, startedAt: string, endedAt: string | null, step: string,
 *   sessions: readonly EventSession[], curve: readonly EventPoint[], moments: Moments,
 * }>} EventOverview
 */

/**
 * Fetch an event at a glance.
 * @param {string} eventId
 * @returns {Promise<EventOverview>}
 */
export function fetchEventOverview(eventId) {
  return get(`events/overview?event=${encodeURIComponent(eventId)}`);
}
