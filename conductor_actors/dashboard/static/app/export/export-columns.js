/** What the columns of an export mean, as the service describes them. */

import { ApiError, get } from "../api.js";
import { html, setText } from "../element.js";

/** @import { ExportColumns } from "../../types.d.ts" */

/** Loads the descriptions when they are opened for the first time. */
export class ColumnList {
  #details;
  #table;
  /** @type {ExportColumns | null} */
  #columns = null;

  /**
   * @param {HTMLDetailsElement} details
   * @param {HTMLSelectElement} table whose columns are shown
   */
  constructor(details, table) {
    this.#details = details;
    this.#table = table;
    details.addEventListener("toggle", () => void this.#load());
    table.addEventListener("change", () => this.#draw());
  }

  async #load() {
    if (!this.#details.open || this.#columns !== null) return;
    const state = html(this.#details, ".export-columns-state");
    setText(state, "Loading …");
    try {
      this.#columns = await get("export/columns");
      setText(state, "");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(state, `The columns could not be loaded. Server response: ${error.message}.`);
    }
    this.#draw();
  }

  #draw() {
    const table = this.#columns?.tables.find(({ name }) => name === this.#table.value);
    const texts = (table?.columns ?? []).flatMap(({ name, type, description }) => [
      textElement("dt", `${name} (${type})`),
      textElement("dd", description),
    ]);
    html(this.#details, "dl").replaceChildren(...texts);
  }
}

/**
 * @param {"dt" | "dd"} tag
 * @param {string} text
 */
function textElement(tag, text) {
  const element = document.createElement(tag);
  setText(element, text);
  return element;
}
