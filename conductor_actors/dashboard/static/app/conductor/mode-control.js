/** The mode of a session or an event, what it means, and the button that changes it. */

import { html, setText, show } from "../element.js";
import { modeMeaning, modeName } from "./modes.js";
import { mayConduct } from "../token.js";

/** @import { Mode } from "./modes.js" */
/** @import { ModeDialog } from "./mode-dialog.js" */

const TICKS_UNTIL_REPORTED = 2; // the next one may have been under way

/** What was set here is shown until the service reports a mode that it can have affected. */
export class ModeControl {
  #root;
  #dialog;
  #request;
  /** @type {Mode | null} */
  #setMode = null;
  #ticksSince = 0;
  #tickMs = 0;

  /**
   * @param {HTMLElement} root
   * @param {ModeDialog} dialog
   * @param {() => {title: string, mode: Mode, canInherit: boolean, send: (mode: Mode | null) => Promise<unknown>}} request
   */
  constructor(root, dialog, request) {
    this.#root = root;
    this.#dialog = dialog;
    this.#request = request;
    html(root, ".mode-change").addEventListener("click", () => this.#open());
  }

  /** Forget what was set. */
  reset() {
    this.#setMode = null;
  }

  /**
   * @param {Mode} mode as reported
   * @param {number} tickMs that of the report
   * @param {boolean} canChange
   */
  show(mode, tickMs, canChange) {
    if (tickMs !== this.#tickMs) this.#ticksSince += 1;
    this.#tickMs = tickMs;
    if (this.#ticksSince >= TICKS_UNTIL_REPORTED) this.#setMode = null;
    const shown = this.#setMode ?? mode;
    this.#root.dataset["mode"] = shown;
    setText(html(this.#root, ".mode-shown"), modeName(shown));
    setText(html(this.#root, ".mode-means"), modeMeaning(shown));
    show(html(this.#root, ".mode-change"), canChange && mayConduct());
  }

  #open() {
    const request = this.#request();
    this.#dialog.open({
      ...request,
      mode: this.#setMode ?? request.mode,
      onSet: (mode) => {
        this.#setMode = mode;
        this.#ticksSince = 0;
        this.show(mode ?? request.mode, this.#tickMs, true);
        html(this.#root, ".mode-change").focus();
      },
    });
  }
}
