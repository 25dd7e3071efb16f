/** What an action will send: all of its content, whose texts turn into fields to edit them. */

import { fromTemplate, html, setText } from "../element.js";
import { count, printable } from "../format.js";
import { fieldsOf, withTexts } from "./content-fields.js";

/** @import { Content, Field } from "./content-fields.js" */

let forms = 0; // makes ids unique

/** One content at a time. */
export class ContentForm {
  #root;
  #id = (forms += 1);
  /** @type {Content} */
  #content = {};
  /** @type {ContentRow[]} */
  #rows = [];

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
  }

  /** @param {Content} content */
  show(content) {
    if (JSON.stringify(content) === JSON.stringify(this.#content)) return;
    this.#content = content;
    this.#rows = fieldsOf(content).map((field, index) => new ContentRow(field, `content-${this.#id}-${index}`));
    this.#root.replaceChildren(...this.#rows.map(({ element }) => element));
  }

  get canEdit() {
    return this.#rows.some(({ isText }) => isText);
  }

  /** Turn the texts into fields. */
  edit() {
    for (const row of this.#rows) row.edit();
  }

  /** Focus the first text. */
  focus() {
    this.#rows.find(({ isText }) => isText)?.focus();
  }

  /** Show the content as it was before `edit`. */
  undo() {
    for (const row of this.#rows) row.undo();
  }

  /** Return the content as it was edited; null: nothing was changed. */
  get edited() {
    const changed = this.#rows.filter(({ isChanged }) => isChanged);
    return changed.length > 0 ? withTexts(this.#content, changed.map(({ path, text }) => ({ path, text }))) : null;
  }

  /** Focus the first field that is empty or too long; return whether there is one. */
  focusInvalid() {
    const invalid = this.#rows.find((row) => row.problem !== "");
    for (const row of this.#rows) row.drawProblem();
    invalid?.focus();
    return invalid !== undefined;
  }
}

/** One field of the content. */
class ContentRow {
  element = fromTemplate("content-row");
  #value = html(this.element, ".content-value");
  #field;
  /** @type {HTMLTextAreaElement | null} */
  #input = null;
  #id;

  /**
   * @param {Field} field
   * @param {string} id
   */
  constructor(field, id) {
    this.#field = field;
    this.#id = id;
    setText(html(this.element, ".content-label"), field.label);
    this.#drawText();
  }

  get path() {
    return this.#field.path;
  }

  get isText() {
    return this.#field.maxLength !== null;
  }

  get text() {
    return this.#input?.value.trim() ?? this.#field.text;
  }

  get isChanged() {
    return this.#input !== null && this.text !== this.#field.text;
  }

  /** What is wrong with the text; empty: nothing. */
  get problem() {
    const { maxLength } = this.#field;
    if (this.#input === null || maxLength === null) return "";
    if (this.text === "") return "Needed";
    const length = [...this.text].length;
    return length > maxLength ? `${count(length - maxLength)} too long` : "";
  }

  edit() {
    const { label, text, maxLength } = this.#field;
    if (maxLength === null || this.#input) return;
    const input = (this.#input = document.createElement("textarea"));
    input.value = text;
    input.rows = 1;
    input.id = this.#id;
    input.setAttribute("aria-label", label);
    input.setAttribute("aria-describedby", `${this.#id}-bound`);
    const bound = document.createElement("span");
    bound.id = `${this.#id}-bound`;
    bound.className = "content-bound quiet";
    input.addEventListener("input", () => this.drawProblem());
    // A text has one line: Enter does not add another.
    input.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
    this.#value.replaceChildren(input, bound);
    this.drawProblem();
  }

  undo() {
    this.#input = null;
    this.#drawText();
  }

  focus() {
    this.#input?.focus();
  }

  drawProblem() {
    const input = this.#input;
    if (!input) return;
    const { problem } = this;
    input.setAttribute("aria-invalid", String(problem !== ""));
    const used = `${[...this.text].length} of ${this.#field.maxLength} characters`;
    setText(html(this.#value, ".content-bound"), problem === "" ? used : `${used}: ${problem.toLowerCase()}`);
  }

  #drawText() {
    const text = document.createElement("bdi");
    text.textContent = printable(this.#field.text);
    this.#value.replaceChildren(text);
  }
}
