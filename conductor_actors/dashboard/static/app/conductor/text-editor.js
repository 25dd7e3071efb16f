/** What each type of action says, in all events: shown, edited, and set back to the default. */

import { announce } from "../announcer.js";
import { ApiError, fetchTemplates, sendTemplates } from "../api.js";
import { fromTemplate, html, setText, show } from "../element.js";
import { printable } from "../format.js";
import { ACTIONS, interventionName } from "./interventions.js";
import { mayConduct, refuseConduct } from "../token.js";
import { contentText } from "./content-fields.js";
import { ContentForm } from "./content-form.js";

/** @import { Templates } from "../../types.d.ts" */
/** @import { Content } from "./content-fields.js" */

const REFUSED = 403;

/** @typedef {Readonly<Record<string, Content>>} Contents */

/** The texts of a tenant. Each is changed on its own, and the others stay as they are stored. */
export class TextEditor {
  #root;
  #texts = ACTIONS.map((type) => new ActionText(type));

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    html(root, ".texts-list").append(...this.#texts.map(({ element }) => element));
  }

  /**
   * Request the texts.
   * @param {boolean} canChange
   */
  async load(canChange) {
    const state = html(this.#root, ".texts-state");
    try {
      const templates = await fetchTemplates();
      for (const text of this.#texts) text.show(templates, canChange);
      const names = templates.placeholders.map((name) => `{${name}}`).join(", ");
      setText(html(this.#root, ".texts-placeholders"), `They may have ${names}, which are filled in.`);
      setText(state, "");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(state, `The texts could not be loaded. Server response: ${error.message}`);
    }
  }
}

/** The text of one type of action. */
class ActionText {
  element = fromTemplate("text");
  #type;
  #form = new ContentForm(html(this.element, ".content"));
  #isEditing = false;
  #isReplaced = false;
  #canChange = false;

  /** @param {string} type */
  constructor(type) {
    this.#type = type;
    setText(html(this.element, ".text-type"), interventionName(type));
    this.#onClick(".edit", () => this.#edit(true));
    this.#onClick(".undo", () => this.#edit(false));
    this.#onClick(".save", () => this.#save());
    this.#onClick(".reset", () => void this.#send(null));
    this.#draw();
  }

  /**
   * @param {string} selector
   * @param {() => void} listener
   */
  #onClick(selector, listener) {
    html(this.element, selector).addEventListener("click", listener);
  }

  /**
   * @param {Templates} templates
   * @param {boolean} canChange
   */
  show({ templates, replaced }, canChange) {
    const content = /** @type {Contents} */ (templates)[this.#type] ?? {};
    this.#isReplaced = replaced.some((type) => type === this.#type);
    this.#canChange = canChange;
    setText(html(this.element, ".text-begin"), printable(contentText(content)));
    if (!this.#isEditing) this.#form.show(content);
    this.#draw();
  }

  #draw() {
    const canChange = this.#canChange && mayConduct();
    setText(html(this.element, ".text-origin"), this.#isReplaced ? "Your text" : "Default");
    show(html(this.element, ".text-actions"), canChange);
    show(html(this.element, ".edit"), !this.#isEditing);
    show(html(this.element, ".undo"), this.#isEditing);
    show(html(this.element, ".save"), this.#isEditing);
    show(html(this.element, ".reset"), !this.#isEditing && this.#isReplaced);
  }

  /** @param {boolean} isEditing */
  #edit(isEditing) {
    this.#isEditing = isEditing;
    setText(html(this.element, ".text-error"), "");
    if (isEditing) this.#form.edit();
    else this.#form.undo();
    this.#draw();
    if (isEditing) this.#form.focus();
    else html(this.element, ".edit").focus();
  }

  #save() {
    const { edited } = this.#form;
    if (this.#form.focusInvalid()) return;
    if (edited === null) this.#edit(false);
    else void this.#send(edited);
  }

  /**
   * Store a text with the others as they are now.
   * @param {Content | null} content null: the default
   */
  async #send(content) {
    try {
      const { templates, replaced } = await fetchTemplates();
      const stored = Object.entries(/** @type {Contents} */ (templates));
      const others = stored.filter(([type]) => type !== this.#type && replaced.some((each) => each === type));
      const own = content === null ? [] : [[this.#type, content]];
      const changed = await sendTemplates(Object.fromEntries([...others, ...own]));
      this.#edit(false);
      this.show(changed, this.#canChange);
      announce(content === null ? "The default is used" : "Saved");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === REFUSED) refuseConduct();
      setText(html(this.element, ".text-error"), `Not saved. Server response: ${error.message}`);
      this.#draw();
    }
  }
}
