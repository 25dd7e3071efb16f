/** Interventions as the page uses them, read from the bodies of the service. */

/** @import { DecisionBody, InterventionMetadata, OutcomeBody } from "../../types.d.ts" */

const MICRO = 1_000_000; // probabilities are sent in millionths

/**
 * What followed: the mean score 30 to 120 s after the decision. `after` is null if it could not be
 * measured, and `reward` if what doing nothing gives is not known.
 * @typedef {Readonly<{
 *   before: number, after: number | null, reward: number | null, censored: string | null,
 * }>} Outcome
 */

/**
 * The random choice that led to an intervention: the chances of the types that were allowed, 0…1.
 * @typedef {Readonly<{
 *   chances: readonly (readonly [type: string, chance: number])[], policyVersion: number,
 * }>} Choice
 */

/**
 * One intervention as it is now. `steps` has the time of each status so far.
 * @typedef {Readonly<{
 *   id: string, sessionId: string, eventId: string, atMs: number, type: string, status: string,
 *   origin: string, confidence: number | null, reason: string, anomalyType: string | null,
 *   content: Readonly<Record<string, unknown>> | null, expiresMs: number,
 *   steps: Readonly<Record<string, number>>, outcome: Outcome | null, note: string | null,
 *   choice: Choice | null,
 * }>} Intervention
 */

/** The order of steps. None is skipped back. */
export const STATUS_RANKS = /** @type {Readonly<Record<string, number>>} */ ({
  ...{ HELD: 0, SUGGESTED: 0, APPROVED: 1, DISMISSED: 1, EXPIRED: 1 },
  ...{ SENT: 2, EXECUTED: 3, FAILED: 3, COMPLETED: 4 },
});

/**
 * @param {DecisionBody} body
 * @returns {Intervention}
 */
export function readIntervention({ metadata, ...body }) {
  const steps = Object.entries(metadata.steps).map(([status, at]) => [status, Date.parse(at)]);
  return Object.freeze({
    ...{ id: body.id, sessionId: body.session_id, eventId: body.event_id, type: body.type },
    ...{ status: body.status, confidence: body.confidence, reason: body.reasoning ?? "" },
    atMs: Date.parse(body.timestamp),
    origin: metadata.origin,
    anomalyType: metadata.anomaly_type ?? null,
    content: metadata.content ?? null,
    expiresMs: metadata.expires_at === undefined ? Infinity : Date.parse(metadata.expires_at),
    steps: Object.fromEntries(steps),
    outcome: body.outcome && readOutcome(body.outcome),
    note: metadata.note ?? null,
    choice: readChoice(metadata),
  });
}

/**
 * @param {InterventionMetadata} metadata
 * @returns {Choice | null} null: a person started it
 */
function readChoice({ probabilities, policy_version: policyVersion = 0 }) {
  if (probabilities === undefined) return null;
  const chances = Object.entries(probabilities).map(([type, share]) => /** @type {const} */ ([type, share / MICRO]));
  return { chances: chances.sort(([, a], [, b]) => b - a), policyVersion };
}

/**
 * @param {OutcomeBody} body
 * @returns {Outcome}
 */
function readOutcome({ engagement_before: before, engagement_after: after, reward, censored }) {
  return { before, after, reward, censored: censored ?? null };
}

/**
 * Whether an intervention is a newer state than another of the same.
 * @param {Intervention} one
 * @param {Intervention} other
 */
export function isNewer(one, other) {
  return progress(one) > progress(other);
}

/** @param {Intervention} intervention */
function progress({ status, outcome }) {
  return (STATUS_RANKS[status] ?? 0) + (outcome === null ? 0 : 0.5);
}
