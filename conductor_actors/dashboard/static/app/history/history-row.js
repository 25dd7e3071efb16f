/** One row of the history. */

import { find, fromTemplate, html, setText } from "../element.js";
import { count, duration, minute, percent, printable } from "../format.js";
import { levelOf } from "../levels.js";
import { day } from "../local-times.js";
import { sessionAddress } from "../routes.js";

/** @import { SessionSummary } from "../history-api.js" */

/**
 * Return the row of a session.
 * @param {SessionSummary} summary
 */
export function historyRow(summary) {
  const row = fromTemplate("history-row");
  const { sessionId, eventId, title, eventTitle, speakers, startedAt, durationS } = summary;
  const { peakUsers, peakScore, meanScore } = summary;
  find(row, "a", HTMLAnchorElement).href = sessionAddress(sessionId);
  const name = html(row, ".row-session");
  setText(name, printable(title ?? sessionId));
  name.title = printable(sessionId);
  setText(html(row, ".history-event"), eventId === sessionId && !eventTitle ? "" : printable(eventTitle ?? eventId));
  setText(html(row, ".history-speakers"), printable(speakers.join(", ")));
  const startedMs = Date.parse(startedAt ?? "");
  setText(html(row, ".history-started"), startedAt ? `${day(startedMs)}, ${minute(startedMs)}` : "–");
  setText(html(row, ".history-length"), lengthText(summary, durationS));
  setText(html(row, ".history-people"), peakUsers === null ? "–" : count(peakUsers));
  setText(html(row, ".history-peak"), peakScore === null ? "–" : percent(peakScore));
  setText(html(row, ".history-mean"), meanScore === null ? "–" : percent(meanScore));
  row.dataset["level"] = meanScore === null ? "none" : levelOf(meanScore);
  row.dataset["state"] = summary.state;
  return row;
}

/**
 * @param {SessionSummary} summary
 * @param {number | null} durationS
 */
function lengthText({ state }, durationS) {
  if (state === "live") return "Live";
  return durationS === null ? "–" : duration(durationS * 1000);
}
