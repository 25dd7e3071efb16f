/** The dialog in which a person starts an action: its type, its content, and why. */

import { announce } from "../announcer.js";
import { ApiError, fetchTemplates, startAction } from "../api.js";
import { find, fromTemplate, html, setText, show } from "../element.js";
import { ACTIONS, interventionName } from "./interventions.js";
import { mayConduct, refuseConduct } from "../token.js";
import { ContentForm } from "./content-form.js";

/** @import { ManualRequest, Templates } from "../../types.d.ts" */
/** @import { Content } from "./content-fields.js" */

const REFUSED = 403;

/** The button that opens the dialog, for the session that is shown. */
export class ManualDialog {
  #button;
  #sessionId;
  #onStarted;
  #dialog = find(document, ".manual-dialog", HTMLDialogElement);
  #reason = find(this.#dialog, "#manual-reason", HTMLInputElement);
  #types = html(this.#dialog, ".manual-types");
  #form = new ContentForm(html(this.#dialog, ".content"));
  /** @type {Templates | null} */
  #templates = null;
  #isSending = false;

  /**
   * @param {HTMLElement} button
   * @param {() => string} sessionId
   * @param {() => void} onStarted
   */
  constructor(button, sessionId, onStarted) {
    this.#button = button;
    this.#sessionId = sessionId;
    this.#onStarted = onStarted;
    this.#types.append(...ACTIONS.map(typeChoice));
    this.#types.addEventListener("change", () => this.#showContent());
    button.addEventListener("click", () => void this.#open());
    html(this.#dialog, ".manual-cancel").addEventListener("click", () => this.#dialog.close());
    find(this.#dialog, "form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
  }

  /** @param {boolean} isPossible */
  show(isPossible) {
    show(this.#button, isPossible && mayConduct());
  }

  async #open() {
    this.#setError("");
    this.#reason.value = "";
    this.#dialog.showModal();
    try {
      this.#templates = await fetchTemplates();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#setError(`The texts could not be loaded. Server response: ${error.message}`);
    }
    this.#showContent();
  }

  get #type() {
    return find(this.#types, "input:checked", HTMLInputElement).value;
  }

  get #template() {
    const templates = /** @type {Readonly<Record<string, Content>>} */ (this.#templates?.templates ?? {});
    return templates[this.#type] ?? {};
  }

  #showContent() {
    this.#form.show(this.#template);
    this.#form.edit();
  }

  async #send() {
    if (this.#isSending || this.#templates === null || this.#form.focusInvalid()) return;
    this.#isSending = true;
    const type = this.#type;
    try {
      await startAction({
        ...{ session_id: this.#sessionId(), reason: this.#reason.value.trim() },
        intervention_type: /** @type {ManualRequest["intervention_type"]} */ (type),
        context: { content: this.#form.edited ?? this.#template },
      });
      this.#dialog.close();
      announce(`${interventionName(type)} requested`);
      this.#onStarted();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === REFUSED) refuseConduct();
      this.#setError(`Not sent. Server response: ${error.message}`);
    } finally {
      this.#isSending = false;
    }
  }

  /** @param {string} text */
  #setError(text) {
    setText(html(this.#dialog, ".manual-error"), text);
  }
}

/**
 * @param {string} type
 * @param {number} index
 */
function typeChoice(type, index) {
  const element = fromTemplate("manual-type");
  const input = find(element, "input", HTMLInputElement);
  input.value = type;
  input.defaultChecked = index === 0;
  setText(html(element, "span"), interventionName(type));
  return element;
}
