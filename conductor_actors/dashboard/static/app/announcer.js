/** Announcements to screen readers: important changes only, not every tick. */

import { html } from "./element.js";

const CLEAR_AFTER_MS = 5_000; // so that the same text can be announced again
const MIN_SHOWN_MS = 500; // a text that is replaced at once is not read

/** A live region: its texts are written one after the other. */
class LiveRegion {
  #selector;
  /** @type {string[]} */
  #queue = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isBusy = false;

  /** @param {string} selector */
  constructor(selector) {
    this.#selector = selector;
  }

  /** @param {string} text */
  write(text) {
    this.#queue.push(text);
    if (!this.#isBusy) this.#writeNext();
  }

  #writeNext() {
    const text = this.#queue.shift();
    this.#isBusy = text !== undefined;
    clearTimeout(this.#timer);
    if (text === undefined) {
      this.#timer = setTimeout(() => this.#set(""), CLEAR_AFTER_MS);
    } else {
      this.#set(text);
      this.#timer = setTimeout(() => this.#writeNext(), MIN_SHOWN_MS);
    }
  }

  /** @param {string} text */
  #set(text) {
    html(document, this.#selector).textContent = text;
  }
}

const polite = new LiveRegion("#announcements");
const immediate = new LiveRegion("#alarms");

/**
 * Announce a text when the screen reader is idle.
 * @param {string} text
 */
export function announce(text) {
  polite.write(text);
}

/**
 * Announce a text immediately.
 * @param {string} text
 */
export function announceNow(text) {
  immediate.write(text);
}
