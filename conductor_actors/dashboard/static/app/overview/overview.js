/** The list view: all live sessions, open anomalies first or by name, with a search and a filter. */

import { find, html, oncePerFrame, setText, show } from "../element.js";
import { count, percent, time } from "../format.js";
import { LEVELS, levelOf } from "../levels.js";
import { setTitle } from "../tab-title.js";
import { onThemeChange } from "../theme.js";
import { onTitles } from "../titles.js";
import { Backfill } from "./backfill.js";
import { SessionBoard } from "./session-board.js";
import { SessionList } from "./session-list.js";

/** @import { EngagementStream, SessionsSnapshot } from "../../engagement-stream.js" */
/** @import { OpenAnomalies } from "../open-anomalies.js" */
/** @import { OpenDecisions } from "../conductor/open-decisions.js" */
/** @import { Line, Order } from "./session-board.js" */

const HOLD_ORDER_MS = 2_000; // rows keep their order while the pointer moves over them
const ORDER_KEY = "order";

/** Keeps its sessions and scroll position while another view is shown. */
export class Overview {
  #root = html(document, ".overview");
  #search = find(this.#root, "#search", HTMLInputElement);
  #onlyAnomalies = find(this.#root, "#only-anomalies", HTMLInputElement);
  #state = html(this.#root, ".overview-state");
  #board = new SessionBoard();
  #list = new SessionList(html(this.#root, ".list"));
  #stream;
  #anomalies;
  #decisions;
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {SessionsSnapshot | null} */
  #snapshot = null;
  /** @type {Order} */
  #order = "worst";
  /** @type {Line[]} */
  #lines = [];
  #orderHeldUntil = 0;
  #scrollY = 0;
  #render = oncePerFrame(() => this.#draw());
  #backfill = new Backfill(this.#render);

  /**
   * @param {EngagementStream} stream
   * @param {OpenAnomalies} anomalies
   * @param {OpenDecisions} decisions
   */
  constructor(stream, anomalies, decisions) {
    this.#stream = stream;
    this.#anomalies = anomalies;
    this.#decisions = decisions;
    anomalies.watch(() => this.#onAnomalies());
    decisions.watch(() => this.#onDecisions());
    this.#restoreOrder();
    this.#search.addEventListener("input", () => this.#reorder());
    this.#onlyAnomalies.addEventListener("change", () => this.#reorder());
    this.#root.addEventListener("change", (event) => this.#onOrderChange(event));
    html(this.#root, ".list").addEventListener("pointermove", () => {
      this.#orderHeldUntil = performance.now() + HOLD_ORDER_MS;
    });
    addEventListener("scroll", this.#onScroll, { passive: true });
    addEventListener("resize", oncePerFrame(() => this.#redraw()));
    onThemeChange(() => this.#redraw());
    onTitles(() => {
      this.#redraw();
      this.#render();
    });
  }

  /** Show the list at its last scroll position. */
  open() {
    show(this.#root, true);
    setTitle("Engagement");
    this.#anomalies.stopPolling();
    this.#stop ??= this.#stream.watchSessions((snapshot) => this.#onSnapshot(snapshot));
    this.#draw();
    scrollTo(0, this.#scrollY);
  }

  /** Hide the list and stop receiving updates for it. */
  close() {
    if (!this.#root.hidden) this.#scrollY = scrollY;
    show(this.#root, false);
    this.#stop?.();
    this.#stop = null;
  }

  /** @param {SessionsSnapshot} snapshot */
  #onSnapshot(snapshot) {
    this.#snapshot = snapshot;
    const { changed, anomalies, decisions, isWhole } = snapshot;
    if (changed.length > 0 || isWhole) {
      const ids = changed.map(({ sessionId }) => sessionId);
      this.#board.update(changed, isWhole);
      this.#anomalies.update(isWhole ? null : ids, anomalies);
      this.#decisions.update(ids, decisions);
    }
    this.#render();
  }

  #onAnomalies() {
    const { bySession } = this.#anomalies;
    this.#board.setAnomalies(bySession);
    setText(html(this.#root, ".filter-count"), count(bySession.size));
    this.#render();
  }

  #onDecisions() {
    const { isEnabled, sessions } = this.#decisions;
    this.#board.setWaiting(isEnabled ? sessions : new Set());
    this.#render();
  }

  #reorder() {
    this.#orderHeldUntil = 0;
    this.#render();
  }

  #redraw() {
    if (!this.#root.hidden) this.#list.invalidate();
  }

  #onScroll = oncePerFrame(() => {
    if (this.#root.hidden) return;
    this.#list.render();
    this.#backfill.fill(this.#list.visible);
  });

  #draw() {
    if (this.#root.hidden) return;
    const sorted = this.#board.sorted(this.#order, this.#search.value, this.#onlyAnomalies.checked);
    this.#lines = performance.now() < this.#orderHeldUntil ? inPreviousOrder(this.#lines, sorted) : sorted;
    this.#list.show(this.#lines, this.#board.newestAt);
    this.#backfill.fill(this.#list.visible);
    this.#drawSummary();
    this.#drawState();
  }

  #drawSummary() {
    const lines = [...this.#board.lines];
    const counts = new Map(LEVELS.map(([level]) => [String(level), 0]));
    let total = 0;
    for (const { latest } of lines) {
      const level = levelOf(latest.score);
      counts.set(level, (counts.get(level) ?? 0) + 1);
      total += latest.score;
    }
    const text = lines.length
      ? `${count(lines.length)} live · average ${percent(total / lines.length)}`
      : "No scores yet";
    setText(html(this.#root, ".overview-counts"), text);
    const at = this.#board.newestAt;
    setText(html(this.#root, ".overview-tick"), at ? `As of ${time(at)}` : "");
    this.#drawLevels(counts);
  }

  /** @param {Map<string, number>} counts */
  #drawLevels(counts) {
    for (const [level, number] of counts) {
      html(this.#root, `.levels .level-${level}`).style.flexGrow = String(number);
      setText(html(this.#root, `.levels-key [data-level=${level}] dd`), count(number));
    }
  }

  #drawState() {
    const [title, text] = this.#emptyState();
    setText(html(this.#state, ".state-title"), title);
    setText(html(this.#state, ".state-text"), text);
    show(this.#state, title !== "");
  }

  /** @returns {[title: string, text: string]} */
  #emptyState() {
    if (this.#lines.length > 0) return ["", ""];
    if (this.#board.size > 0 && this.#onlyAnomalies.checked && this.#search.value.trim() === "") {
      return ["No open anomalies", "A session appears here while an anomaly is open."];
    }
    if (this.#board.size > 0) {
      return ["No sessions match", "Search for a part of the title or id of a session or event."];
    }
    if (this.#snapshot?.status === "refused") {
      return ["The sessions could not be loaded", `Server response: ${this.#snapshot.error}`];
    }
    if (this.#snapshot?.status === "ready") {
      return ["No live sessions", "A session appears here after its first message, vote, reaction or visitor."];
    }
    return ["Loading …", "Waiting for the first scores."];
  }

  #restoreOrder() {
    if (browserStorage.get(ORDER_KEY) !== "name") return;
    this.#order = "name";
    find(this.#root, "input[value=name]", HTMLInputElement).checked = true;
  }

  /** @param {Event} event */
  #onOrderChange(event) {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.name !== "order") return;
    this.#order = input.value === "name" ? "name" : "worst";
    browserStorage.set(ORDER_KEY, this.#order);
    this.#reorder();
  }
}

/**
 * Sort the current lines in the previous order, with new lines at the end.
 * @param {readonly Line[]} previous
 * @param {readonly Line[]} current
 */
function inPreviousOrder(previous, current) {
  const rest = new Set(current);
  const kept = previous.filter((line) => rest.delete(line));
  return [...kept, ...rest];
}
