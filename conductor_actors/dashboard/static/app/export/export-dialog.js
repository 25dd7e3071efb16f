/** The dialog that exports the stored rows of a session, an event or a time range. */

import { announce } from "../announcer.js";
import { ApiError } from "../api.js";
import { find, html, setText, show } from "../element.js";
import { printable } from "../format.js";
import { addMarkup } from "../markup.js";
import { rangeIn, routeOf } from "../routes.js";
import { download } from "./download.js";
import { ColumnList } from "./export-columns.js";
import { exportPath, fieldValue, rangeProblem, sizeText } from "./export-query.js";

/** @import { Range } from "../routes.js" */
/** @import { ExportChoice, ExportKind, Format } from "./export-query.js" */

const DIALOG = `
<dialog class="export-dialog" aria-labelledby="export-title">
  <form class="export-form">
    <h2 id="export-title">Export</h2>
    <p class="quiet export-what"></p>
    <label for="export-table">Data</label>
    <select id="export-table">
      <option value="engagement_metrics">Scores and signals</option>
      <option value="anomalies">Anomalies</option>
      <option value="interventions">What the conductor did</option>
      <option value="agent_performance">What followed what it did</option>
    </select>
    <details class="export-columns"><summary>What the columns mean</summary><p class="export-columns-state"></p><dl></dl></details>
    <fieldset class="export-formats">
      <legend>Format</legend>
      <label><input type="radio" name="export-format" value="csv" checked><span>CSV</span></label>
      <label><input type="radio" name="export-format" value="excel"><span>CSV for Excel</span></label>
      <label><input type="radio" name="export-format" value="jsonl"><span>JSON lines</span></label>
      <label><input type="radio" name="export-format" value="parquet"><span>Parquet</span></label>
    </fieldset>
    <div class="export-times">
      <label>From <input class="export-from" type="datetime-local" step="1" max="9999-12-31T23:59:59"></label>
      <label>Until before <input class="export-to" type="datetime-local" step="1" max="9999-12-31T23:59:59"></label>
    </div>
    <p class="quiet export-hint"></p>
    <div class="export-progress" hidden><progress aria-label="Download"></progress><span class="export-bytes"></span></div>
    <p class="export-done"></p>
    <p class="export-error" role="alert"></p>
    <div class="dialog-buttons"><button class="button export-close" type="button">Close</button><button class="button primary export-start" type="submit">Download</button></div>
  </form>
</dialog>`;

/** @type {ExportDialog | null} */
let dialog = null;

/**
 * Open the dialog for a session, an event, or all sessions in a time range.
 * @param {ExportKind} kind
 * @param {string} id empty: all sessions
 * @param {Range} [range] by default, that of the address
 */
export function openExport(kind, id, range = rangeIn(routeOf(location.hash).query)) {
  dialog ??= new ExportDialog();
  dialog.open(kind, id, range);
}

class ExportDialog {
  #dialog;
  #from;
  #to;
  #error;
  /** @type {ExportKind} */
  #kind = "session";
  #id = "";
  /** @type {AbortController | null} */
  #download = null;

  constructor() {
    addMarkup(document.body, "beforeend", DIALOG);
    this.#dialog = find(document, ".export-dialog", HTMLDialogElement);
    this.#from = find(this.#dialog, ".export-from", HTMLInputElement);
    this.#to = find(this.#dialog, ".export-to", HTMLInputElement);
    this.#error = html(this.#dialog, ".export-error");
    const details = find(this.#dialog, ".export-columns", HTMLDetailsElement);
    new ColumnList(details, find(this.#dialog, "#export-table", HTMLSelectElement));
    html(this.#dialog, ".export-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#download?.abort());
    find(this.#dialog, "form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#start();
    });
  }

  /**
   * @param {ExportKind} kind
   * @param {string} id
   * @param {Range} range
   */
  open(kind, id, { fromMs, toMs }) {
    this.#kind = kind;
    this.#id = id;
    this.#from.value = fieldValue(fromMs);
    this.#to.value = fieldValue(toMs);
    const what = kind === "all" ? "All sessions, in a range of time" : `${kind === "event" ? "All sessions of event" : "Session"} ${printable(id)}`;
    setText(html(this.#dialog, ".export-what"), what);
    const hint = kind === "all" ? "" : "Leave both empty for everything that is stored.";
    setText(html(this.#dialog, ".export-hint"), hint);
    this.#show(false, "", "");
    this.#dialog.showModal();
  }

  async #start() {
    const choice = this.#choice();
    const problem = rangeProblem(choice);
    if (problem !== "") return this.#show(false, "", problem);
    const started = new AbortController();
    this.#download = started;
    this.#show(true, "", "");
    announce("The download has started.");
    let received = 0;
    const onBytes = (/** @type {number} */ bytes) => {
      received = bytes;
      setText(html(this.#dialog, ".export-bytes"), `${sizeText(bytes)} received`);
    };
    try {
      const { name, bytes } = await download(exportPath(choice), { signal: started.signal, onBytes });
      this.#show(false, `${name}, ${sizeText(bytes)}, is saved with your downloads.`, "");
      announce("The download is complete.");
    } catch (error) {
      if (started.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      const reached = received > 0 ? ` after ${sizeText(received)}` : "";
      this.#show(false, "", `Nothing was saved: ${error.message}${reached}.`);
    } finally {
      if (this.#download === started) this.#download = null;
    }
  }

  /** @returns {ExportChoice} */
  #choice() {
    const format = find(this.#dialog, "[name=export-format]:checked", HTMLInputElement).value;
    return {
      ...{ kind: this.#kind, id: this.#id, format: /** @type {Format} */ (format) },
      table: find(this.#dialog, "#export-table", HTMLSelectElement).value,
      ...{ from: this.#from.value, to: this.#to.value },
    };
  }

  /**
   * @param {boolean} isRunning
   * @param {string} done
   * @param {string} error
   */
  #show(isRunning, done, error) {
    show(html(this.#dialog, ".export-progress"), isRunning);
    setText(html(this.#dialog, ".export-bytes"), isRunning ? "Waiting for the first rows …" : "");
    setText(html(this.#dialog, ".export-close"), isRunning ? "Cancel" : "Close");
    setText(html(this.#dialog, ".export-done"), done);
    setText(this.#error, error);
    find(this.#dialog, ".export-start", HTMLButtonElement).disabled = isRunning;
  }
}
