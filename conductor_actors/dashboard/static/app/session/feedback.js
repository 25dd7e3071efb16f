/** The button "Not a problem", which stores with an anomaly that it was none. */

import { announce } from "../announcer.js";
import { ApiError, sendFeedback } from "../api.js";
import { setText, show } from "../element.js";

/** @import { AnomalyRecord } from "../../types.d.ts" */

/** The ids of the anomalies that are marked, here or before. @type {Set<string>} */
const marked = new Set();
/** @type {Set<() => void>} */
const listeners = new Set();

/**
 * Record that an anomaly is marked.
 * @param {string} id
 */
export function setMarked(id) {
  if (marked.has(id)) return;
  marked.add(id);
  for (const listener of listeners) listener();
}

/**
 * Call a listener when another anomaly is marked.
 * @param {() => void} listener
 */
export function onMarked(listener) {
  listeners.add(listener);
}

/** One button, for one anomaly at a time. */
export class FeedbackButton {
  #button;
  /** @type {string | null} */
  #id = null;
  #isSending = false;

  /** @param {HTMLButtonElement} button */
  constructor(button) {
    this.#button = button;
    button.addEventListener("click", () => void this.#send());
  }

  /** @param {AnomalyRecord | null} incident null, or an anomaly without an id: there is no button */
  show(incident) {
    this.#id = incident?.id ?? null;
    show(this.#button, this.#id !== null);
    if (this.#id !== null) this.#draw();
  }

  #draw() {
    const isMarked = this.#id !== null && marked.has(this.#id);
    setText(this.#button, isMarked ? "Marked as not a problem" : "Not a problem");
    // Not `disabled`, which would take the focus from who has just used it.
    this.#button.setAttribute("aria-disabled", String(isMarked));
  }

  async #send() {
    const id = this.#id;
    if (id === null || marked.has(id) || this.#isSending) return;
    this.#isSending = true;
    try {
      await sendFeedback(id);
      setMarked(id);
      if (this.#id === id) this.#draw();
      announce("Marked as not a problem");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#id === id) setText(this.#button, "Not stored, try again");
      announce(`Not stored: ${error.message}`);
    } finally {
      this.#isSending = false;
    }
  }
}
