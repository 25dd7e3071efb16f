/** A list of what the conductor did, newest first: the path of each so far, and what followed. */

import { fromTemplate, html, setText, show } from "../element.js";
import { date, printable, time } from "../format.js";
import { incidentName } from "../incidents.js";
import { choiceText, interventionName, isHold, outcomeText, stepsOf, verdictOf } from "./interventions.js";
import { sessionAddress } from "../routes.js";
import { sessionName } from "../titles.js";
import { contentText } from "./content-fields.js";

/** @import { Intervention } from "./intervention-bodies.js" */

const MAX_SHOWN = 50;

/** One element per intervention, which is changed and not replaced, so that it keeps the focus. */
export class InterventionList {
  #list;
  #state;
  #hasSessions;
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();

  /**
   * @param {HTMLElement} root
   * @param {{hasSessions: boolean}} options whether each item names its session
   */
  constructor(root, { hasSessions }) {
    this.#list = html(root, ".done-list");
    this.#state = html(root, ".done-state");
    this.#hasSessions = hasSessions;
  }

  /**
   * @param {readonly Intervention[]} interventions oldest first
   * @param {string} stateText shown if there are none, and if they could not be loaded
   * @param {number} nowMs
   */
  show(interventions, stateText, nowMs) {
    const newest = interventions.slice(-MAX_SHOWN).reverse();
    const ids = new Set(newest.map(({ id }) => id));
    for (const [id, item] of this.#items) {
      if (ids.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    newest.forEach((each, index) => this.#showItem(each, index, nowMs));
    setText(this.#state, stateText);
    show(this.#state, stateText !== "");
  }

  /**
   * @param {Intervention} intervention
   * @param {number} index
   * @param {number} nowMs
   */
  #showItem(intervention, index, nowMs) {
    let item = this.#items.get(intervention.id);
    if (!item) this.#items.set(intervention.id, (item = fromTemplate("done")));
    draw(item, intervention, nowMs);
    if (this.#hasSessions) drawSession(item, intervention);
    const before = this.#list.children[index] ?? null;
    if (before !== item) this.#list.insertBefore(item, before);
  }
}

/**
 * @param {HTMLElement} item
 * @param {Intervention} intervention
 * @param {number} nowMs
 */
function draw(item, intervention, nowMs) {
  const { atMs, type, anomalyType, content, reason } = intervention;
  item.dataset["verdict"] = verdictOf(intervention);
  item.dataset["hold"] = String(isHold(intervention));
  setText(html(item, ".done-type"), interventionName(type));
  const day = date(atMs) === date(nowMs) ? "" : `${date(atMs)}, `;
  setText(html(item, ".done-when"), `${day}${time(atMs)}`);
  const why = anomalyType ? incidentName(anomalyType) : printable(reason);
  setText(html(item, ".done-why"), why);
  setText(html(item, ".done-text"), content ? printable(contentText(content)) : "");
  setText(html(item, ".done-outcome"), printable(outcomeText(intervention)));
  setText(html(item, ".done-chances"), choiceText(intervention));
  drawPath(html(item, ".done-path"), intervention);
}

/**
 * @param {HTMLElement} item
 * @param {Intervention} intervention
 */
function drawSession(item, { sessionId }) {
  const link = html(item, ".done-session");
  show(link, true);
  setText(html(link, "bdi"), sessionName(sessionId));
  link.title = printable(sessionId);
  link.setAttribute("href", sessionAddress(sessionId));
}

/**
 * @param {HTMLElement} path
 * @param {Intervention} intervention
 */
function drawPath(path, intervention) {
  const steps = isHold(intervention) ? [] : stepsOf(intervention);
  show(path, steps.length > 0);
  const drawn = JSON.stringify(steps);
  if (path.dataset["drawn"] === drawn) return;
  path.dataset["drawn"] = drawn;
  path.replaceChildren(
    ...steps.map(({ status, name, atMs }) => {
      const step = fromTemplate("step");
      step.dataset["status"] = status;
      setText(html(step, ".step-name"), name);
      setText(html(step, ".step-time"), time(atMs));
      return step;
    }),
  );
}
