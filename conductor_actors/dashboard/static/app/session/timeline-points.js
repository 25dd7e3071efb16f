/** The points of a chart: those that are stored, in steps, and the newest ones of the stream. */

import { categoryOf } from "../levels.js";

/** @import { Contributions, Update } from "../../types.d.ts" */
/** @import { SessionTimeline } from "../../types.d.ts" */

/**
 * A score of a chart: that of a tick, or the mean of a step with its lowest and highest score.
 * @typedef {Readonly<{
 *   timestamp: string, score: number, category: string, contributions: Contributions,
 *   min?: number, max?: number, expected?: readonly [number, number],
 * }>} ChartPoint
 */

const DURATION = /^P(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)$/;

/**
 * Return the length of the steps of a timeline.
 * @param {SessionTimeline} timeline
 */
export function stepMsOf({ step }) {
  const [, hours = "0", minutes = "0", seconds = "0"] = DURATION.exec(step) ?? [];
  return (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
}

/**
 * Return the points of a timeline.
 * @param {SessionTimeline} timeline
 * @returns {ChartPoint[]}
 */
export function pointsOf({ points }) {
  return points.map(({ timestamp, score, min, max, contributions }) => {
    const { chat, poll, reactions, activeUsers: active_users, leaveRate: leave_rate } = contributions;
    const added = { chat, poll, active_users, reactions, leave_rate };
    return { timestamp, score, min, max, category: categoryOf(score), contributions: added };
  });
}

/**
 * Replace the end of what is stored by the newest updates, in the same steps. Steps that began before
 * the first update stay as they are stored.
 * @param {readonly ChartPoint[]} stored
 * @param {readonly Update[]} updates
 * @param {number} stepMs
 * @returns {readonly ChartPoint[]}
 */
export function withUpdates(stored, updates, stepMs) {
  const [first, newest] = [updates[0], stored.at(-1)];
  if (!first || !newest || stepMs === 0) return stored;
  const origin = timeOf(newest) % stepMs;
  const stepAt = (/** @type {number} */ at) => Math.floor((at - origin) / stepMs) * stepMs + origin;
  const cut = stepAt(timeOf(first) - 1) + stepMs;
  /** @type {Map<number, Update[]>} */
  const steps = new Map();
  for (const update of updates) {
    const begin = stepAt(timeOf(update));
    if (begin < cut) continue;
    const step = steps.get(begin);
    if (step) step.push(update);
    else steps.set(begin, [update]);
  }
  if (steps.size === 0) return stored;
  return [...stored.filter((point) => timeOf(point) < cut), ...[...steps].map(([begin, step]) => meanOf(begin, step))];
}

/**
 * @param {number} beginMs
 * @param {readonly Update[]} updates
 * @returns {ChartPoint}
 */
function meanOf(beginMs, updates) {
  const scores = updates.map(({ score }) => score);
  const score = mean(scores);
  return {
    timestamp: new Date(beginMs).toISOString(),
    ...{ score, min: Math.min(...scores), max: Math.max(...scores), category: categoryOf(score) },
    contributions: meanContributions(updates),
  };
}

/**
 * Return what each signal added on average.
 * @param {readonly Readonly<{contributions: Contributions}>[]} points at least one
 * @returns {Contributions}
 */
export function meanContributions(points) {
  const of = (/** @type {keyof Contributions} */ part) => mean(points.map(({ contributions }) => contributions[part]));
  return {
    ...{ chat: of("chat"), poll: of("poll"), active_users: of("active_users") },
    ...{ reactions: of("reactions"), leave_rate: of("leave_rate") },
  };
}

/** @param {readonly number[]} values */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param {Readonly<{timestamp: string}>} point */
export function timeOf({ timestamp }) {
  return Date.parse(timestamp);
}
