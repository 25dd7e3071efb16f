/** What interventions are called, the path of each so far, and its outcome in plain words. */

import { decimalPercent, percent, time, wholePercent } from "../format.js";
import { STATUS_RANKS } from "./intervention-bodies.js";

/** @import { Intervention, Outcome } from "./intervention-bodies.js" */

export const WINDOW_BEGIN_MS = 30_000; // of the outcome, after the tick of the decision
export const WINDOW_END_MS = 120_000;

const LEARNING = "Did nothing, on purpose: this is how the conductor learns what happens without it.";

/** @type {Readonly<Record<string, [name: string, inText: string]>>} */
const TYPES = {
  HOLD: ["Did nothing", "nothing"],
  POLL: ["Poll", "a poll"],
  BROADCAST: ["Message", "a message to everyone"],
  NOTIFICATION: ["Notification", "a notification"],
  GAMIFICATION: ["Game", "a game"],
};
/** The types that people can start, in the order of a choice. */
export const ACTIONS = Object.keys(TYPES).filter((type) => type !== "HOLD");

/** @type {Readonly<Record<string, string>>} */
const STEPS = {
  HELD: "Held back",
  SUGGESTED: "Suggested",
  APPROVED: "Approved",
  DISMISSED: "Dismissed",
  EXPIRED: "Expired",
  SENT: "Sent",
  EXECUTED: "Carried out",
  FAILED: "Failed",
  COMPLETED: "Measured",
};
/** The step to APPROVED, by who decided. @type {Readonly<Record<string, string>>} */
const DECISIONS = { act: "Decided", manual: "Requested" };

/** The notes that are codes. @type {Readonly<Record<string, string>>} */
const NOTES = { event_limit: "100 actions were sent in this event within an hour" };
/** @type {Readonly<Record<string, string>>} */
const CENSORED = {
  ended: "the session ended",
  gap: "events were missed",
  other_action: "something else was done meanwhile",
};

/**
 * Return the name of an intervention's type.
 * @param {string} type
 */
export function interventionName(type) {
  return TYPES[type]?.[0] ?? type;
}

/**
 * Return the name of a type within a sentence, such as "a poll".
 * @param {string} type
 */
export function interventionInText(type) {
  return TYPES[type]?.[1] ?? type.toLowerCase();
}

/** @param {Intervention} intervention */
export function isHold({ type }) {
  return type === "HOLD";
}

/**
 * Whether it waits for a decision.
 * @param {Intervention} intervention
 * @param {number} nowMs
 */
export function isWaiting({ status, expiresMs }, nowMs) {
  return status === "SUGGESTED" && nowMs < expiresMs;
}

/**
 * Whether it is under way: decided or sent, and its outcome is not known.
 * @param {Intervention} intervention
 */
export function isUnderWay({ status, outcome }) {
  return outcome === null && ["HELD", "APPROVED", "SENT", "EXECUTED"].includes(status);
}

/**
 * Return the names and times of the steps so far, the first one first.
 * @param {Intervention} intervention
 * @returns {{status: string, name: string, atMs: number}[]}
 */
export function stepsOf({ steps, origin, outcome }) {
  return Object.entries(steps)
    .filter(([status]) => status !== "COMPLETED" || (outcome !== null && outcome.censored === null))
    .map(([status, atMs]) => ({ status, name: stepName(status, origin), atMs }))
    .sort((a, b) => rank(a.status) - rank(b.status));
}

/**
 * Return the name of a status.
 * @param {string} status
 */
export function statusName(status) {
  return STEPS[status] ?? status;
}

/** @param {string} status */
function rank(status) {
  return STATUS_RANKS[status] ?? 0;
}

/**
 * @param {string} status
 * @param {string} origin
 */
function stepName(status, origin) {
  return (status === "APPROVED" && DECISIONS[origin]) || statusName(status);
}

/**
 * Say what became of an intervention, and what followed.
 * @param {Intervention} intervention
 */
export function outcomeText(intervention) {
  const { outcome } = intervention;
  const parts = [isHold(intervention) ? LEARNING : "", noteText(intervention)];
  parts.push(outcome === null ? pendingText(intervention) : measuredText(intervention, outcome));
  return parts.filter(Boolean).join(" ");
}

/** @param {Intervention} intervention */
function noteText({ steps, note }) {
  if (note === null || note === "") return "";
  const why = NOTES[note] ?? note;
  const text = "FAILED" in steps ? `The platform could not do it: ${why}` : why;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

/** @param {Intervention} intervention */
function pendingText({ status, atMs }) {
  const isOver = ["DISMISSED", "EXPIRED", "FAILED"].includes(status);
  return isOver ? "" : `What follows is known at ${time(atMs + WINDOW_END_MS)}.`;
}

/**
 * @param {Intervention} intervention
 * @param {Outcome} outcome
 */
function measuredText(intervention, { before, after, reward, censored }) {
  if (after === null) {
    const why = censored === null ? "" : `: ${CENSORED[censored] ?? censored}`;
    return `What followed could not be measured${why}.`;
  }
  const mean = `The score was ${percent(after)} on average from 30 to 120 s ${begin(intervention)}`;
  if (isHold(intervention) || !wasDoneInTime(intervention)) return `${mean}, and ${percent(before)} before.`;
  if (reward === null) return `${mean}. What it would have been without it is not known.`;
  return `${mean}, ${comparison(reward, after)}.`;
}

/**
 * Name the moment that the measured time is counted from.
 * @param {Intervention} intervention
 */
function begin(intervention) {
  const { steps, atMs, origin } = intervention;
  if (isHold(intervention)) return "later";
  if (wasDoneInTime(intervention) && (steps["SENT"] ?? Infinity) <= atMs + WINDOW_BEGIN_MS) return "after it";
  return origin === "suggest" ? "after the suggestion" : "after the decision";
}

/**
 * Whether an action, or doing nothing on purpose, was before the end of the time that is measured, which
 * is counted from the decision: a suggestion may be approved later, or an action not be carried out.
 * @param {Intervention} intervention
 */
export function wasDoneInTime(intervention) {
  const { steps, atMs } = intervention;
  if (isHold(intervention)) return true;
  return (steps["SENT"] ?? Infinity) < atMs + WINDOW_END_MS && !("FAILED" in steps);
}

/**
 * Compare what followed with similar moments, as a part of a sentence.
 * @param {number} reward
 * @param {number} after
 */
export function comparison(reward, after) {
  const without = after - reward;
  const by = wholePercent(after) - wholePercent(without);
  const usual = `similar moments without it (${percent(without)})`;
  if (by === 0) return `as in ${usual}`;
  const points = Math.abs(by) === 1 ? "1 point" : `${Math.abs(by)} points`;
  return `${points} ${by > 0 ? "higher" : "lower"} than in ${usual}`;
}

/**
 * Say what the random choice was among, the most probable first.
 * @param {Intervention} intervention
 */
export function choiceText({ choice }) {
  if (choice === null) return "A person started it.";
  const chances = choice.chances.map(([type, chance]) => `${TYPES[type]?.[1] ?? type} ${decimalPercent(chance)}`);
  return (
    `By chance: ${chances.join(", ")}. What has helped more is more probable, and no choice is certain, ` +
    `so that effects can be known. Learnt so far: version ${choice.policyVersion}.`
  );
}

/**
 * Return how what followed an action compares, for its colour.
 * @param {Intervention} intervention
 * @returns {"better" | "worse" | "same" | "unknown"}
 */
export function verdictOf(intervention) {
  const reward = intervention.outcome?.reward ?? null;
  if (reward === null || isHold(intervention) || !wasDoneInTime(intervention)) return "unknown";
  if (Math.abs(reward) < 0.01) return "same";
  return reward > 0 ? "better" : "worse";
}
