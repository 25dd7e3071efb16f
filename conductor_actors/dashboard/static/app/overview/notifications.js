/** Notifications of the browser about anomalies that begin while another page or tab is in use. */

import { announce } from "../announcer.js";
import { show } from "../element.js";
import { printable } from "../format.js";
import { severityName, typeName } from "../incidents.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */
/** @import { OpenAnomalies } from "../open-anomalies.js" */

const KEY = "notifications";

/** The switch. Permission is requested when it is switched on, and at no other time. */
export class Notifications {
  #button;

  /**
   * @param {HTMLButtonElement} button absent where the browser has no notifications or blocks them
   * @param {OpenAnomalies} anomalies
   */
  constructor(button, anomalies) {
    this.#button = button;
    button.addEventListener("click", () => void this.#toggle());
    anomalies.watch((began) => {
      if (this.#isOn && (document.hidden || !document.hasFocus())) began.forEach(notify);
    });
    this.#draw();
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
function notify(incident) {
  const { id, sessionId, reason } = incident;
  const title = `${severityName(incident)}: ${typeName(incident)}`;
  const body = [printable(sessionId), reason].filter(Boolean).join("\n");
  try {
    const notification = new Notification(title, { body, tag: id ?? sessionId });
    notification.addEventListener("click", () => {
      focus();
      location.hash = `#/session/${encodeURIComponent(sessionId)}`;
      notification.close();
    });
  } catch {
    // Browsers of phones have the interface, and allow it to service workers only.
  }
}
