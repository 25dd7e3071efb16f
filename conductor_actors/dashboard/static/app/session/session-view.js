/** The session view: one session's score, its contributions, and its anomalies. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { announce } from "../announcer.js";
import { fetchExplanation } from "../api.js";
import { ConductorPanel } from "../conductor/conductor-panel.js";
import { InterventionList } from "../conductor/intervention-list.js";
import { ManualDialog } from "../conductor/manual-dialog.js";
import { find, html, oncePerFrame, setText, show } from "../element.js";
import { PageActions } from "../export/page-actions.js";
import { percent, printable, time, trend, wholePercent } from "../format.js";
import { categoryName, levelOf } from "../levels.js";
import { TREND_MS } from "../points.js";
import { eventAddress } from "../routes.js";
import { setTitle } from "../tab-title.js";
import { TickClock } from "../tick-clock.js";
import { AnomalyNotice } from "./anomaly-notice.js";
import { BreakControl } from "./break-control.js";
import { ChartPointer } from "./chart-pointer.js";
import { copyOnClick } from "./clipboard.js";
import { FeedbackButton, onMarked } from "./feedback.js";
import { PastAnomalies } from "./past-anomalies.js";
import { shownInChart } from "./chart-interventions.js";
import { SessionAnomalies } from "./session-anomalies.js";
import { SessionInterventions } from "./session-interventions.js";
import { SignalCards } from "./signal-cards.js";

/** @import { EngagementStream, SessionSnapshot } from "../../engagement-stream.js" */
/** @import { AnomalyRecord, Update } from "../../types.d.ts" */
/** @import { ModeDialog } from "../conductor/mode-dialog.js" */
/** @import { OpenAnomalies } from "../open-anomalies.js" */
/** @import { OpenDecisions } from "../open-decisions.js" */

const EXPLAIN_INTERVAL_MS = 60_000; // the rate of events changes

/** Shows one session at a time. */
export class SessionView {
  #root = html(document, ".session");
  #title = html(this.#root, "#session-title");
  #chartState = html(this.#root, ".chart-state");
  #clock = new TickClock();
  #notice = new AnomalyNotice(
    html(this.#root, ".notice"),
    this.#clock,
    new FeedbackButton(find(this.#root, ".notice-feedback", HTMLButtonElement)),
  );
  #break;
  #conductor;
  #manual;
  #actions = new PageActions(html(this.#root, ".page-actions"));
  #done = new InterventionList(html(this.#root, ".done"), { hasSessions: false });
  #past = new PastAnomalies(html(this.#root, ".past"));
  #cards = new SignalCards(this.#root);
  #stream;
  #openAnomalies;
  #openDecisions;
  /** @type {ChartPointer | null} */
  #chart = null;
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {SessionSnapshot | null} */
  #session = null;
  #announced = "";
  #explainAgainMs = 0;
  #render = oncePerFrame(() => this.#draw());
  #anomalies = new SessionAnomalies(this.#render);
  #interventions = new SessionInterventions(this.#render);
  #phase = "";

  /**
   * @param {EngagementStream} stream
   * @param {{anomalies: OpenAnomalies, decisions: OpenDecisions, modeDialog: ModeDialog}} shared
   */
  constructor(stream, { anomalies, decisions, modeDialog }) {
    this.#stream = stream;
    this.#openAnomalies = anomalies;
    this.#openDecisions = decisions;
    decisions.watch(this.#render);
    this.#break = new BreakControl(html(this.#root, ".break"), this.#clock, this.#render);
    const onDecision = () => void this.#interventions.load();
    this.#conductor = new ConductorPanel(html(this.#root, ".conductor"), this.#clock, modeDialog, onDecision);
    const sessionId = () => this.#session?.sessionId ?? "";
    this.#manual = new ManualDialog(html(this.#root, ".manual-open"), sessionId, onDecision);
    onMarked(this.#render);
    copyOnClick(html(this.#root, "[data-copies=session]"), sessionId);
    copyOnClick(html(this.#root, "[data-copies=event]"), () => this.#session?.latest?.eventId ?? "");
    html(this.#chartState, ".state-action").addEventListener("click", () => stream.retry());
    this.#root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) location.hash = "#/";
    });
  }

  /**
   * Show a session.
   * @param {string} sessionId
   */
  open(sessionId) {
    this.close();
    show(this.#root, true);
    scrollTo(0, 0);
    this.#announced = "";
    this.#phase = "";
    this.#explainAgainMs = 0;
    this.#clock.set(undefined);
    this.#notice.reset();
    this.#anomalies.open(sessionId);
    this.#interventions.open(sessionId);
    this.#conductor.open(sessionId);
    this.#break.open(sessionId);
    this.#actions.show("session", sessionId);
    setText(html(this.#title, "bdi"), printable(sessionId));
    this.#title.title = printable(sessionId);
    this.#stop = this.#stream.watchSession(sessionId, (session) => this.#onSession(session));
    this.#draw();
    this.#title.focus({ preventScroll: true });
  }

  /** Hide the view and stop receiving updates for it. */
  close() {
    this.#stop?.();
    this.#stop = null;
    this.#session = null;
    show(this.#root, false);
  }

  /** @param {SessionSnapshot} session */
  #onSession(session) {
    const { phase } = session.connection;
    this.#session = session;
    this.#clock.set(session.latest?.timestamp);
    this.#anomalies.merge(session.anomalies);
    this.#interventions.merge(session.decisions);
    if (session.status === "ready") {
      this.#openAnomalies.update([session.sessionId], session.anomalies);
      this.#openDecisions.update([session.sessionId], session.decisions);
    }
    if (phase === "live" && phase !== this.#phase) {
      void this.#anomalies.load();
      void this.#interventions.load();
      this.#openAnomalies.startPolling();
    }
    this.#phase = phase;
    this.#render();
  }

  #draw() {
    const session = this.#session;
    if (this.#root.hidden || !session) return;
    const { latest, points } = session;
    const recent = this.#anomalies.since(this.#clock.nowMs - WINDOW_MS);
    this.#chart ??= new ChartPointer(html(this.#root, ".chart"));
    const { all: interventions, stateText } = this.#interventions;
    this.#chart.show(points, recent, interventions);
    this.#drawLegend(points, recent);
    this.#drawScore(session);
    this.#drawFacts(points);
    this.#drawState(session);
    this.#drawEvent(latest);
    this.#notice.show(recent, this.#break.show(latest), latest?.score);
    this.#conductor.show(latest, interventions, this.#openDecisions);
    this.#manual.show(latest !== null && this.#openDecisions.isEnabled);
    this.#done.show(interventions, stateText, this.#clock.nowMs);
    this.#past.show(this.#anomalies, this.#clock.nowMs);
    this.#cards.show(latest);
    if (latest && this.#clock.nowMs >= this.#explainAgainMs) void this.#explain(session.sessionId);
    this.#announce(latest);
  }

  /** @param {SessionSnapshot} session */
  #drawScore({ sessionId, latest, points }) {
    const panel = html(this.#root, ".score-panel");
    panel.dataset["level"] = latest ? levelOf(latest.score) : "none";
    const name = printable(sessionId);
    setTitle(latest ? `${percent(latest.score)} ${name} · Engagement` : `${name} · Engagement`);
    setText(html(panel, ".score-number"), latest ? String(wholePercent(latest.score)) : "–");
    setText(html(panel, ".category"), latest ? categoryName(latest.category) : "No score");
    const { long } = trend(changeOf(points));
    setText(html(panel, ".score-trend"), latest ? `${long} in the last minute` : "\u00a0");
    html(panel, ".scale-mark").style.transform = `translateX(${(latest?.score ?? 0) * 100}%)`;
  }

  /**
   * Explain what the chart shows, and nothing else.
   * @param {readonly Update[]} points
   * @param {readonly AnomalyRecord[]} incidents
   */
  #drawLegend(points, incidents) {
    const hasExpected = points.some(({ expected }) => expected);
    html(this.#root, ".legend-expected").dataset["shown"] = String(hasExpected);
    html(this.#root, ".legend-incident").dataset["shown"] = String(incidents.length > 0);
    const { hasMarks, hasDifference } = shownInChart(this.#interventions.all, points);
    html(this.#root, ".legend-action").dataset["shown"] = String(hasMarks);
    html(this.#root, ".legend-without").dataset["shown"] = String(hasDifference);
  }

  /** @param {readonly Update[]} points */
  #drawFacts(points) {
    const [first, last] = [points[0], points.at(-1)];
    const total = points.reduce((sum, point) => sum + point.score, 0);
    const range = first && last && `${timeOf(first)} – ${timeOf(last)}`;
    setText(html(this.#root, ".fact-points"), String(points.length));
    setText(html(this.#root, ".fact-range"), range ?? "–");
    setText(html(this.#root, ".fact-average"), last ? percent(total / points.length) : "–");
  }

  /** @param {SessionSnapshot} session */
  #drawState(session) {
    const [title, text, canRetry] = stateOf(session);
    show(this.#chartState, title !== "");
    this.#root.dataset["state"] = title === "" ? "shown" : session.status;
    setText(html(this.#chartState, ".state-title"), title);
    setText(html(this.#chartState, ".state-text"), text);
    show(html(this.#chartState, ".state-action"), canRetry);
  }

  /** @param {Update | null} latest */
  #drawEvent(latest) {
    setText(html(this.#root, ".event-id"), latest ? printable(latest.eventId) : "–");
    html(this.#root, ".event-link").setAttribute("href", eventAddress(latest?.eventId ?? ""));
    html(this.#root, ".session-event").dataset["known"] = String(latest !== null);
  }

  /** @param {string} sessionId */
  async #explain(sessionId) {
    this.#explainAgainMs = this.#clock.nowMs + EXPLAIN_INTERVAL_MS;
    // Without an explanation, the cards show no maximum. The next tick requests it again.
    const explanation = await fetchExplanation(sessionId).catch(() => null);
    if (explanation === null) this.#explainAgainMs = 0;
    else if (sessionId === this.#session?.sessionId) {
      this.#cards.setWeights(explanation);
      this.#notice.setNoticeable(explanation.noticeableS);
    }
  }

  /** @param {Update | null} latest */
  #announce(latest) {
    if (!latest || latest.category === this.#announced) return;
    if (this.#announced) announce(`Now ${categoryName(latest.category)}, ${percent(latest.score)}`);
    this.#announced = latest.category;
  }
}

/**
 * Return the message that replaces the chart; an empty title: none does.
 * @param {SessionSnapshot} session
 * @returns {[title: string, text: string, canRetry: boolean]}
 */
function stateOf({ status, error, points }) {
  if (status === "refused") return ["The session could not be loaded", `Server response: ${error}`, true];
  if (points.length > 0) return ["", "", false];
  if (status === "loading") return ["Loading …", "Waiting for the last 5 minutes.", false];
  return ["No scores in the last 5 minutes", "Scores appear here when the session is active.", false];
}

/** @param {readonly Update[]} points */
function changeOf(points) {
  const last = points.at(-1);
  if (!last) return null;
  const from = Date.parse(last.timestamp) - TREND_MS;
  const first = points.find((point) => Date.parse(point.timestamp) >= from);
  return first === undefined || first === last ? null : last.score - first.score;
}

/** @param {Update} point */
function timeOf(point) {
  return time(Date.parse(point.timestamp));
}
