/** What can be done with the session or event that is shown: a link to it. */

import { html } from "../element.js";
import { addMarkup } from "../markup.js";
import { copyOnClick } from "../session/clipboard.js";

const BUTTONS = `
<button class="button action action-share" type="button"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#copy"></use></svg>Copy link</button>`;

/** The buttons of one view. */
export class PageActions {
  /** @param {HTMLElement} box */
  constructor(box) {
    addMarkup(box, "beforeend", BUTTONS);
    // The address has no token: who opens it needs one of their own.
    copyOnClick(html(box, ".action-share"), () => location.href);
  }
}
