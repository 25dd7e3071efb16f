/** The moments when a score rose or fell most, each with a link to it. */

import { html, setText } from "./element.js";
import { percent } from "./format.js";
import { addMarkup } from "./markup.js";
import { sessionAddress } from "./routes.js";

/** @import { LargestChanges, Moment } from "../types.d.ts" */

const BEFORE_MS = 180_000; // what is shown around a moment: five minutes
const AFTER_MS = 120_000;

const LIST = `
<section class="moments-part"><h3 class="moments-title"></h3><ol class="moments-list" role="list"></ol><p class="moments-none quiet" hidden>None.</p></section>`;
const ITEM = `
<li class="moment"><a class="moment-link"><strong class="moment-change"></strong> <span class="moment-scores"></span> <span class="moment-where"><bdi class="moment-session"></bdi> <span class="moment-time quiet"></span></span></a></li>`;

/**
 * Show rises and falls.
 * @param {HTMLElement} box
 * @param {LargestChanges} moments
 * @param {(sessionId: string) => string} nameOf of a session; empty: it goes without saying
 * @param {(atMs: number) => string} timeText
 */
export function showMoments(box, { rises, falls }, nameOf, timeText) {
  box.replaceChildren();
  for (const [title, moments] of /** @type {const} */ ([
    ["Largest rises", rises],
    ["Largest falls", falls],
  ])) {
    addMarkup(box, "beforeend", LIST);
    const part = /** @type {HTMLElement} */ (box.lastElementChild);
    setText(html(part, ".moments-title"), title);
    html(part, ".moments-none").hidden = moments.length > 0;
    const list = html(part, ".moments-list");
    for (const moment of moments) addMoment(list, moment, nameOf(moment.sessionId), timeText);
  }
}

/**
 * @param {HTMLElement} list
 * @param {Moment} moment
 * @param {string} name
 * @param {(atMs: number) => string} timeText
 */
function addMoment(list, { sessionId, at, before, after, change }, name, timeText) {
  addMarkup(list, "beforeend", ITEM);
  const item = /** @type {HTMLElement} */ (list.lastElementChild);
  const atMs = Date.parse(at);
  item.dataset["direction"] = change < 0 ? "down" : "up";
  const range = { fromMs: atMs - BEFORE_MS, toMs: atMs + AFTER_MS };
  html(item, "a").setAttribute("href", sessionAddress(sessionId, range));
  const points = Math.round(Math.abs(change) * 100);
  setText(html(item, ".moment-change"), `${change < 0 ? "↓" : "↑"} ${points} ${points === 1 ? "point" : "points"}`);
  setText(html(item, ".moment-scores"), `${percent(before)} → ${percent(after)}`);
  setText(html(item, ".moment-session"), name);
  setText(html(item, ".moment-time"), timeText(atMs));
}
