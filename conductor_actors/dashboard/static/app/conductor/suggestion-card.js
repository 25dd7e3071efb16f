/** A suggestion: why, what exactly will be sent, until when, and the decision about it. */

import { announce } from "../announcer.js";
import { ApiError, approve, dismiss } from "../api.js";
import { find, fromTemplate, html, setText, show } from "../element.js";
import { duration, percent, printable, time } from "../format.js";
import { incidentName } from "../incidents.js";
import { interventionInText, interventionName, isWaiting } from "./interventions.js";
import { mayConduct, refuseConduct } from "../token.js";
import { ContentForm } from "./content-form.js";

/** @import { Intervention } from "./intervention-bodies.js" */
/** @import { Content } from "./content-fields.js" */

const REFUSED = 403;
/** @type {Readonly<Record<string, string>>} */
const SENT_TEXTS = { EXECUTED: "Sent and carried out.", FAILED: "Sent, but the platform could not do it." };

/** One card for one intervention. A decision is shown as sent until the conductor confirms it. */
export class SuggestionCard {
  element = fromTemplate("suggestion");
  #intervention;
  #nowMs;
  #onDecision;
  #form = new ContentForm(html(this.element, ".content"));
  #isEditing = false;
  /** What was decided here, and is not confirmed. @type {"approve" | "dismiss" | null} */
  #decided = null;
  #isSending = false;

  /**
   * @param {Intervention} intervention
   * @param {() => number} nowMs by the clock of the service
   * @param {() => void} onDecision
   */
  constructor(intervention, nowMs, onDecision) {
    this.#intervention = intervention;
    this.#nowMs = nowMs;
    this.#onDecision = onDecision;
    const title = html(this.element, ".suggestion-title");
    title.id = `suggestion-${intervention.id}`;
    this.element.setAttribute("aria-labelledby", title.id);
    this.#onClick(".approve", () => void this.#approve());
    this.#onClick(".dismiss", () => void this.#send("dismiss", null));
    this.#onClick(".edit", () => this.#edit(true));
    this.#onClick(".undo", () => this.#edit(false));
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.show(intervention);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "Escape" || !this.#isEditing) return;
    event.preventDefault(); // which would leave the session, and lose the texts
    this.#edit(false);
  }

  /**
   * @param {string} selector
   * @param {() => void} listener
   */
  #onClick(selector, listener) {
    html(this.element, selector).addEventListener("click", listener);
  }

  /** @param {Intervention} intervention its newest state */
  show(intervention) {
    this.#intervention = intervention;
    const { type, reason, confidence, anomalyType, content } = intervention;
    setText(html(this.element, ".suggestion-title"), `Suggestion: ${interventionInText(type)}`);
    setText(html(this.element, ".suggestion-anomaly"), anomalyType ? incidentName(anomalyType) : "");
    setText(html(this.element, ".suggestion-reason"), printable(reason));
    setText(html(this.element, ".suggestion-confidence strong"), confidence === null ? "–" : percent(confidence));
    setText(html(this.element, ".suggestion-meaning"), `that ${interventionInText(type)} is better than doing nothing`);
    if (!this.#isEditing) this.#form.show(content ?? {});
    this.draw();
  }

  /** Draw what changes with time, and with a decision. */
  draw() {
    const { expiresMs, status } = this.#intervention;
    const isOpen = isWaiting(this.#intervention, this.#nowMs());
    const canDecide = isOpen && mayConduct() && this.#decided === null;
    this.element.dataset["state"] = canDecide ? "open" : "closed";
    setText(html(this.element, ".suggestion-left"), isOpen ? duration(expiresMs - this.#nowMs()) : "");
    setText(html(this.element, ".suggestion-until"), isOpen ? `Expires at ${time(expiresMs)}, in` : "Expired");
    show(html(this.element, ".suggestion-actions"), canDecide);
    show(html(this.element, ".edit"), !this.#isEditing && this.#form.canEdit);
    show(html(this.element, ".undo"), this.#isEditing);
    setText(html(this.element, ".approve"), this.#isEditing ? "Approve edited" : "Approve");
    setText(html(this.element, ".suggestion-state"), this.#stateText(status, isOpen));
  }

  /**
   * @param {string} status
   * @param {boolean} isOpen
   */
  #stateText(status, isOpen) {
    if (["SENT", "EXECUTED", "FAILED"].includes(status)) return SENT_TEXTS[status] ?? "Sent.";
    if (status === "DISMISSED" || this.#decided === "dismiss") return "Dismissed. Nothing is sent.";
    if (status === "APPROVED" || this.#decided) return "Approved. It is sent within a few seconds.";
    if (status === "EXPIRED" || !isOpen) return "Nobody approved it in time. Nothing is sent.";
    return "";
  }

  /** @param {boolean} isEditing */
  #edit(isEditing) {
    this.#isEditing = isEditing;
    this.#setError("");
    if (isEditing) this.#form.edit();
    else this.#form.undo();
    this.draw();
    if (isEditing) this.#form.focus();
    else html(this.element, ".edit").focus();
  }

  async #approve() {
    if (this.#isEditing && this.#form.focusInvalid()) return;
    await this.#send("approve", this.#isEditing ? this.#form.edited : null);
  }

  /**
   * @param {"approve" | "dismiss"} decision
   * @param {Content | null} content
   */
  async #send(decision, content) {
    if (this.#isSending) return;
    this.#isSending = true;
    this.#setError("");
    const { sessionId, id, type } = this.#intervention;
    try {
      await (decision === "approve" ? approve(sessionId, id, content) : dismiss(sessionId, id));
      this.#decided = decision;
      this.#isEditing = false;
      announce(`${interventionName(type)} ${decision === "approve" ? "approved" : "dismissed"}`);
      this.draw();
      find(this.element, ".suggestion-title", HTMLElement).focus();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === REFUSED) refuseConduct();
      this.#setError(`Not ${decision === "approve" ? "approved" : "dismissed"}. Server response: ${error.message}`);
      this.draw();
    } finally {
      this.#isSending = false;
      this.#onDecision();
    }
  }

  /** @param {string} text an alert, so that it is announced */
  #setError(text) {
    setText(html(this.element, ".suggestion-error"), text);
  }
}
