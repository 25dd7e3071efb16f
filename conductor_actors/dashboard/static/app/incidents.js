/** What anomalies are called, when they began, and how long they lasted. */

import { duration, time } from "./format.js";

/** @import { Anomaly, AnomalyRecord } from "../types.d.ts" */

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  SUDDEN_DROP: "Sudden drop",
  GRADUAL_DECLINE: "Gradual decline",
  LOW_ENGAGEMENT: "Low engagement",
  MASS_EXIT: "People leaving",
};
/** Of anomalies that are over, where the name differs. @type {Readonly<Record<string, string>>} */
const PAST_TYPES = { MASS_EXIT: "People left" };
/** @type {Readonly<Record<string, string>>} */
const SEVERITIES = { WARNING: "Warning", CRITICAL: "Critical" };

/**
 * Return the name of a type of anomaly.
 * @param {string} type
 */
export function incidentName(type) {
  return TYPES[type] ?? type;
}

/**
 * Return the name of an anomaly's type.
 * @param {Pick<AnomalyRecord, "type" | "endedAt">} incident
 */
export function typeName({ type, endedAt }) {
  return (endedAt !== null && PAST_TYPES[type]) || incidentName(type);
}

/** @param {Anomaly} anomaly */
export function severityName({ severity }) {
  return SEVERITIES[severity] ?? severity;
}

/**
 * Return the key of an anomaly: its id, if its publisher gave it one.
 * @param {Anomaly} anomaly
 */
export function keyOf({ id, sessionId, type, timestamp }) {
  return id ?? `${sessionId} ${type} ${timestamp}`;
}

/**
 * Return when an anomaly began, as estimated; else the tick that found it.
 * @param {Anomaly} anomaly
 */
export function beginMs({ onset, timestamp }) {
  const at = Date.parse(onset ?? timestamp);
  return Number.isNaN(at) ? Date.parse(timestamp) : at;
}

/** @param {AnomalyRecord} incident */
export function endMs({ endedAt }) {
  return endedAt === null ? null : Date.parse(endedAt);
}

/**
 * Whether an end is awaited: that of an anomaly without an id is not sent.
 * @param {AnomalyRecord} incident
 */
export function isOpen({ id, endedAt }) {
  return id !== undefined && endedAt === null;
}

/**
 * Return how long an anomaly has lasted since its estimated beginning, until its end or now.
 * @param {AnomalyRecord} incident
 * @param {number} nowMs
 */
export function lengthOf(incident, nowMs) {
  return duration((endMs(incident) ?? nowMs) - beginMs(incident));
}

/**
 * Return the time of an anomaly, from its beginning to its end.
 * @param {AnomalyRecord} incident
 */
export function span(incident) {
  const end = endMs(incident);
  const begin = time(beginMs(incident));
  return end === null ? `since ${begin}` : `${begin} – ${time(end)}`;
}
