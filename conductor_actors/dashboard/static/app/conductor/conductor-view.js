/** The view of the conductor in all sessions: suggestions, modes, effects, and what it did. */

import { ApiError, fetchEffects, fetchEventInterventions } from "../api.js";
import { find, html, oncePerFrame, setText, show } from "../element.js";
import { count } from "../format.js";
import { readIntervention } from "./intervention-bodies.js";
import { setTitle } from "../tab-title.js";
import { TickClock } from "../tick-clock.js";
import { eventName, onTitles } from "../titles.js";
import { mayConduct } from "../token.js";
import { showEffects } from "./effects-table.js";
import { EventModes } from "./event-modes.js";
import { InterventionList } from "./intervention-list.js";
import { TextEditor } from "./text-editor.js";
import { WaitingList } from "./waiting-list.js";

/** @import { EngagementStream, SessionsSnapshot } from "../../engagement-stream.js" */
/** @import { Update } from "../../types.d.ts" */
/** @import { Intervention } from "./intervention-bodies.js" */
/** @import { OpenDecisions } from "./open-decisions.js" */
/** @import { ModeDialog } from "./mode-dialog.js" */

const REFRESH_MS = 1_000; // of what changes with time
const LOAD_MS = 15_000; // of what is stored
const NAMES = new Intl.Collator("en", { numeric: true });

/** Follows all live sessions while it is shown. */
export class ConductorView {
  #root = html(document, ".conducting");
  #select = find(this.#root, "#event-select", HTMLSelectElement);
  #clock = new TickClock();
  #waiting = new WaitingList(html(this.#root, ".waiting"));
  #modes;
  #texts = new TextEditor(html(this.#root, ".texts"));
  #done = new InterventionList(html(this.#root, ".event-done"), { hasSessions: true });
  #stream;
  #decisions;
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {Map<string, Update>} */
  #updates = new Map();
  /** @type {readonly Intervention[]} */
  #interventions = [];
  #doneState = "Loading …";
  #loadedEvent = "";
  #loadAgainMs = 0;
  #render = oncePerFrame(() => this.#draw());

  /**
   * @param {EngagementStream} stream
   * @param {OpenDecisions} decisions
   * @param {ModeDialog} modeDialog
   */
  constructor(stream, decisions, modeDialog) {
    this.#stream = stream;
    this.#decisions = decisions;
    this.#modes = new EventModes(html(this.#root, ".events"), modeDialog);
    decisions.watch(this.#render);
    onTitles(this.#render);
    this.#select.addEventListener("change", this.#render);
    setInterval(() => this.#onInterval(), REFRESH_MS);
  }

  open() {
    show(this.#root, true);
    scrollTo(0, 0);
    setTitle("Conductor · Engagement");
    void this.#decisions.load();
    this.#stop ??= this.#stream.watchSessions((snapshot) => this.#onSnapshot(snapshot));
    void this.#load();
    this.#draw();
    html(this.#root, "h1").focus({ preventScroll: true });
  }

  close() {
    show(this.#root, false);
    this.#stop?.();
    this.#stop = null;
  }

  /** @param {SessionsSnapshot} snapshot */
  #onSnapshot({ changed, decisions, isWhole }) {
    if (isWhole) {
      this.#updates.clear();
      this.#loadAgainMs = 0;
      void this.#load();
      void this.#texts.load(this.#decisions.isEnabled);
    }
    for (const update of changed) this.#updates.set(update.sessionId, update);
    this.#decisions.update(changed.map(({ sessionId }) => sessionId), decisions);
    const newest = [...this.#updates.values()].map(({ timestamp }) => timestamp).sort().at(-1);
    this.#clock.set(newest);
    this.#render();
  }

  #onInterval() {
    if (this.#root.hidden) return;
    if (performance.now() >= this.#loadAgainMs) void this.#load();
    this.#draw();
  }

  async #load() {
    if (this.#stream.connection.phase !== "live") return;
    this.#loadAgainMs = performance.now() + LOAD_MS;
    await Promise.all([this.#loadEffects(), this.#loadDone(this.#select.value)]);
    this.#render();
  }

  async #loadEffects() {
    const state = html(this.#root, ".effects-state");
    try {
      const { effects } = await fetchEffects();
      showEffects(this.#root, effects);
      setText(state, effects.length > 0 ? "" : "Not known yet: nothing was tried.");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(state, `The effects could not be loaded. Server response: ${error.message}`);
    }
  }

  /** @param {string} eventId */
  async #loadDone(eventId) {
    if (eventId === "") return;
    try {
      const bodies = await fetchEventInterventions(eventId);
      if (eventId !== this.#select.value) return;
      this.#interventions = bodies.map(readIntervention).sort((a, b) => a.atMs - b.atMs);
      this.#doneState = bodies.length > 0 ? "" : "Nothing in the last 24 hours.";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.#doneState = `What is stored could not be loaded. Server response: ${error.message}`;
    }
  }

  #draw() {
    if (this.#root.hidden) return;
    const { nowMs } = this.#clock;
    const { isEnabled, all } = this.#decisions;
    show(html(this.#root, ".conducting-disabled"), !isEnabled);
    show(html(this.#root, ".conducting-read-only"), isEnabled && !mayConduct());
    const sessions = this.#updates.size;
    setText(
      html(this.#root, ".conducting-summary"),
      `${count(all.length)} waiting · ${count(sessions)} live ${sessions === 1 ? "session" : "sessions"}`,
    );
    this.#waiting.show(isEnabled ? all : [], nowMs);
    this.#modes.show(this.#updates.values(), this.#clock.tickMs, this.#decisions);
    this.#drawSelect();
    const isOther = this.#loadedEvent !== this.#select.value;
    if (isOther) {
      this.#loadedEvent = this.#select.value;
      this.#interventions = [];
      this.#doneState = this.#select.value === "" ? "No live sessions." : "Loading …";
      void this.#loadDone(this.#select.value).then(this.#render);
    }
    this.#done.show(this.#interventions, this.#doneState, nowMs);
  }

  /** Offer the events that have live sessions; the one that is chosen stays. */
  #drawSelect() {
    const chosen = this.#select.value;
    const events = [...this.#updates.values()].map(({ eventId }) => eventId);
    const names = [...new Set(chosen === "" ? events : [...events, chosen])].sort(NAMES.compare);
    const options = names.map((id) => new Option(eventName(id), id));
    const textOf = (/** @type {Iterable<HTMLOptionElement>} */ each) => [...each].map(({ value, text }) => `${value}\n${text}`).join("\n");
    if (textOf(options) === textOf(this.#select.options)) return;
    this.#select.replaceChildren(...options);
    this.#select.value = names.includes(chosen) ? chosen : (names[0] ?? "");
  }
}
