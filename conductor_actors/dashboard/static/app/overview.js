/** The first view: all live sessions, the worst first or by name, with a search. */

import { Backfill } from "./backfill.js";
import { find, html, oncePerFrame, setText, show } from "./element.js";
import { count, percent, time } from "./format.js";
import { LEVELS, levelOf } from "./levels.js";
import { SessionBoard } from "./session-board.js";
import { SessionList } from "./session-list.js";
import { onThemeChange } from "./theme.js";

/** @import { EngagementStream, SessionsNews } from "../engagement-stream.js" */
/** @import { Line, Order } from "./session-board.js" */

const HELD_MS = 2_000; // rows don't move away under a pointer that is on its way to one
const ORDER_KEY = "order";

/** Keeps the board, also while another view is shown. */
export class Overview {
  #root = html(document, ".overview");
  #search = find(this.#root, "#search", HTMLInputElement);
  #state = html(this.#root, ".overview-state");
  #board = new SessionBoard();
  #list = new SessionList(html(this.#root, ".list"));
  #stream;
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {SessionsNews | null} */
  #news = null;
  /** @type {Order} */
  #order = "worst";
  /** @type {Line[]} */
  #lines = [];
  #heldUntil = 0;
  #scrollY = 0;
  #render = oncePerFrame(() => this.#draw());
  #backfill = new Backfill(this.#render);

  /** @param {EngagementStream} stream */
  constructor(stream) {
    this.#stream = stream;
    this.#restoreOrder();
    this.#search.addEventListener("input", () => this.#rearrange());
    this.#root.addEventListener("change", (event) => this.#onOrder(event));
    html(this.#root, ".list").addEventListener("pointermove", () => {
      this.#heldUntil = performance.now() + HELD_MS;
    });
    addEventListener("scroll", this.#onScroll, { passive: true });
    addEventListener("resize", oncePerFrame(() => this.#redraw()));
    onThemeChange(() => this.#redraw());
  }

  /** Show it, where it was left. */
  open() {
    show(this.#root, true);
    document.title = "Engagement";
    this.#stop ??= this.#stream.watchSessions((news) => this.#take(news));
    this.#draw();
    scrollTo(0, this.#scrollY);
  }

  /** Hide it; nothing is sent for it any more. */
  close() {
    if (!this.#root.hidden) this.#scrollY = scrollY;
    show(this.#root, false);
    this.#stop?.();
    this.#stop = null;
  }

  /** @param {SessionsNews} news */
  #take(news) {
    this.#news = news;
    if (news.changed.length > 0 || news.isWhole) this.#board.take(news.changed, news.isWhole);
    this.#render();
  }

  #rearrange() {
    this.#heldUntil = 0;
    this.#render();
  }

  #redraw() {
    if (!this.#root.hidden) this.#list.invalidate();
  }

  #onScroll = oncePerFrame(() => {
    if (this.#root.hidden) return;
    this.#list.render();
    this.#backfill.want(this.#list.visible);
  });

  #draw() {
    if (this.#root.hidden) return;
    const sorted = this.#board.sorted(this.#order, this.#search.value);
    this.#lines = performance.now() < this.#heldUntil ? held(this.#lines, sorted) : sorted;
    this.#list.show(this.#lines, this.#board.newestAt);
    this.#backfill.want(this.#list.visible);
    this.#summarise();
    this.#explainEmptiness();
  }

  #summarise() {
    const lines = [...this.#board.lines];
    const counts = new Map(LEVELS.map(([level]) => [String(level), 0]));
    let total = 0;
    for (const { latest } of lines) {
      const level = levelOf(latest.score);
      counts.set(level, (counts.get(level) ?? 0) + 1);
      total += latest.score;
    }
    const words = lines.length
      ? `${count(lines.length)} live · average ${percent(total / lines.length)}`
      : "No figures yet";
    setText(html(this.#root, ".overview-counts"), words);
    const at = this.#board.newestAt;
    setText(html(this.#root, ".overview-tick"), at ? `As of ${time(at)}` : "");
    this.#showLevels(counts);
  }

  /** @param {Map<string, number>} counts */
  #showLevels(counts) {
    for (const [level, number] of counts) {
      html(this.#root, `.levels .level-${level}`).style.flexGrow = String(number);
      setText(html(this.#root, `.levels-key [data-level=${level}] dd`), count(number));
    }
  }

  #explainEmptiness() {
    const [title, text] = this.#emptiness();
    setText(html(this.#state, ".state-title"), title);
    setText(html(this.#state, ".state-text"), text);
    show(this.#state, title !== "");
  }

  /** @returns {[title: string, text: string]} */
  #emptiness() {
    if (this.#lines.length > 0) return ["", ""];
    if (this.#board.size > 0) {
      return ["No session matches", "Try a part of its name, or of its event's."];
    }
    if (this.#news?.status === "refused") {
      return ["The sessions can't be shown", `The service says: ${this.#news.error}`];
    }
    if (this.#news?.status === "ready") {
      return ["No live sessions", "A session appears here with its first message, vote, reaction or visitor."];
    }
    return ["Loading …", "Waiting for the first scores."];
  }

  #restoreOrder() {
    if (localStorage.getItem(ORDER_KEY) !== "name") return;
    this.#order = "name";
    find(this.#root, "input[value=name]", HTMLInputElement).checked = true;
  }

  /** @param {Event} event */
  #onOrder(event) {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || input.name !== "order") return;
    this.#order = input.value === "name" ? "name" : "worst";
    localStorage.setItem(ORDER_KEY, this.#order);
    this.#rearrange();
  }
}

/**
 * Keep the order that is on the screen; who is new comes last, who is over goes.
 * @param {readonly Line[]} before
 * @param {readonly Line[]} now
 */
function held(before, now) {
  const left = new Set(now);
  const kept = before.filter((line) => left.delete(line));
  return [...kept, ...left];
}
