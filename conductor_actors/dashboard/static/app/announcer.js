/** Announcements to screen readers: important changes only, not every tick. */

import { html } from "./element.js";

const CLEAR_AFTER_MS = 5_000; // so that the same text can be announced again

/** @type {Map<string, ReturnType<typeof setTimeout>>} */
const timers = new Map();

/**
 * Announce a text when the screen reader is idle.
 * @param {string} text
 */
export function announce(text) {
  write("#announcements", text);
}

/**
 * Announce a text immediately.
 * @param {string} text
 */
export function announceNow(text) {
  write("#alarms", text);
}

/**
 * @param {string} selector
 * @param {string} text
 */
function write(selector, text) {
  const region = html(document, selector);
  region.textContent = text;
  clearTimeout(timers.get(selector));
  timers.set(
    selector,
    setTimeout(() => (region.textContent = ""), CLEAR_AFTER_MS),
  );
}
