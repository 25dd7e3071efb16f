/** The conductor of the session that is shown: its status, its mode, and what it suggests. */

import { setMode } from "../api.js";
import { html, setText, show } from "../element.js";
import { duration, time } from "../format.js";
import {
  interventionInText,
  interventionName,
  isHold,
  isUnderWay,
  isWaiting,
  WINDOW_END_MS,
} from "./interventions.js";
import { statusName } from "./modes.js";
import { mayConduct } from "../token.js";
import { ModeControl } from "./mode-control.js";
import { announceSuggestion } from "./suggestion-announcer.js";
import { SuggestionCard } from "./suggestion-card.js";

/** @import { Update } from "../../types.d.ts" */
/** @import { Intervention } from "./intervention-bodies.js" */
/** @import { Mode } from "./modes.js" */
/** @import { TickClock } from "../tick-clock.js" */
/** @import { ModeDialog } from "./mode-dialog.js" */

const REFRESH_MS = 1_000; // of what changes with time
const KEPT_MS = 10_000; // a card that is decided, after its end
const ENDED = ["SENT", "EXECUTED", "FAILED", "DISMISSED", "EXPIRED", "COMPLETED"];

/** Its bar has a constant height. Cards appear below it. */
export class ConductorPanel {
  #root;
  #clock;
  #mode;
  #onDecision;
  #sessionId = "";
  /** @type {Update | null} */
  #latest = null;
  /** Newest first. @type {readonly Intervention[]} */
  #interventions = [];
  #isEnabled = true;
  /** @type {Mode} */
  #defaultMode = "SEMI_AUTO";
  /** @type {Map<string, SuggestionCard>} */
  #cards = new Map();

  /**
   * @param {HTMLElement} root
   * @param {TickClock} clock
   * @param {ModeDialog} dialog
   * @param {() => void} onDecision
   */
  constructor(root, clock, dialog, onDecision) {
    this.#root = root;
    this.#clock = clock;
    this.#onDecision = onDecision;
    this.#mode = new ModeControl(html(root, ".mode"), dialog, () => ({
      title: "Mode of this session",
      mode: this.#agent.mode,
      canInherit: true,
      send: (mode) => setMode("sessions", this.#sessionId, mode),
    }));
    setInterval(() => this.#drawTimes(), REFRESH_MS);
  }

  /** @param {string} sessionId */
  open(sessionId) {
    this.#sessionId = sessionId;
    this.#latest = null;
    this.#interventions = [];
    this.#mode.reset();
    this.#cards.clear();
    html(this.#root, ".suggestions").replaceChildren();
  }

  /**
   * @param {Update | null} latest
   * @param {readonly Intervention[]} interventions oldest first
   * @param {{isEnabled: boolean, defaultMode: Mode}} conductor
   */
  show(latest, interventions, { isEnabled, defaultMode }) {
    this.#latest = latest;
    this.#interventions = interventions.toReversed();
    this.#isEnabled = isEnabled;
    this.#defaultMode = defaultMode;
    this.#root.dataset["enabled"] = String(isEnabled);
    show(html(this.#root, ".conductor-read-only"), !mayConduct() && isEnabled);
    this.#mode.show(this.#agent.mode, latest ? Date.parse(latest.timestamp) : 0, isEnabled);
    this.#showCards();
    this.#drawTimes();
  }

  get #agent() {
    return this.#latest?.agent ?? { mode: this.#defaultMode, status: "MONITORING" };
  }

  #showCards() {
    const waiting = this.#latest ? this.#interventions.filter((each) => this.#isShown(each)) : [];
    const list = html(this.#root, ".suggestions");
    for (const [id, card] of this.#cards) {
      if (waiting.some((each) => each.id === id)) continue;
      this.#cards.delete(id);
      if (card.element.contains(document.activeElement)) html(this.#root, "h2").focus();
      card.element.remove();
    }
    for (const each of waiting) {
      let card = this.#cards.get(each.id);
      if (card) card.show(each);
      else {
        card = new SuggestionCard(each, () => this.#clock.nowMs, this.#onDecision);
        this.#cards.set(each.id, card);
        list.append(card.element);
        announceSuggestion(each, { isShown: true });
      }
    }
  }

  /**
   * Whether an intervention has a card: it waits, or was decided a moment ago.
   * @param {Intervention} intervention
   */
  #isShown(intervention) {
    const { id, status, steps, origin } = intervention;
    const { nowMs } = this.#clock;
    if (!this.#isEnabled || origin !== "suggest") return false;
    if (isWaiting(intervention, nowMs)) return true;
    if (!this.#cards.has(id)) return false;
    const endMs = Math.max(...ENDED.map((each) => steps[each] ?? 0));
    return status === "SUGGESTED" || status === "APPROVED" || nowMs < endMs + KEPT_MS;
  }

  /** Draw what changes with time. It is no live region. */
  #drawTimes() {
    if (this.#root.offsetParent === null) return;
    for (const card of this.#cards.values()) card.draw();
    const [status, title, text] = this.#state();
    this.#root.dataset["status"] = status;
    setText(html(this.#root, ".conductor-status"), title);
    setText(html(this.#root, ".conductor-text"), text);
  }

  /** @returns {[status: string, title: string, text: string]} */
  #state() {
    const { mode, status } = this.#agent;
    if (!this.#isEnabled) {
      return ["DISABLED", "Switched off for the whole service", "Nothing is suggested and nothing is sent (CONDUCTOR_INTERVENTIONS)."];
    }
    if (mode === "OFF") return ["OFF", "Off", "Nothing is suggested and nothing is sent in this session."];
    const waiting = this.#interventions.filter((each) => isWaiting(each, this.#clock.nowMs)).length;
    if (waiting > 0) return ["WAITING_APPROVAL", statusName("WAITING_APPROVAL"), waiting > 1 ? `${waiting} suggestions` : "1 suggestion"];
    const current = this.#interventions.find(isUnderWay);
    if (current) return [status, statusName(status), this.#progress(current)];
    return [status, statusName(status), status === "MONITORING" ? "Nothing to decide." : ""];
  }

  /** @param {Intervention} current */
  #progress(current) {
    const { atMs, type, steps, status } = current;
    const left = Math.max(0, atMs + WINDOW_END_MS - this.#clock.nowMs);
    const known = ` What follows is known in ${duration(left)}.`;
    if (isHold(current)) return `Does nothing on purpose, to learn what happens without it.${known}`;
    const sentMs = steps["SENT"];
    if (status === "APPROVED" || sentMs === undefined) return `Sends ${interventionInText(type)}.`;
    return `${interventionName(type)} sent at ${time(sentMs)}.${known}`;
  }
}
