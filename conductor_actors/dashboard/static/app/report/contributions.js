/** What pulled the score up and down: the contributions of the signals, against other sessions. */

import { html, setText, show } from "../element.js";
import { points } from "../format.js";
import { bar, markAt, showRows } from "./report-table.js";

/** @import { Report, ReportedContribution } from "../../types.d.ts" */

const NOTABLE = 0.005; // half a point: a smaller difference is not named

/** @type {readonly (readonly [keyof Report["contributions"], string])[]} */
const SIGNALS = [
  ["chat", "Chat"],
  ["poll", "Polls"],
  ["activeUsers", "Active people"],
  ["reactions", "Reactions"],
  ["leaveRate", "People leaving"],
];

/**
 * Show the contribution of each signal, and that in the event's other sessions if there are any.
 * @param {HTMLElement} section
 * @param {Report} report
 */
export function showContributions(section, { kind, contributions }) {
  const all = SIGNALS.map(([signal]) => contributions[signal]);
  const hasOthers = all.some(({ others }) => others !== null);
  setText(html(section, ".report-pull-text"), hasOthers ? differenceText(contributions) : aloneText(kind));
  show(html(section, ".report-pull-key"), hasOthers);
  const ends = all.flatMap(({ mean, others }) => [mean, others ?? 0, 0]);
  const [low, high] = [Math.min(...ends), Math.max(...ends, 0.01)];
  const place = (/** @type {number} */ value) => (value - low) / (high - low);
  showRows(section, SIGNALS.map(([signal, name]) => [name, ...cellsOf(contributions[signal], place)]));
  for (const cell of section.querySelectorAll(".report-others")) show(/** @type {HTMLElement} */ (cell), hasOthers);
}

/**
 * @param {ReportedContribution} contribution
 * @param {(value: number) => number} place
 */
function cellsOf({ mean, others, difference }, place) {
  const drawing = bar(place(0), place(mean), mean < 0 ? "critical" : "accent");
  if (others !== null) drawing.append(markAt(place(others)));
  const texts = [mean, others, difference].map((value) => (value === null ? "–" : signed(value)));
  return [drawing, ...texts];
}

/** @param {Report["contributions"]} contributions */
function differenceText(contributions) {
  const differences = SIGNALS.map(([signal, name]) => ({ name, by: contributions[signal].difference ?? 0 }))
    .filter(({ by }) => Math.abs(by) >= NOTABLE)
    .sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
  const pulled = (/** @type {number} */ sign) =>
    differences.filter(({ by }) => Math.sign(by) === sign).map(({ name, by }) => `${name.toLowerCase()} (${signed(by)})`);
  const [up, down] = [pulled(1), pulled(-1)];
  if (differences.length === 0) return "Each signal added as much as in the event’s other sessions.";
  const parts = [up.length > 0 ? `up: ${up.join(", ")}` : "", down.length > 0 ? `down: ${down.join(", ")}` : ""];
  return `Against the event’s other sessions, what pulled the score ${parts.filter(Boolean).join("; ")}.`;
}

/** @param {Report["kind"]} kind */
function aloneText(kind) {
  return kind === "event"
    ? "What each signal added to the score or deducted from it, on average over all sessions."
    : "What each signal added to the score or deducted from it, on average. No other session of the event has ended, to compare with.";
}

/** @param {number} share */
function signed(share) {
  const text = points(share);
  return share > 0 && text !== "0" ? `+${text}` : text;
}
