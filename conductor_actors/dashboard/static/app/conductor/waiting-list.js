/** The suggestions of all sessions that wait for a decision, each with a link to its session. */

import { find, fromTemplate, html, setText, show } from "../element.js";
import { duration, printable } from "../format.js";
import { incidentName } from "../incidents.js";
import { interventionName } from "./interventions.js";
import { sessionAddress } from "../routes.js";
import { sessionName } from "../titles.js";

/** @import { Intervention } from "./intervention-bodies.js" */

/** One element per suggestion, which is changed and not replaced, so that it keeps the focus. */
export class WaitingList {
  #list;
  #state;
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#list = html(root, ".waiting-list");
    this.#state = html(root, ".waiting-state");
  }

  /**
   * @param {readonly Intervention[]} suggestions oldest first
   * @param {number} nowMs
   */
  show(suggestions, nowMs) {
    const ids = new Set(suggestions.map(({ id }) => id));
    for (const [id, item] of this.#items) {
      if (ids.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    for (const each of suggestions) this.#showItem(each, nowMs);
    show(this.#state, suggestions.length === 0);
  }

  /**
   * @param {Intervention} suggestion
   * @param {number} nowMs
   */
  #showItem({ id, sessionId, type, anomalyType, expiresMs }, nowMs) {
    let item = this.#items.get(id);
    if (!item) {
      this.#items.set(id, (item = fromTemplate("waiting")));
      this.#list.append(item);
    }
    find(item, "a", HTMLAnchorElement).href = sessionAddress(sessionId);
    setText(html(item, ".waiting-session"), sessionName(sessionId));
    html(item, ".waiting-session").title = printable(sessionId);
    const why = anomalyType ? ` · ${incidentName(anomalyType)}` : "";
    setText(html(item, ".waiting-what"), `${interventionName(type)}${why}`);
    setText(html(item, ".waiting-left"), `Expires in ${duration(expiresMs - nowMs)}`);
  }
}
