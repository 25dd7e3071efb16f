/** The curve of a report, with its anomalies and actions. */

import { html, show } from "../element.js";
import { percent } from "../format.js";
import { scoreCurve, shadedTime, thresholdLine, timeLine } from "../charts/score-curve.js";
import { showTimes } from "../charts/time-axis.js";

/** @import { Report } from "../../types.d.ts" */
/** @import { Span } from "../charts/score-curve.js" */

/**
 * @param {HTMLElement} section
 * @param {Report} report
 * @param {Span} span
 * @param {(atMs: number) => string} timeText
 */
export function showReportChart(section, report, span, timeText) {
  const { curve: points, anomalies, interventions, kind, peakScore, peakAt, meanScore } = report;
  const curve = scoreCurve(
    points.map(({ timestamp, score, min, max }) => ({ at: Date.parse(timestamp), score, min, max })),
    span,
  );
  // Marks of several sessions at once would say nothing of the one curve of an event.
  const incidents = kind === "session" ? anomalies : [];
  const sentAt = kind === "session" ? interventions.flatMap((each) => each.sentAt ?? []) : [];
  curve.prepend(
    ...incidents.map(({ startedAt, endedAt }) => shadedTime(span, Date.parse(startedAt), Date.parse(endedAt ?? "") || span.toMs)),
    thresholdLine(),
  );
  curve.append(...sentAt.map((at) => timeLine(span, Date.parse(at))));
  const plot = html(section, ".report-plot");
  plot.replaceChildren(curve);
  plot.setAttribute(
    "aria-label",
    `Score from ${timeText(span.fromMs)} to ${timeText(span.toMs)}: ${percent(meanScore)} on average, ${percent(peakScore)} at ${timeText(Date.parse(peakAt))}.`,
  );
  show(html(section, ".legend-incident"), incidents.length > 0);
  show(html(section, ".legend-action"), sentAt.length > 0);
  showTimes(html(section, ".time-axis"), span);
}
