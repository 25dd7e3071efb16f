/** One card per signal: its current value, and its contribution to the score. */

import { iconUrl } from "../addresses.js";
import { find, fromTemplate, html, setText } from "../element.js";
import { count, percent, points } from "../format.js";

/** @import { Contributions, Update, Explanation, Signals } from "../../types.d.ts" */

/**
 * @typedef {Readonly<{
 *   signal: keyof Signals, part: keyof Contributions, icon: string, title: string,
 *   value: (signals: Signals) => string, detail: (signals: Signals, update: Update) => string,
 * }>} Signal
 */

/** @type {readonly Signal[]} */
const SIGNALS = [
  {
    ...{ signal: "chat_msgs_per_min", part: "chat", icon: "chat", title: "Chat" },
    value: (signals) => count(signals.chat_msgs_per_min),
    detail: (_, { chatOpen }) => (chatOpen === false ? "messages per minute; the chat is closed" : "messages per minute"),
  },
  {
    ...{ signal: "active_users", part: "active_users", icon: "people", title: "Active users" },
    value: (signals) => count(signals.active_users),
    detail: (signals, { audience }) =>
      audience === "unknown"
        ? "active in the last minute; the audience is unknown"
        : `of ${count(signals.total_users)} were active in the last minute`,
  },
  {
    ...{ signal: "poll_participation", part: "poll", icon: "poll", title: "Poll" },
    value: (signals) => percent(signals.poll_participation),
    detail: (signals) => (signals.poll_participation ? "voted in the leading poll" : "no poll votes"),
  },
  {
    ...{ signal: "reactions_per_min", part: "reactions", icon: "heart", title: "Reactions" },
    value: (signals) => count(signals.reactions_per_min),
    detail: () => "per minute",
  },
  {
    ...{ signal: "user_leave_rate", part: "leave_rate", icon: "leave", title: "Leaving" },
    value: (signals) => percent(signals.user_leave_rate),
    detail: () => "left in the last minute",
  },
];

/** The cards of the session that is shown. */
export class SignalCards {
  #sum;
  #cards = SIGNALS.map((signal) => ({ signal, element: card(signal) }));
  /** The maximum contribution of each signal, known after the first explanation. */
  #weights = /** @type {Map<string, number>} */ (new Map());
  /** @type {Update | null} */
  #shown = null;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#sum = html(root, ".breakdown-sum");
    html(root, ".cards").append(...this.#cards.map(({ element }) => element));
  }

  /** @param {Update | null} latest */
  show(latest) {
    this.#shown = latest;
    for (const { signal, element } of this.#cards) this.#render(signal, element);
    if (latest) setText(this.#sum, summary(latest));
  }

  /**
   * Set the maximum contribution of each signal.
   * @param {Explanation} explanation
   */
  setWeights(explanation) {
    this.#weights = new Map(explanation.signals.map(({ name, weight }) => [name, Math.abs(weight)]));
    this.show(this.#shown);
  }

  /**
   * @param {Signal} signal
   * @param {HTMLElement} element
   */
  #render(signal, element) {
    const latest = this.#shown;
    const added = latest?.contributions[signal.part] ?? 0;
    const max = this.#weights.get(signal.signal) ?? 0;
    setText(html(element, ".card-value"), latest ? signal.value(latest.signals) : "–");
    setText(html(element, ".card-detail"), latest ? signal.detail(latest.signals, latest) : "\u00a0");
    setText(html(element, ".card-points"), latest ? contribution(added, max) : "\u00a0");
    const share = max > 0 ? Math.min(1, Math.abs(added) / max) : 0;
    html(element, ".card-bar span").style.transform = `scaleX(${share})`;
  }
}

/** @param {Signal} signal */
function card({ icon, title, signal }) {
  const element = fromTemplate("card");
  element.dataset["signal"] = signal;
  setText(html(element, ".card-title span"), title);
  find(element, "use", SVGUseElement).setAttribute("href", iconUrl(icon));
  return element;
}

/**
 * @param {number} added
 * @param {number} max
 */
function contribution(added, max) {
  const text = points(added);
  const sign = added > 0 && text !== "0" ? "+" : "";
  return max > 0 ? `${sign}${text} of ${points(max)} points` : `${sign}${text} points`;
}

/** @param {Update} latest */
function summary({ score }) {
  return `The signals of the last minute add up to ${points(score)} of 100 points: a score of ${percent(score)}.`;
}
