/** The list of a session's anomalies, newest first. */

import { find, fromTemplate, html, setText, show } from "../element.js";
import { date, time } from "../format.js";
import { beginMs, isOpen, keyOf, lengthOf, severityName, span, typeName } from "../incidents.js";
import { FeedbackButton } from "./feedback.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */
/** @import { SessionAnomalies } from "./session-anomalies.js" */

const MAX_SHOWN = 50;

/** One element per anomaly, which is changed and not replaced, so that it keeps the focus. */
export class PastAnomalies {
  #list;
  #state;
  /** @type {Map<string, PastAnomaly>} */
  #items = new Map();

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#list = html(root, ".past-list");
    this.#state = html(root, ".past-state");
  }

  /**
   * @param {SessionAnomalies} anomalies
   * @param {number} nowMs
   */
  show(anomalies, nowMs) {
    const newest = anomalies.all.slice(-MAX_SHOWN).reverse();
    const keys = new Set(newest.map(keyOf));
    for (const [key, item] of this.#items) {
      if (keys.has(key)) continue;
      item.element.remove();
      this.#items.delete(key);
    }
    newest.forEach((incident, index) => this.#showItem(incident, index, nowMs));
    const text = stateText(anomalies);
    show(this.#state, text !== "");
    setText(this.#state, text);
  }

  /**
   * @param {AnomalyRecord} incident
   * @param {number} index
   * @param {number} nowMs
   */
  #showItem(incident, index, nowMs) {
    const key = keyOf(incident);
    let item = this.#items.get(key);
    if (!item) this.#items.set(key, (item = new PastAnomaly()));
    item.show(incident, nowMs);
    const before = this.#list.children[index] ?? null;
    if (before !== item.element) this.#list.insertBefore(item.element, before);
  }
}

/** One anomaly of the list. */
class PastAnomaly {
  element = fromTemplate("past");
  #feedback = new FeedbackButton(find(this.element, ".past-feedback", HTMLButtonElement));

  /**
   * @param {AnomalyRecord} incident
   * @param {number} nowMs
   */
  show(incident, nowMs) {
    const { element } = this;
    element.dataset["severity"] = incident.severity.toLowerCase();
    element.dataset["open"] = String(isOpen(incident));
    setText(html(element, ".past-type"), typeName(incident));
    setText(html(element, ".past-severity"), isOpen(incident) ? "Open" : severityName(incident));
    setText(html(element, ".past-reason"), incident.reason ?? "");
    const begin = beginMs(incident);
    const day = date(begin) === date(nowMs) ? "" : `${date(begin)}, `;
    const times = incident.endedAt === null && !isOpen(incident) ? time(begin) : span(incident);
    setText(html(element, ".past-when"), `${day}${times}`);
    const hasLength = isOpen(incident) || incident.endedAt !== null;
    setText(html(element, ".past-length"), hasLength ? lengthOf(incident, nowMs) : "");
    this.#feedback.show(incident);
  }
}

/** @param {SessionAnomalies} anomalies */
function stateText({ error, isLoading, all }) {
  if (error !== null) return `The stored anomalies could not be loaded. Server response: ${error}`;
  if (all.length > 0) return "";
  return isLoading ? "Loading …" : "No anomaly has been reported in this session.";
}
