/** What can be done with the session or event that is shown: its report, an export, a link to it. */

import { html, show } from "../element.js";
import { addMarkup } from "../markup.js";
import { reportAddress } from "../routes.js";
import { copyOnClick } from "../session/clipboard.js";
import { openExport } from "./export-dialog.js";

/** @typedef {"session" | "event"} Kind */

const BUTTONS = `
<a class="button action action-report"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#report"></use></svg>Report</a>
<button class="button action action-export" type="button" aria-haspopup="dialog"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#download"></use></svg>Export</button>
<button class="button action action-share" type="button"><svg class="icon" aria-hidden="true"><use href="/static/icons/icons.svg#copy"></use></svg>Copy link</button>`;

/** The buttons of one view. */
export class PageActions {
  #report;
  /** @type {Kind} */
  #kind = "session";
  #id = "";

  /** @param {HTMLElement} box */
  constructor(box) {
    addMarkup(box, "beforeend", BUTTONS);
    this.#report = html(box, ".action-report");
    const button = html(box, ".action-export");
    button.addEventListener("click", () => openExport(this.#kind, this.#id));
    // The address has no token: who opens it needs one of their own.
    copyOnClick(html(box, ".action-share"), () => location.href);
  }

  /**
   * @param {Kind} kind
   * @param {string} id
   * @param {{isReport?: boolean}} [shown] whether the report itself is shown
   */
  show(kind, id, { isReport = false } = {}) {
    this.#kind = kind;
    this.#id = id;
    this.#report.setAttribute("href", reportAddress(kind, id));
    show(this.#report, !isReport);
  }
}
