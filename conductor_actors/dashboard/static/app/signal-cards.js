/** A card per signal: what was measured, and what it adds to the score right now, in words. */

import { find, fromTemplate, html, setText } from "./element.js";
import { count, percent, points } from "./format.js";

/** @import { Contributions, Update, Explanation, Signals } from "../types.d.ts" */

/**
 * @typedef {Readonly<{
 *   signal: keyof Signals, part: keyof Contributions, icon: string, title: string,
 *   value: (signals: Signals) => string, detail: (signals: Signals) => string,
 * }>} Signal
 */

/** @type {readonly Signal[]} */
const SIGNALS = [
  {
    ...{ signal: "chat_msgs_per_min", part: "chat", icon: "chat", title: "Chat" },
    value: (signals) => count(signals.chat_msgs_per_min),
    detail: () => "messages a minute",
  },
  {
    ...{ signal: "active_users", part: "active_users", icon: "people", title: "Active users" },
    value: (signals) => count(signals.active_users),
    detail: (signals) => `of ${count(signals.total_users)} did something in the last minute`,
  },
  {
    ...{ signal: "poll_participation", part: "poll", icon: "poll", title: "Poll" },
    value: (signals) => percent(signals.poll_participation),
    detail: (signals) => (signals.poll_participation ? "took part in the latest poll" : "no poll is being voted on"),
  },
  {
    ...{ signal: "reactions_per_min", part: "reactions", icon: "heart", title: "Reactions" },
    value: (signals) => count(signals.reactions_per_min),
    detail: () => "a minute",
  },
  {
    ...{ signal: "user_leave_rate", part: "leave_rate", icon: "leave", title: "Leaving" },
    value: (signals) => percent(signals.user_leave_rate),
    detail: () => "left in the last minute",
  },
];

/** The cards of one session at a time. */
export class SignalCards {
  #sum;
  #cards = SIGNALS.map((signal) => ({ signal, element: card(signal) }));
  /** What each signal can add at most; known once the service has explained a score. */
  #most = /** @type {Map<string, number>} */ (new Map());
  /** @type {Update | null} */
  #shown = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#sum = html(root, ".makeup-sum");
    html(root, ".cards").append(...this.#cards.map(({ element }) => element));
  }

  /** @param {Update | null} latest */
  show(latest) {
    this.#shown = latest;
    for (const { signal, element } of this.#cards) this.#render(signal, element);
    if (latest) setText(this.#sum, sentence(latest));
  }

  /**
   * Learn from an explanation how much each signal can add.
   * @param {Explanation} explanation
   */
  learn(explanation) {
    this.#most = new Map(explanation.signals.map(({ name, weight }) => [name, Math.abs(weight)]));
    this.show(this.#shown);
  }

  /** Whether the weights are known. */
  get hasLearnt() {
    return this.#most.size > 0;
  }

  /**
   * @param {Signal} signal
   * @param {HTMLElement} element
   */
  #render(signal, element) {
    const latest = this.#shown;
    const added = latest?.contributions[signal.part] ?? 0;
    const most = this.#most.get(signal.signal) ?? 0;
    setText(html(element, ".card-value"), latest ? signal.value(latest.signals) : "–");
    setText(html(element, ".card-detail"), latest ? signal.detail(latest.signals) : "\u00a0");
    setText(html(element, ".card-points"), latest ? added_words(signal, added, most) : "\u00a0");
    const share = most > 0 ? Math.min(1, Math.abs(added) / most) : 0;
    html(element, ".card-bar span").style.transform = `scaleX(${share})`;
  }
}

/** @param {Signal} signal */
function card({ icon, title, signal }) {
  const element = fromTemplate("card");
  element.dataset["signal"] = signal;
  setText(html(element, ".card-title span"), title);
  find(element, "use", SVGUseElement).setAttribute("href", `/static/icons/icons.svg#${icon}`);
  return element;
}

/**
 * @param {Signal} signal
 * @param {number} added
 * @param {number} most
 */
function added_words({ part }, added, most) {
  const of = most > 0 ? ` of ${points(most)}` : "";
  if (part !== "leave_rate") return `adds ${points(added)}${of} points`;
  return added < 0 ? `takes ${points(-added)}${of} points` : `takes 0${of} points`;
}

/** @param {Update} latest */
function sentence({ score }) {
  return `Added up, the last minute earned ${points(score)} of 100 points: a score of ${percent(score)}.`;
}
