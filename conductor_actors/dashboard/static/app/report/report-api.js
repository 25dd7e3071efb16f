/** Requests for reports. */

import { get } from "../api.js";

/** @import { LargestChanges, SessionSummary } from "../../types.d.ts" */

/** @typedef {Readonly<{sessionId: string, at: string, participation: number}>} ReportedPoll */
/**
 * @typedef {Readonly<{
 *   id: string, sessionId: string, type: string, severity: string,
 *   startedAt: string, endedAt: string | null, reason: string | null,
 * }>} ReportedAnomaly
 */
/**
 * @typedef {Readonly<{
 *   id: string, sessionId: string, type: string, status: string, at: string,
 *   outcome: Readonly<Record<string, any>> | null,
 * }>} ReportedIntervention
 */
/** @typedef {Readonly<{timestamp: string, score: number, min: number, max: number, totalUsers: number}>} ReportedPoint */
/** @typedef {Readonly<{mean: number, others: number | null, difference: number | null}>} Contribution */
/** @typedef {"chat" | "poll" | "activeUsers" | "reactions" | "leaveRate"} SignalName */
/**
 * @typedef {Readonly<{
 *   kind: "session" | "event", session?: SessionSummary,
 *   event?: Readonly<{eventId: string, title: string | null, sessions: number}>,
 *   state: "live" | "ended", startedAt: string, endedAt: string | null, durationS: number, ticks: number,
 *   meanScore: number, peakScore: number, peakAt: string, categories: Readonly<Record<string, number>>,
 *   peakUsers: number, messages: number, reactions: number, polls: readonly ReportedPoll[],
 *   anomalies: readonly ReportedAnomaly[], interventions: readonly ReportedIntervention[],
 *   curve: readonly ReportedPoint[], moments: LargestChanges,
 *   contributions: Readonly<Record<SignalName, Contribution>>, sessions?: readonly SessionSummary[],
 * }>} Report
 */

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
