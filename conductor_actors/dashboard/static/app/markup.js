/** Adds the fixed markup of a view to the page. */

import { SERVICE_URL } from "./addresses.js";

/**
 * Add markup to the page. It is a constant of the page's own files, never text from elsewhere.
 * @param {Element} place
 * @param {InsertPosition} position
 * @param {string} markup its icons are written as in `index.html`
 */
export function addMarkup(place, position, markup) {
  place.insertAdjacentHTML(position, markup.replaceAll('="/static/', `="${SERVICE_URL}/static/`));
}
