/** The notice above a session's figures: the latest anomaly, why, since when, and its end. */

import { iconUrl } from "../addresses.js";
import { announce, announceNow } from "../announcer.js";
import { find, html, setText, show } from "../element.js";
import { duration, percent, time, wholePercent } from "../format.js";
import { beginMs, isOpen, keyOf, lengthOf, severityName, span, typeName } from "../incidents.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */
/** @import { FeedbackButton } from "./feedback.js" */
/** @import { TickClock } from "../tick-clock.js" */

const REFRESH_MS = 1_000; // of the duration, while an anomaly is open

/** Always visible and of constant height, so that an anomaly causes no layout shift. */
export class AnomalyNotice {
  #root;
  #clock;
  #feedback;
  /** @type {AnomalyRecord | null} */
  #shown = null;
  #quietUntil = "";
  /** After how many seconds a stop is noticed; null: it can't be. @type {number | null | undefined} */
  #noticeableS;
  #isFresh = true;
  /** The keys of anomalies. @type {Set<string>} */
  #dismissed = new Set();
  /** What was announced of the session: a key, and whether it has ended. @type {Set<string>} */
  #announced = new Set();

  /**
   * @param {HTMLElement} root
   * @param {TickClock} clock
   * @param {FeedbackButton} feedback
   */
  constructor(root, clock, feedback) {
    this.#root = root;
    this.#clock = clock;
    this.#feedback = feedback;
    html(root, ".notice-close").addEventListener("click", () => {
      if (this.#shown) this.#dismissed.add(keyOf(this.#shown));
      this.#render(null);
      this.#feedback.show(null);
    });
    setInterval(() => this.#drawTime(), REFRESH_MS);
  }

  /**
   * Show the newest open anomaly, else the newest that has ended, unless the user has dismissed it.
   * @param {readonly AnomalyRecord[]} incidents oldest first
   * @param {string} quietUntil until when quiet is arranged; empty: it is not
   * @param {number | undefined} score the newest
   */
  show(incidents, quietUntil, score) {
    const candidates = incidents.filter((each) => !this.#dismissed.has(keyOf(each)));
    const incident = candidates.findLast(isOpen) ?? candidates.at(-1) ?? null;
    if (this.#isFresh || incident !== this.#shown || quietUntil !== this.#quietUntil) {
      this.#quietUntil = quietUntil;
      this.#render(incident);
    }
    this.#feedback.show(incident); // which may be marked in the list
    const actual = incident && isOpen(incident) ? score : undefined;
    if (incident) this.#drawScore(actual ?? incident.currentEngagement);
  }

  /**
   * Set after how many seconds of silence an anomaly can be detected; null: it can't.
   * @param {number | null} noticeableS
   */
  setNoticeable(noticeableS) {
    this.#noticeableS = noticeableS;
    if (this.#shown === null) this.#drawNone();
  }

  /** Forget the session that was shown. */
  reset() {
    this.#noticeableS = undefined;
    this.#dismissed.clear();
    this.#announced.clear();
    this.#isFresh = true;
  }

  /** @param {AnomalyRecord | null} incident */
  #render(incident) {
    this.#isFresh = false;
    this.#shown = incident;
    const state = stateOf(incident);
    this.#root.dataset["severity"] = state;
    find(this.#root, ".notice-icon use", SVGUseElement).setAttribute(
      "href",
      iconUrl(state === "none" || state === "ended" ? "check" : "alert"),
    );
    show(html(this.#root, ".notice-figures"), incident?.endedAt === null);
    show(html(this.#root, ".notice-close"), incident !== null);
    if (incident) this.#drawIncident(incident);
    else this.#drawNone();
  }

  #drawNone() {
    const isQuiet = this.#quietUntil !== "";
    this.#write(isQuiet ? `Break until ${this.#quietUntil}` : "No anomaly reported", "");
    const text = isQuiet ? "No anomaly is reported until then." : this.#promise();
    setText(html(this.#root, ".notice-text"), text);
  }

  /** What can be detected in this session. */
  #promise() {
    const seconds = this.#noticeableS;
    if (seconds === undefined) return "Unusual drops in engagement appear here.";
    if (seconds === null) return "Too few messages and reactions to tell a stop from chance.";
    return `At this rate of messages and reactions, a stop is noticeable after ${duration(seconds * 1000)}.`;
  }

  /** @param {AnomalyRecord} incident */
  #drawIncident(incident) {
    const { expectedEngagement: expected, currentEngagement: actual } = incident;
    const text = incident.reason ?? `${difference(expected, actual)}, at ${time(beginMs(incident))}.`;
    setText(html(this.#root, ".notice-text"), text);
    html(this.#root, ".notice-text").title = text;
    setText(html(this.#root, ".notice-expected"), percent(expected));
    this.#drawTime();
    this.#announce(incident);
  }

  /** @param {number} actual */
  #drawScore(actual) {
    setText(html(this.#root, ".notice-actual"), percent(actual));
  }

  /** Show what changes while an anomaly is open. It is no live region. */
  #drawTime() {
    const incident = this.#shown;
    if (!incident || this.#root.offsetParent === null) return;
    const { nowMs } = this.#clock;
    this.#write(title(incident, nowMs), when(incident, nowMs));
  }

  /** @param {AnomalyRecord} incident */
  #announce(incident) {
    const isEnded = incident.endedAt !== null;
    const key = `${keyOf(incident)} ${isEnded}`;
    if (this.#announced.has(key)) return;
    this.#announced.add(key);
    const { reason, severity, expectedEngagement: expected, currentEngagement: actual } = incident;
    if (isEnded) announce(`${title(incident, 0)}: ${typeName(incident)}.`);
    else {
      const announceAnomaly = severity === "CRITICAL" ? announceNow : announce;
      const why = reason ? ` ${reason}` : "";
      announceAnomaly(`${title(incident, 0)}.${why} Expected ${percent(expected)}, actual ${percent(actual)}.`);
    }
  }

  /**
   * @param {string} titleText
   * @param {string} timeText
   */
  #write(titleText, timeText) {
    setText(html(this.#root, ".notice-title"), titleText);
    setText(html(this.#root, ".notice-time"), timeText);
  }
}

/** @param {AnomalyRecord | null} incident */
function stateOf(incident) {
  if (incident === null) return "none";
  return incident.endedAt === null ? incident.severity.toLowerCase() : "ended";
}

/**
 * @param {AnomalyRecord} incident
 * @param {number} nowMs
 */
function title(incident, nowMs) {
  if (incident.endedAt !== null) return `Recovered after ${lengthOf(incident, nowMs)}`;
  return `${severityName(incident)}: ${typeName(incident)}`;
}

/**
 * @param {AnomalyRecord} incident
 * @param {number} nowMs
 */
function when(incident, nowMs) {
  if (incident.endedAt !== null) return `${typeName(incident)}, ${span(incident)}`;
  return isOpen(incident) ? `${span(incident)}, for ${lengthOf(incident, nowMs)}` : "";
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
