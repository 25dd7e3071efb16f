/** Which link of the header leads to what is shown. */

import { html } from "./element.js";

/**
 * @param {string} link
 * @param {"page" | "true" | null} value "true": a page within that of the link is shown
 */
export function setCurrent(link, value) {
  const element = html(document, link);
  if (value === null) element.removeAttribute("aria-current");
  else if (element.getAttribute("aria-current") !== value) element.setAttribute("aria-current", value);
}
