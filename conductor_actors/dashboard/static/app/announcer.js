/** What a screen reader is told by itself: changes that matter, never a tick. */

import { html } from "./element.js";

const CLEARED_AFTER_MS = 5_000; // so that the same words are news again

/** @type {Map<string, ReturnType<typeof setTimeout>>} */
const timers = new Map();

/**
 * Say it when there is a pause.
 * @param {string} words
 */
export function announce(words) {
  say("#announcements", words);
}

/**
 * Say it at once.
 * @param {string} words
 */
export function alarm(words) {
  say("#alarms", words);
}

/**
 * @param {string} selector
 * @param {string} words
 */
function say(selector, words) {
  const region = html(document, selector);
  region.textContent = words;
  clearTimeout(timers.get(selector));
  timers.set(
    selector,
    setTimeout(() => (region.textContent = ""), CLEARED_AFTER_MS),
  );
}
