/** The figures of an event and of its sessions, also of those that are live and have none stored. */

import { setText } from "../element.js";
import { count, percent, printable } from "../format.js";

/** @import { CurvePoint, EventOverview, EventSession, SessionSummary } from "../../types.d.ts" */

/** @typedef {"start" | "mean" | "peak" | "people"} Order */

/**
 * The average score, the highest one and the number of people at most; null: there is no score.
 * @typedef {Readonly<{mean: number | null, peak: number | null, people: number | null}>} Figures
 */

/**
 * Return the figures of a session: those that are stored, else those of its points.
 * @param {EventSession} session
 * @returns {Figures}
 */
export function figuresOf({ meanScore, peakScore, peakUsers, points }) {
  return {
    mean: meanScore ?? meanOf(points),
    peak: peakScore ?? most(points, ({ score }) => score),
    people: peakUsers ?? most(points, ({ totalUsers }) => totalUsers),
  };
}

/**
 * Return sessions in an order: by start, or the highest figure first. Those without it come last.
 * @param {readonly EventSession[]} sessions
 * @param {Order} order
 */
export function inOrder(sessions, order) {
  if (order === "start") return [...sessions].sort((a, b) => beginOf(a) - beginOf(b));
  const figure = (/** @type {EventSession} */ session) => figuresOf(session)[order] ?? -1;
  return [...sessions].sort((a, b) => figure(b) - figure(a) || beginOf(a) - beginOf(b));
}

/**
 * Show the figures of an event.
 * @param {HTMLElement} list
 * @param {EventOverview} overview
 */
export function showEventFigures(list, { sessions, curve }) {
  const best = inOrder(sessions, "mean")[0];
  const highest = inOrder(sessions, "peak")[0];
  const people = most(curve, ({ totalUsers }) => totalUsers);
  showFigures(list, [
    ["Average score", percentOf(meanOf(curve)), "of all sessions, by their people"],
    ["Highest peak", percentOf(highest && figuresOf(highest).peak), highest ? nameOf(highest) : ""],
    ["People at most", people === null ? "–" : count(people), "in all sessions at one time"],
    ["Best session", percentOf(best && figuresOf(best).mean), best ? nameOf(best) : ""],
  ]);
}

/**
 * Show names, values and what they mean.
 * @param {HTMLElement} list
 * @param {readonly (readonly [name: string, value: string, text: string])[]} figures
 */
export function showFigures(list, figures) {
  list.replaceChildren(
    ...figures.map((texts) => {
      const figure = document.createElement("div");
      const parts = texts.map((text, index) => {
        const part = document.createElement(index === 0 ? "dt" : "dd");
        part.className = ["figure-name", "figure-value", "figure-text"][index] ?? "";
        setText(part, text);
        return part;
      });
      figure.append(...parts.filter((part) => part.textContent !== ""));
      return figure;
    }),
  );
}

/**
 * Return the name that people know a session by: its title, else its id.
 * @param {Pick<SessionSummary, "sessionId" | "title">} session
 */
export function nameOf({ sessionId, title }) {
  return printable(title || sessionId);
}

/** @param {number | null | undefined} share */
export function percentOf(share) {
  return share == null ? "–" : percent(share);
}

/** @param {SessionSummary} session */
function beginOf({ startedAt }) {
  return startedAt == null ? Infinity : Date.parse(startedAt);
}

/**
 * Return the mean score; null: there is none.
 * @param {readonly CurvePoint[]} points
 */
function meanOf(points) {
  return points.length > 0 ? points.reduce((sum, { score }) => sum + score, 0) / points.length : null;
}

/**
 * Return the highest value; null: there is none.
 * @param {readonly CurvePoint[]} points
 * @param {(point: CurvePoint) => number} valueOf
 */
function most(points, valueOf) {
  return points.length > 0 ? points.reduce((highest, point) => Math.max(highest, valueOf(point)), 0) : null;
}
