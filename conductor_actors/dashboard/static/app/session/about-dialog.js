/** The dialog that changes what a session is called, who speaks, and when it is planned. */

import { announce } from "../announcer.js";
import { ApiError } from "../api.js";
import { find, html, setText } from "../element.js";
import { sendAbout } from "../history-api.js";
import { addMarkup } from "../markup.js";
import { refuseAdminister } from "../token.js";
import { ABOUT_DIALOG } from "./range-markup.js";

/** @import { AboutRequest } from "../../types.d.ts" */
/** @import { SessionSummary } from "../history-api.js" */

const REFUSED = 403;

/** Times are those of the local time zone. */
export class AboutDialog {
  #dialog;
  #error;
  #fields;
  #onChanged;
  /** @type {SessionSummary | null} */
  #summary = null;
  #isSending = false;

  /** @param {(summary: SessionSummary | null) => void} onChanged null: the token may not change it */
  constructor(onChanged) {
    this.#onChanged = onChanged;
    addMarkup(document.body, "beforeend", ABOUT_DIALOG);
    this.#dialog = find(document, ".about-dialog", HTMLDialogElement);
    this.#error = html(this.#dialog, ".about-error");
    const input = (/** @type {string} */ id) => find(this.#dialog, `#about-${id}`, HTMLInputElement);
    this.#fields = {
      ...{ title: input("name"), begin: input("begin"), end: input("end"), eventTitle: input("event") },
      speakers: find(this.#dialog, "#about-speakers", HTMLTextAreaElement),
    };
    html(this.#dialog, ".about-cancel").addEventListener("click", () => this.#dialog.close());
    find(this.#dialog, "form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
  }

  /** @param {SessionSummary} summary */
  open(summary) {
    this.#summary = summary;
    this.#fields.title.value = summary.title ?? "";
    this.#fields.speakers.value = summary.speakers.join("\n");
    this.#fields.begin.value = localTime(summary.plannedBegin);
    this.#fields.end.value = localTime(summary.plannedEnd);
    this.#fields.eventTitle.value = summary.eventTitle ?? "";
    setText(this.#error, "");
    this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
  }

  async #send() {
    const summary = this.#summary;
    if (summary === null || this.#isSending) return;
    const about = this.#entered(summary);
    if (about.plannedBegin && about.plannedEnd && about.plannedBegin >= about.plannedEnd) {
      setText(this.#error, "The planned end must be after the begin.");
      return;
    }
    this.#isSending = true;
    try {
      const changed = await sendAbout(summary.sessionId, about);
      this.#dialog.close();
      this.#onChanged(changed);
      announce("Saved");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(this.#error, `Not saved. Server response: ${error.message}`);
      if (error.status !== REFUSED) return;
      refuseAdminister();
      this.#onChanged(null);
    } finally {
      this.#isSending = false;
    }
  }

  /**
   * Return what the fields have. The title of the event, which other sessions have, too, is sent only
   * if it was changed.
   * @param {SessionSummary} summary
   * @returns {AboutRequest}
   */
  #entered(summary) {
    const { title, speakers, begin, end, eventTitle } = this.#fields;
    const names = speakers.value.split("\n").map((name) => name.trim());
    const nameOfEvent = eventTitle.value.trim() || null;
    return {
      title: title.value.trim() || null,
      speakers: names.filter(Boolean),
      plannedBegin: instant(begin.value),
      plannedEnd: instant(end.value),
      ...(nameOfEvent === summary.eventTitle ? {} : { eventTitle: nameOfEvent }),
    };
  }
}

/**
 * Return an instant as the field of a local time has it; null: empty.
 * @param {string | null} timestamp
 */
function localTime(timestamp) {
  if (timestamp === null) return "";
  const at = new Date(timestamp);
  const parts = [at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes()];
  const [month, date, hours, minutes] = parts.map((part) => String(part).padStart(2, "0"));
  return `${String(at.getFullYear()).padStart(4, "0")}-${month}-${date}T${hours}:${minutes}`;
}

/** @param {string} local */
function instant(local) {
  return local === "" ? null : new Date(local).toISOString();
}
