/** Requests for what is stored of sessions: which there were, what they are called, their curves. */

import { get, put } from "./api.js";

/** @import { AboutRequest, EventList, SessionTimeline, Titles } from "../types.d.ts" */

/** A session; the service sends every key. @typedef {Required<import("../types.d.ts").SessionSummary>} SessionSummary */
const MAX_POINTS = "500"; // 8 hours in steps of a minute have 481

/** @typedef {Readonly<{sessions: readonly SessionSummary[], next: string | null}>} SessionPage */

/** A time range. null: from the beginning, or until the end. @typedef {Readonly<{fromMs: number | null, toMs: number | null}>} Range */

/**
 * Fetch a page of the sessions that match, the newest first.
 * @param {URLSearchParams} query
 * @returns {Promise<SessionPage>}
 */
export function fetchSessions(query) {
  return get(`sessions?${query}`);
}

/**
 * Fetch the events whose id or title has this text, the newest first.
 * @param {string} search
 * @returns {Promise<EventList>}
 */
export function fetchEvents(search) {
  return get(`events?${new URLSearchParams(search === "" ? { limit: "20" } : { search, limit: "20" })}`);
}

/**
 * Fetch what is known of a session.
 * @param {string} sessionId
 * @returns {Promise<SessionSummary>}
 */
export function fetchAbout(sessionId) {
  return get(`sessions/${encodeURIComponent(sessionId)}/about`);
}

/**
 * Store what a session is called, who speaks, and when it is planned.
 * @param {string} sessionId
 * @param {AboutRequest} about
 * @returns {Promise<SessionSummary>}
 */
export function sendAbout(sessionId, about) {
  return put(`sessions/${encodeURIComponent(sessionId)}/about`, about);
}

/**
 * Fetch what live and planned sessions and their events are called.
 * @returns {Promise<Titles>}
 */
export function fetchTitles() {
  return get("titles");
}

/**
 * Fetch the scores of a session in a range, in steps.
 * @param {string} sessionId
 * @param {Range} range
 * @returns {Promise<SessionTimeline>}
 */
export function fetchTimeline(sessionId, { fromMs, toMs }) {
  const query = new URLSearchParams({ points: MAX_POINTS });
  if (fromMs !== null) query.set("from", new Date(fromMs).toISOString());
  if (toMs !== null) query.set("to", new Date(toMs).toISOString());
  return get(`sessions/${encodeURIComponent(sessionId)}/timeline?${query}`);
}
