/** The dialog that sets the mode of a session or an event, and says what each mode means. */

import { announce } from "../announcer.js";
import { ApiError } from "../api.js";
import { find, fromTemplate, html, setText, show } from "../element.js";
import { MODES, modeName } from "./modes.js";
import { refuseConduct } from "../token.js";

/** @import { Mode } from "./modes.js" */

/**
 * What is set: `send` requests it, and null is the mode of the session's event.
 * @typedef {Readonly<{
 *   title: string, mode: Mode, canInherit: boolean, send: (mode: Mode | null) => Promise<unknown>,
 *   onSet: (mode: Mode | null) => void,
 * }>} ModeRequest
 */

const REFUSED = 403;
const INHERIT = "";

/** One dialog for all. A mode is set by its button, not by a step through the choice. */
export class ModeDialog {
  #dialog = find(document, ".mode-dialog", HTMLDialogElement);
  #form = find(this.#dialog, "form", HTMLFormElement);
  #choices = html(this.#dialog, ".mode-choices");
  /** @type {ModeRequest | null} */
  #request = null;
  #isSending = false;

  constructor() {
    this.#choices.append(...MODES.map(([mode, name, meaning]) => choice(mode, name, meaning)));
    this.#choices.append(choice(INHERIT, "As its event", "Follows the mode of the event, also when that changes."));
    html(this.#dialog, ".mode-cancel").addEventListener("click", () => this.#dialog.close());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
  }

  /** @param {ModeRequest} request */
  open(request) {
    this.#request = request;
    setText(html(this.#dialog, "#mode-title"), request.title);
    setText(html(this.#dialog, ".mode-error"), "");
    for (const input of this.#choices.querySelectorAll("input")) {
      input.checked = input.value === request.mode;
      show(/** @type {HTMLElement} */ (input.parentElement), input.value !== INHERIT || request.canInherit);
    }
    this.#dialog.showModal();
    find(this.#choices, "input:checked", HTMLInputElement).focus();
  }

  async #send() {
    const request = this.#request;
    if (!request || this.#isSending) return;
    this.#isSending = true;
    const { value } = find(this.#choices, "input:checked", HTMLInputElement);
    const mode = value === INHERIT ? null : /** @type {Mode} */ (value);
    try {
      await request.send(mode);
      this.#dialog.close();
      request.onSet(mode);
      announce(mode === null ? "Mode: as its event" : `Mode: ${modeName(mode)}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === REFUSED) refuseConduct();
      setText(html(this.#dialog, ".mode-error"), `Not set. Server response: ${error.message}`);
    } finally {
      this.#isSending = false;
    }
  }
}

/**
 * @param {string} mode
 * @param {string} name
 * @param {string} meaning
 */
function choice(mode, name, meaning) {
  const element = fromTemplate("mode-choice");
  const input = find(element, "input", HTMLInputElement);
  input.value = mode;
  setText(html(element, ".mode-name"), name);
  setText(html(element, ".mode-meaning"), meaning);
  return element;
}
