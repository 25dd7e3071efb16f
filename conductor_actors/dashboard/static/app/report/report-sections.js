/** The tables of a report: categories, polls, anomalies, what the conductor did, and sessions. */

import { nameOf, percentOf } from "../event/event-figures.js";
import { html, show } from "../element.js";
import { count, duration, percent, printable } from "../format.js";
import { typeName } from "../incidents.js";
import { comparison, interventionName, statusName, WINDOW_END_MS } from "../conductor/interventions.js";
import { categoryName, levelOf } from "../levels.js";
import { reportAddress, sessionAddress } from "../routes.js";
import { bar, linkTo, showRows } from "./report-table.js";

/** @import { Report, ReportedAnomaly, ReportedIntervention } from "../../types.d.ts" */
/** @import { Cell } from "./report-table.js" */

/** The categories and a score in each, the highest first. */
const CATEGORIES = /** @type {const} */ ([
  ["VERY_HIGH", 0.9],
  ["HIGH", 0.7],
  ["MODERATE", 0.5],
  ["LOW", 0.3],
  ["VERY_LOW", 0.1],
]);
const AROUND_MS = 120_000; // what the link to an anomaly or action shows before and after it

/**
 * @param {HTMLElement} root
 * @param {Report} report
 * @param {(atMs: number) => string} timeText
 */
export function showSections(root, report, timeText) {
  const sessions = new Map((report.sessions ?? []).map((session) => [session.sessionId, nameOf(session)]));
  const time = (/** @type {string} */ text) => timeText(Date.parse(text));
  /** @param {string} sessionId @param {string} at */
  const whenAndWhere = (sessionId, at) => [
    linkTo(sessionAddress(sessionId, around(at)), time(at)),
    sessions.get(sessionId) ?? printable(sessionId),
  ];
  showCategories(html(root, ".report-categories"), report);
  showChanges(root, report, whenAndWhere);
  showSessions(html(root, ".report-sessions"), report, time);
  // A report of one session need not name it in each row.
  for (const cell of root.querySelectorAll(".report-session")) {
    show(/** @type {HTMLElement} */ (cell), report.kind === "event");
  }
}

/**
 * Show polls, anomalies and what the conductor did.
 * @param {HTMLElement} root
 * @param {Report} report
 * @param {(sessionId: string, at: string) => Cell[]} whenAndWhere
 */
function showChanges(root, { polls, anomalies, interventions }, whenAndWhere) {
  showRows(
    html(root, ".report-polls"),
    polls.map(({ sessionId, at, participation }) => [
      ...whenAndWhere(sessionId, at),
      bar(0, participation, "accent", percent(participation)),
    ]),
  );
  showRows(
    html(root, ".report-anomalies"),
    anomalies.map((each) => [
      ...whenAndWhere(each.sessionId, each.startedAt),
      ...[typeName(each), lengthText(each), printable(each.reason ?? "")],
    ]),
  );
  showRows(
    html(root, ".report-interventions"),
    interventions.map((each) => [
      ...whenAndWhere(each.sessionId, each.at),
      ...[interventionName(each.type), each.type === "HOLD" ? "–" : statusName(each.status), outcomeOf(each)],
    ]),
  );
}

/**
 * @param {HTMLElement} section
 * @param {Report} report
 */
function showCategories(section, { categories }) {
  const total = Object.values(categories).reduce((sum, seconds) => sum + seconds, 0) || 1;
  showRows(
    section,
    CATEGORIES.map(([category, score]) => {
      const seconds = categories[category] ?? 0;
      const share = seconds / total;
      return [categoryName(category), bar(0, share, levelOf(score), percent(share)), duration(seconds * 1000)];
    }),
  );
}

/**
 * @param {HTMLElement} section
 * @param {Report} report
 * @param {(text: string) => string} time
 */
function showSessions(section, { sessions = [] }, time) {
  showRows(
    section,
    sessions.map((session) => [
      session.startedAt == null ? "–" : time(session.startedAt),
      linkTo(reportAddress("session", session.sessionId), nameOf(session)),
      session.state === "live" ? "Live" : session.durationS == null ? "–" : duration(session.durationS * 1000),
      percentOf(session.meanScore),
      percentOf(session.peakScore),
      session.peakUsers == null ? "–" : count(session.peakUsers),
    ]),
  );
}

/** @param {string} at */
function around(at) {
  return { fromMs: Date.parse(at) - AROUND_MS, toMs: Date.parse(at) + AROUND_MS };
}

/** @param {ReportedAnomaly} anomaly */
function lengthText({ startedAt, endedAt }) {
  return endedAt === null ? "Still open" : duration(Date.parse(endedAt) - Date.parse(startedAt));
}

/** @param {ReportedIntervention} intervention */
function outcomeOf(intervention) {
  const { outcome, type } = intervention;
  if (outcome === null) return "Not known yet.";
  const isDone = wasSentInTime(intervention);
  const begin = isDone || type === "HOLD" ? "" : "It was not done in time. ";
  const { engagement_before: before, engagement_after: after, reward } = outcome;
  if (typeof before !== "number" || typeof after !== "number") return `${begin}What followed could not be measured.`;
  const mean = `${begin}${percent(after)} on average from 30 to 120 s later, ${percent(before)} before`;
  return isDone && typeof reward === "number" ? `${mean}: ${comparison(reward, after)}.` : `${mean}.`;
}

/**
 * Whether it was before the end of the time that is measured: what followed may follow it.
 * @param {ReportedIntervention} intervention
 */
function wasSentInTime({ at, sentAt, status }) {
  return sentAt !== null && Date.parse(sentAt) < Date.parse(at) + WINDOW_END_MS && status !== "FAILED";
}
