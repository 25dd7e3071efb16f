/** What sessions and events are called, for the views that show ids. */

import { fetchTitles } from "./history-api.js";
import { printable } from "./format.js";
import { Polled } from "./polled.js";

/** @import { Titles } from "../types.d.ts" */
/** @import { SessionSummary } from "./history-api.js" */

const REFRESH_MS = 60_000;

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Map<string, string | null>} */
const readEvents = new Map();
/** @type {Polled<Titles>} */
const titles = new Polled(onLoaded);
/** What was read of single sessions, which may have ended, and when. @type {Map<string, Readonly<{summary: SessionSummary, atMs: number}>>} */
const read = new Map();

/** Load the titles of live sessions now, and at intervals. */
export function loadTitles() {
  titles.start(fetchTitles, REFRESH_MS);
}

/**
 * Call a listener when a title has changed.
 * @param {() => void} listener
 */
export function onTitles(listener) {
  listeners.add(listener);
}

/**
 * Keep the titles of a session that was read, or changed here.
 * @param {SessionSummary} summary
 */
export function setTitles(summary) {
  const { sessionId, eventId } = summary;
  const isSame = titleOf(sessionId) === summary.title && eventTitleOf(eventId) === summary.eventTitle;
  read.set(sessionId, { summary, atMs: performance.now() });
  readEvents.set(eventId, summary.eventTitle);
  if (!isSame) notifyAll();
}

/**
 * Return the title of a session; null: it has none.
 * @param {string} sessionId
 */
export function titleOf(sessionId) {
  return (read.get(sessionId)?.summary ?? own(titles.value?.sessions, sessionId))?.title || null;
}

/**
 * Return the title of an event; null: it has none.
 * @param {string} eventId
 */
export function eventTitleOf(eventId) {
  const known = readEvents.get(eventId);
  return (known === undefined ? own(titles.value?.events, eventId) : known) || null;
}

/**
 * Return the name that people know a session by: its title, else its id.
 * @param {string} sessionId
 */
export function sessionName(sessionId) {
  return printable(titleOf(sessionId) ?? sessionId);
}

/**
 * Return the name that people know an event by: its title, else its id.
 * @param {string} eventId
 */
export function eventName(eventId) {
  return printable(eventTitleOf(eventId) ?? eventId);
}

/**
 * Return the value of an id, which may be the name of a property that every object has.
 * @template T
 * @param {Readonly<Record<string, T>> | undefined} values
 * @param {string} id
 * @returns {T | undefined}
 */
function own(values, id) {
  return values && Object.hasOwn(values, id) ? values[id] : undefined;
}

/** What was loaded is newer than what was read, but a change of a moment ago may not be in it. */
function onLoaded() {
  const oldestMs = performance.now() - REFRESH_MS / 2;
  for (const [id, { summary, atMs }] of read) {
    if (atMs > oldestMs || !own(titles.value?.sessions, id)) continue;
    read.delete(id);
    readEvents.delete(summary.eventId);
  }
  notifyAll();
}

function notifyAll() {
  for (const listener of listeners) listener();
}
