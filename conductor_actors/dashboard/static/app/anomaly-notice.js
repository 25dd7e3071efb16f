/** The notice above a session's figures: the latest anomaly, with expected and actual score. */

import { iconUrl } from "./addresses.js";
import { announce, announceNow } from "./announcer.js";
import { find, html, setText, show } from "./element.js";
import { percent, time, wholePercent } from "./format.js";

/** @import { Anomaly } from "../types.d.ts" */

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  SUDDEN_DROP: "Sudden drop",
  GRADUAL_DECLINE: "Gradual decline",
  LOW_ENGAGEMENT: "Low engagement",
  MASS_EXIT: "Many people are leaving",
};
/** @type {Readonly<Record<string, string>>} */
const SEVERITIES = { WARNING: "Warning", CRITICAL: "Critical" };

/** Always visible and of constant height, so that an anomaly causes no layout shift. */
export class AnomalyNotice {
  #root;
  /** @type {Anomaly | null} */
  #shown = null;
  /** @type {Anomaly | null} */
  #dismissed = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    html(root, ".notice-close").addEventListener("click", () => {
      this.#dismissed = this.#shown;
      this.show(null);
    });
  }

  /**
   * Show an anomaly that the user has not dismissed, or that there is none.
   * @param {Anomaly | null} latest
   */
  show(latest) {
    const anomaly = latest === this.#dismissed ? null : latest;
    if (anomaly === this.#shown) return;
    this.#shown = anomaly;
    show(html(this.#root, ".notice-figures"), anomaly !== null);
    show(html(this.#root, ".notice-close"), anomaly !== null);
    const use = find(this.#root, ".notice-icon use", SVGUseElement);
    use.setAttribute("href", iconUrl(anomaly ? "alert" : "check"));
    this.#root.dataset["severity"] = anomaly?.severity.toLowerCase() ?? "none";
    if (anomaly) this.#render(anomaly);
    else this.#write("No anomaly reported", "Unusual drops in engagement appear here.");
  }

  /** @param {Anomaly} anomaly */
  #render(anomaly) {
    const { severity, type, expectedEngagement: expected, currentEngagement: actual } = anomaly;
    const title = `${SEVERITIES[severity] ?? severity}: ${TYPES[type] ?? type}`;
    const text = `${difference(expected, actual)}, at ${time(Date.parse(anomaly.timestamp))}.`;
    this.#write(title, text);
    setText(html(this.#root, ".notice-expected"), percent(expected));
    setText(html(this.#root, ".notice-actual"), percent(actual));
    const announceAnomaly = severity === "CRITICAL" ? announceNow : announce;
    announceAnomaly(`${title}. Expected ${percent(expected)}, actual ${percent(actual)}.`);
  }

  /**
   * @param {string} title
   * @param {string} text
   */
  #write(title, text) {
    setText(html(this.#root, ".notice-title"), title);
    setText(html(this.#root, ".notice-text"), text);
  }
}

/**
 * @param {number} expected
 * @param {number} actual
 */
function difference(expected, actual) {
  const by = wholePercent(actual) - wholePercent(expected);
  if (by === 0) return "Equal to the expected score";
  const points = Math.abs(by) === 1 ? "point" : "points";
  return `${Math.abs(by)} ${points} ${by < 0 ? "below" : "above"} the expected score`;
}
