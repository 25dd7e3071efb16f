/** The report of a session or an event: what a host reads the evening after, and prints. */

import { html, oncePerFrame, setText, show } from "../element.js";
import { showFigures } from "../event/event-figures.js";
import { PageActions } from "../export/page-actions.js";
import { count, duration, minute, percent, printable } from "../format.js";
import { changesClock, spanText, timesIn } from "../local-times.js";
import { addMarkup } from "../markup.js";
import { showMoments } from "../moments.js";
import { Polled } from "../polled.js";
import { eventAddress, sessionAddress } from "../routes.js";
import { setTitle } from "../tab-title.js";
import { showContributions } from "./contributions.js";
import { fetchReport } from "./report-api.js";
import { showReportChart } from "./report-chart.js";
import { REPORT_VIEW } from "./report-markup.js";
import { showSections } from "./report-sections.js";
import { linkTo } from "./report-table.js";

/** @import { Report } from "../../types.d.ts" */
/** @import { ApiError } from "../api.js" */

const REFRESH_MS = 60_000; // while a session is live
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: "shortOffset" });

/** Shows one report at a time. */
export class ReportView {
  #root;
  #actions;
  /** @type {"session" | "event"} */
  #kind = "session";
  #id = "";
  #render = oncePerFrame(() => this.#draw());
  /** @type {Polled<Report>} */
  #report = new Polled(this.#render);
  /** @type {Report | null} */
  #drawn = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #refresh;

  constructor() {
    addMarkup(html(document, "main"), "beforeend", REPORT_VIEW);
    this.#root = html(document, ".report");
    this.#actions = new PageActions(html(this.#root, ".page-actions"));
    html(this.#root, ".action-print").addEventListener("click", () => print());
  }

  /**
   * Return the view of one kind of report, for the router.
   * @param {"session" | "event"} kind
   */
  of(kind) {
    return {
      open: (/** @type {string} */ id) => this.#open(kind, id),
      close: () => {
        if (this.#kind === kind) this.#close();
      },
    };
  }

  /**
   * @param {"session" | "event"} kind
   * @param {string} id
   */
  #open(kind, id) {
    this.#close();
    this.#kind = kind;
    this.#id = id;
    this.#actions.show(kind, id, { isReport: true });
    this.#root.dataset["kind"] = kind;
    show(this.#root, true);
    scrollTo(0, 0);
    this.#report.start(() => fetchReport(kind, id), null);
    this.#draw();
    html(this.#root, "h1").focus({ preventScroll: true });
  }

  #close() {
    show(this.#root, false);
    this.#report.stop();
    clearTimeout(this.#refresh);
    this.#drawn = null;
  }

  #draw() {
    if (this.#root.hidden) return;
    const { value: report, failure } = this.#report;
    const name = printable((report?.kind === "event" ? report.event?.title : report?.session?.title) || this.#id);
    setTitle(`${name}, report · Engagement`);
    setText(html(this.#root, "h1 bdi"), name);
    html(this.#root, "h1").title = printable(this.#id);
    setText(html(this.#root, ".report-kind"), `Report of ${this.#kind === "event" ? "an event" : "a session"}`);
    html(this.#root, ".report-back").setAttribute("href", this.#kind === "event" ? eventAddress(this.#id) : sessionAddress(this.#id));
    setText(html(this.#root, ".report-back span"), this.#kind === "event" ? "Event" : "Session");
    show(html(this.#root, ".report-body"), report !== null);
    this.#drawState(report, failure);
    if (report === null || report === this.#drawn) return;
    this.#drawn = report;
    if (report.state === "live") this.#refresh = setTimeout(() => this.#report.refresh(), REFRESH_MS);
    this.#drawReport(report);
  }

  /** @param {Report} report */
  #drawReport(report) {
    const points = report.curve.map(({ timestamp }) => Date.parse(timestamp));
    const fromMs = Date.parse(report.startedAt);
    const span = { fromMs, toMs: report.endedAt === null ? Math.max(fromMs + 1000, ...points) : Date.parse(report.endedAt) };
    const { minute: timeText } = timesIn(span.fromMs, span.toMs);
    this.#drawHead(report, span.toMs);
    showFigures(html(this.#root, ".report-figures"), figuresOf(report, timeText));
    showReportChart(html(this.#root, ".report-chart"), report, span, timeText);
    showContributions(html(this.#root, ".report-pull"), report);
    const titles = new Map((report.sessions ?? []).map(({ sessionId, title }) => [sessionId, title || sessionId]));
    const nameOf = (/** @type {string} */ id) => (report.kind === "session" ? "" : printable(titles.get(id) ?? id));
    showMoments(html(this.#root, ".moments"), report.moments, nameOf, timeText);
    showSections(this.#root, report, timeText);
    setText(html(this.#root, ".report-foot"), footText(report));
  }

  /**
   * @param {Report} report
   * @param {number} untilMs
   */
  #drawHead({ kind, session, event, startedAt, endedAt, state }, untilMs) {
    const beginMs = Date.parse(startedAt);
    const when = spanText(beginMs, untilMs, endedAt === null);
    const zone = ZONE.formatToParts(beginMs).find(({ type }) => type === "timeZoneName")?.value ?? "";
    setText(html(this.#root, ".report-when"), changesClock(beginMs, untilMs) ? when : `${when} (${zone})`);
    const about = html(this.#root, ".report-about");
    about.replaceChildren();
    if (kind === "event" && event) about.append(event.sessions === 1 ? "1 session" : `${count(event.sessions)} sessions`);
    if (session) {
      const speakers = printable((session.speakers ?? []).join(", "));
      if (speakers !== "") about.append(speakers, " · ");
      about.append("Event ", linkTo(eventAddress(session.eventId), printable(session.eventTitle || session.eventId)));
    }
    show(html(this.#root, ".report-preliminary"), state === "live");
    setText(html(this.#root, ".report-preliminary"), `Preliminary: ${kind === "event" ? "a session is" : "the session is"} live. These are the figures until ${minute(untilMs)}.`);
  }

  /**
   * @param {Report | null} report
   * @param {ApiError | null} failure
   */
  #drawState(report, failure) {
    const isOld = failure !== null && report !== null;
    const error = isOld ? `The report could not be loaded again. Server response: ${failure.message}.` : "";
    setText(html(this.#root, ".report-error"), error);
    const [title, text] = stateOf(failure, this.#kind);
    const state = html(this.#root, ".report-state");
    show(state, report === null);
    setText(html(state, ".state-title"), title);
    setText(html(state, ".state-text"), text);
  }
}

/**
 * Return the message in the place of a report.
 * @param {ApiError | null} failure
 * @param {"session" | "event"} kind
 * @returns {[title: string, text: string]}
 */
function stateOf(failure, kind) {
  if (failure === null) return ["Loading …", ""];
  if (failure.status === 404) return [`Nothing is stored of this ${kind}`, "Its report appears here after its first score."];
  return ["The report could not be loaded", `Server response: ${failure.message}. It is loaded again by itself.`];
}

/**
 * @param {Report} report
 * @param {(atMs: number) => string} timeText
 * @returns {readonly (readonly [name: string, value: string, text: string])[]}
 */
function figuresOf(report, timeText) {
  const { anomalies, interventions, polls } = report;
  const actions = interventions.filter(({ sentAt }) => sentAt !== null).length;
  return [
    ["Average score", percent(report.meanScore), report.kind === "event" ? "of all sessions, by their people" : ""],
    ["Peak score", percent(report.peakScore), `at ${timeText(Date.parse(report.peakAt))}`],
    ["People at most", count(report.peakUsers), report.kind === "event" ? "at one time" : ""],
    ["Duration", duration(report.durationS * 1000), ""],
    ["Messages", count(report.messages), ""],
    ["Reactions", count(report.reactions), ""],
    ["Polls", count(polls.length), polls.length > 0 ? `up to ${percent(Math.max(...polls.map(({ participation }) => participation)))} took part` : ""],
    ["Anomalies", count(anomalies.length), actionsText(actions)],
  ];
}

/** @param {number} actions */
function actionsText(actions) {
  if (actions === 0) return "no action of the conductor";
  return actions === 1 ? "1 action of the conductor" : `${count(actions)} actions of the conductor`;
}

/** @param {Report} report */
function footText({ ticks }) {
  return (
    `From ${count(ticks)} scores. Each score is that of the minute before it; messages and reactions are the sums of ` +
    "minutes that do not overlap. A score of 100% is 100 points."
  );
}
