/** Notifications of the browser about anomalies and suggestions while another page or tab is in use. */

import { announce } from "../announcer.js";
import { show } from "../element.js";
import { printable } from "../format.js";
import { severityName, typeName } from "../incidents.js";
import { interventionInText } from "../conductor/interventions.js";
import { sessionAddress } from "../routes.js";
import { sessionName } from "../titles.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */
/** @import { Intervention } from "../conductor/intervention-bodies.js" */
/** @import { OpenAnomalies } from "../open-anomalies.js" */
/** @import { OpenDecisions } from "../conductor/open-decisions.js" */

const KEY = "notifications";

/** The switch. Permission is requested when it is switched on, and at no other time. */
export class Notifications {
  #button;

  /**
   * @param {HTMLButtonElement} button absent where the browser has no notifications or blocks them
   * @param {OpenAnomalies} anomalies
   * @param {OpenDecisions} decisions
   */
  constructor(button, anomalies, decisions) {
    this.#button = button;
    button.addEventListener("click", () => void this.#toggle());
    anomalies.watch((began) => {
      if (this.#isWanted) began.forEach(notifyOfAnomaly);
    });
    decisions.watch((began) => {
      if (this.#isWanted) began.forEach(notifyOfSuggestion);
    });
    this.#draw();
  }

  get #isWanted() {
    return this.#isOn && (document.hidden || !document.hasFocus());
  }

  get #isOn() {
    return isPossible() && Notification.permission === "granted" && browserStorage.get(KEY) === "on";
  }

  async #toggle() {
    const isOn = !this.#isOn && (await Notification.requestPermission()) === "granted";
    browserStorage.set(KEY, isOn ? "on" : "off");
    this.#draw();
    if (!isPossible()) announce("The browser blocks notifications of this page");
  }

  #draw() {
    show(this.#button, isPossible());
    this.#button.setAttribute("aria-checked", String(this.#isOn));
  }
}

function isPossible() {
  return "Notification" in globalThis && globalThis.isSecureContext && Notification.permission !== "denied";
}

/** @param {AnomalyRecord} incident */
function notifyOfAnomaly(incident) {
  const { id, sessionId, reason } = incident;
  notify(`${severityName(incident)}: ${typeName(incident)}`, { id: id ?? sessionId, sessionId, reason });
}

/** @param {Intervention} suggestion */
function notifyOfSuggestion(suggestion) {
  notify(`Suggestion: ${interventionInText(suggestion.type)}`, suggestion);
}

/**
 * @param {string} title
 * @param {Readonly<{id: string, sessionId: string, reason?: string | undefined}>} about
 */
function notify(title, { id, sessionId, reason }) {
  const body = [sessionName(sessionId), reason && printable(reason)].filter(Boolean).join("\n");
  try {
    const notification = new Notification(title, { body, tag: id });
    notification.addEventListener("click", () => {
      focus();
      location.hash = sessionAddress(sessionId);
      notification.close();
    });
  } catch {
    // Browsers of phones have the interface, and allow it to service workers only.
  }
}
