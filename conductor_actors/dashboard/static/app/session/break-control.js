/** A break that is arranged for a session: no anomaly is reported until it ends. */

import { announce } from "../announcer.js";
import { ApiError, sendQuiet } from "../api.js";
import { find, html, setText, show } from "../element.js";
import { minute } from "../format.js";
import { mayConduct, refuseConduct } from "../token.js";

/** @import { Update } from "../../types.d.ts" */
/** @import { TickClock } from "../tick-clock.js" */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const TICKS_UNTIL_REPORTED = 2; // the next one may have been under way

/** The button, its dialog, and the state of the break. Absent if the token does not allow breaks. */
export class BreakControl {
  #root;
  #dialog;
  #clock;
  #onChange;
  #sessionId = "";
  /** What was arranged here and need not be in an update yet. @type {number | null} */
  #arrangedMs = null;
  #ticksSince = 0;
  #reportedMs = 0;
  #timestamp = "";

  /**
   * @param {HTMLElement} root
   * @param {TickClock} clock
   * @param {() => void} onChange
   */
  constructor(root, clock, onChange) {
    this.#root = root;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#dialog = find(document, ".break-dialog", HTMLDialogElement);
    html(root, ".break-open").addEventListener("click", () => this.#open());
    html(root, ".break-end").addEventListener("click", () => void this.#send(null));
    html(this.#dialog, ".break-cancel").addEventListener("click", () => this.#dialog.close());
    for (const button of this.#dialog.querySelectorAll("[data-minutes]")) {
      const lengthMs = Number(/** @type {HTMLElement} */ (button).dataset["minutes"]) * MINUTE_MS;
      button.addEventListener("click", () => void this.#send(this.#clock.nowMs + lengthMs));
    }
    find(this.#dialog, "form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send(this.#chosenMs());
    });
  }

  /** @param {string} sessionId */
  open(sessionId) {
    this.#sessionId = sessionId;
    this.#arrangedMs = null;
    this.#reportedMs = 0;
    this.#dialog.close();
  }

  /**
   * Show the break that the newest update reports, if any; return its end for people, or an empty text.
   * @param {Update | null} latest
   */
  show(latest) {
    const { timestamp = "", quietUntil } = latest ?? {};
    if (timestamp !== this.#timestamp) this.#ticksSince += 1;
    this.#timestamp = timestamp;
    this.#reportedMs = quietUntil === undefined ? 0 : Date.parse(quietUntil);
    if (this.#ticksSince >= TICKS_UNTIL_REPORTED) this.#arrangedMs = null;
    return this.#draw();
  }

  #draw() {
    const untilMs = this.#arrangedMs ?? this.#reportedMs;
    const text = untilMs > this.#clock.nowMs ? minute(untilMs) : "";
    show(this.#root, mayConduct());
    setText(html(this.#root, ".break-state"), text && `Break until ${text}`);
    show(html(this.#root, ".break-state"), text !== "");
    show(html(this.#root, ".break-end"), text !== "");
    show(html(this.#root, ".break-open"), text === "");
    return text;
  }

  #open() {
    setText(html(this.#dialog, ".break-error"), "");
    find(this.#dialog, "#break-until", HTMLInputElement).value = minute(this.#clock.nowMs + 15 * MINUTE_MS);
    this.#dialog.showModal();
  }

  /** The next moment that has the time of the field. */
  #chosenMs() {
    const [hours = 0, minutes = 0] = find(this.#dialog, "#break-until", HTMLInputElement).value.split(":").map(Number);
    const until = new Date(this.#clock.nowMs).setHours(hours, minutes, 0, 0);
    return until > this.#clock.nowMs ? until : until + DAY_MS;
  }

  /** @param {number | null} untilMs null: end the break */
  async #send(untilMs) {
    try {
      await sendQuiet(this.#sessionId, untilMs === null ? null : new Date(untilMs));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#onError(error);
      return;
    }
    this.#arrangedMs = untilMs ?? 0;
    this.#ticksSince = 0;
    this.#draw();
    this.#onChange();
    announce(untilMs === null ? "The break has ended" : `Break until ${minute(untilMs)}`);
    this.#dialog.close();
    html(this.#root, untilMs === null ? ".break-open" : ".break-end").focus();
  }

  /** @param {ApiError} error */
  #onError(error) {
    if (error.status === 403) {
      refuseConduct();
      this.#draw();
      this.#dialog.close();
    }
    announce(`The break was not arranged: ${error.message}`);
    setText(html(this.#dialog, ".break-error"), `Server response: ${error.message}`);
  }
}
