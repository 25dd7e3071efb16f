/** The announcements of suggestions to screen readers: each once, however many views show it. */

import { announce } from "../announcer.js";
import { incidentName } from "../incidents.js";
import { interventionInText } from "./interventions.js";
import { sessionName } from "../titles.js";

/** @import { Intervention } from "./intervention-bodies.js" */

/** @type {Set<string>} */
const announced = new Set();

/**
 * Announce a suggestion, unless it has been.
 * @param {Intervention} suggestion
 * @param {{isShown: boolean}} options whether its session is shown, and need not be named
 */
export function announceSuggestion({ id, sessionId, type, anomalyType }, { isShown }) {
  if (announced.has(id)) return;
  announced.add(id);
  const where = isShown ? "" : ` in ${sessionName(sessionId)}`;
  const why = anomalyType ? `, because of: ${incidentName(anomalyType).toLowerCase()}` : "";
  announce(`The conductor suggests ${interventionInText(type)}${where}${why}.`);
}
