/** The line above a session's figures: quiet, or an anomaly with what was expected and what is. */

import { alarm, announce } from "./announcer.js";
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

/** Always there and always as high, so that an anomaly moves nothing. */
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

  /** @param {Anomaly | null} anomaly */
  show(anomaly) {
    const news = anomaly === this.#dismissed ? null : anomaly;
    if (news === this.#shown) return;
    this.#shown = news;
    show(html(this.#root, ".notice-figures"), news !== null);
    show(html(this.#root, ".notice-close"), news !== null);
    const use = find(this.#root, ".notice-icon use", SVGUseElement);
    use.setAttribute("href", `/static/icons/icons.svg#${news ? "alert" : "check"}`);
    this.#root.dataset["severity"] = news?.severity.toLowerCase() ?? "none";
    if (news) this.#render(news);
    else this.#write("No anomaly reported", "When something unusual happens, it is shown here.");
  }

  /** @param {Anomaly} anomaly */
  #render(anomaly) {
    const { severity, type, expectedEngagement: expected, currentEngagement: actual } = anomaly;
    const title = `${SEVERITIES[severity] ?? severity}: ${TYPES[type] ?? type}`;
    const text = `${difference(expected, actual)}, at ${time(Date.parse(anomaly.timestamp))}.`;
    this.#write(title, text);
    setText(html(this.#root, ".notice-expected"), percent(expected));
    setText(html(this.#root, ".notice-actual"), percent(actual));
    const say = severity === "CRITICAL" ? alarm : announce;
    say(`${title}. Expected ${percent(expected)}, actual ${percent(actual)}.`);
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
  if (by === 0) return "As high as expected";
  const points = Math.abs(by) === 1 ? "point" : "points";
  return `${Math.abs(by)} ${points} ${by < 0 ? "below" : "above"} what was expected`;
}
