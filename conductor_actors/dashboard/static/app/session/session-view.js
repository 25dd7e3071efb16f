/** The session view: one session's score, its contributions, and its anomalies. It is frozen after the end. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { announce } from "../announcer.js";
import { fetchExplanation } from "../api.js";
import { ConductorPanel } from "../conductor/conductor-panel.js";
import { InterventionList } from "../conductor/intervention-list.js";
import { ManualDialog } from "../conductor/manual-dialog.js";
import { setCurrent } from "../current-view.js";
import { find, html, oncePerFrame, setText, show } from "../element.js";
import { PageActions } from "../export/page-actions.js";
import { count, minute, percent, trend, wholePercent } from "../format.js";
import { categoryName, categoryOf, levelOf } from "../levels.js";
import { TREND_MS } from "../charts/points.js";
import { setTitle } from "../tab-title.js";
import { TickClock } from "../tick-clock.js";
import { onTitles, sessionName } from "../titles.js";
import { AnomalyNotice } from "./anomaly-notice.js";
import { BreakControl } from "./break-control.js";
import { copyOnClick } from "./clipboard.js";
import { FeedbackButton, onMarked } from "./feedback.js";
import { PastAnomalies } from "./past-anomalies.js";
import { SessionAbout } from "./session-about.js";
import { SessionAnomalies } from "./session-anomalies.js";
import { SessionCharts } from "./session-charts.js";
import { SessionHistory } from "./session-history.js";
import { SessionInterventions } from "./session-interventions.js";
import { SignalCards } from "./signal-cards.js";
import { mean } from "./timeline-points.js";

/** @import { EngagementStream, SessionSnapshot } from "../../engagement-stream.js" */
/** @import { Update } from "../../types.d.ts" */
/** @import { ModeDialog } from "../conductor/mode-dialog.js" */
/** @import { OpenAnomalies } from "../open-anomalies.js" */
/** @import { SessionSummary } from "../history-api.js" */
/** @import { OpenDecisions } from "../conductor/open-decisions.js" */

const ANOMALIES_MS = 20 * 3_600_000; // anomalies of the last day are loaded without a range
const EXPLAIN_INTERVAL_MS = 60_000; // the rate of events changes

/** Shows one session at a time. */
export class SessionView {
  #root = html(document, ".session");
  #title = html(this.#root, "#session-title");
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
  /** @type {(() => void) | null} */
  #stop = null;
  /** @type {SessionSnapshot | null} */
  #session = null;
  #announced = "";
  #explainAgainMs = 0;
  #render = oncePerFrame(() => this.#draw());
  #anomalies = new SessionAnomalies(this.#render);
  #interventions = new SessionInterventions(this.#render);
  #history = new SessionHistory(() => this.#onHistory());
  #charts = new SessionCharts(this.#root, this.#history, this.#render);
  #about = new SessionAbout(this.#root, this.#history, this.#render);
  #phase = "";
  #wasLive = false;

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
    copyOnClick(html(this.#root, "[data-copies=event]"), () => this.#eventId ?? "");
    html(this.#root, ".chart-state .state-action").addEventListener("click", () => stream.retry());
    this.#root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) location.hash = this.#listAddress;
    });
    onTitles(this.#render);
  }

  /**
   * Show a session, or the range of it that the query names.
   * @param {string} sessionId
   * @param {URLSearchParams} query
   */
  open(sessionId, query) {
    this.close();
    this.#charts.open(sessionId, query);
    this.#history.open(sessionId);
    show(this.#root, true);
    scrollTo(0, 0);
    this.#announced = "";
    this.#phase = "";
    this.#wasLive = false;
    this.#explainAgainMs = 0;
    this.#clock.set(undefined);
    this.#notice.reset();
    this.#anomalies.open(sessionId);
    this.#interventions.open(sessionId);
    this.#conductor.open(sessionId);
    this.#break.open(sessionId);
    this.#actions.show("session", sessionId);
    this.#stop = this.#stream.watchSession(sessionId, (session) => this.#onSession(session));
    this.#draw();
    this.#title.focus({ preventScroll: true });
  }

  /** Hide the view and stop receiving updates for it. */
  close() {
    this.#stop?.();
    this.#stop = null;
    this.#session = null;
    this.#history.close();
    this.#about.close();
    show(this.#root, false);
  }

  /** @param {SessionSnapshot} session */
  #onSession(session) {
    const { phase } = session.connection;
    this.#session = session;
    this.#history.follow(session);
    this.#setClock();
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
      if (this.#wasLive) this.#history.refresh(); // what was stored in an interruption
      this.#wasLive = true;
    }
    this.#phase = phase;
    this.#render();
  }

  #onHistory() {
    const { summary, isEnded } = this.#history;
    this.#setClock();
    const startMs = Date.parse(summary?.startedAt ?? "");
    const isLong = this.#clock.tickMs - startMs > ANOMALIES_MS; // by the service's clock
    if (isEnded || isLong) this.#anomalies.setTime(startMs, isEnded ? this.#clock.tickMs : null);
    this.#render();
  }

  /** The time of a session that has ended stands still. */
  #setClock() {
    const { summary, isEnded } = this.#history;
    this.#clock.set((isEnded && summary?.endedAt) || this.#session?.latest?.timestamp);
  }

  get #eventId() {
    return this.#session?.latest?.eventId ?? this.#history.summary?.eventId;
  }

  get #listAddress() {
    return this.#history.isEnded ? "#/sessions" : "#/";
  }

  #draw() {
    const session = this.#session;
    if (this.#root.hidden || !session) return;
    const { all: interventions } = this.#interventions;
    this.#root.dataset["ended"] = String(this.#history.isEnded);
    html(this.#root, ".back").setAttribute("href", this.#listAddress);
    setCurrent(".to-sessions", this.#history.isEnded ? null : "true");
    setCurrent(".to-history", this.#history.isEnded ? "true" : null);
    this.#about.show(session.sessionId, this.#eventId);
    this.#charts.show(session, { anomalies: this.#anomalies, interventions });
    this.#done.show(interventions, this.#interventions.stateText(this.#history.isEnded), this.#clock.nowMs);
    this.#past.show(this.#anomalies, this.#clock.nowMs);
    if (this.#history.isEnded) this.#drawResult(session);
    else this.#drawLive(session);
  }

  /** @param {SessionSnapshot} session */
  #drawLive(session) {
    const { latest } = session;
    const recent = this.#anomalies.since(this.#clock.nowMs - WINDOW_MS);
    this.#drawScore(session);
    this.#notice.show(recent, this.#break.show(latest), latest?.score);
    this.#conductor.show(latest, this.#interventions.all, this.#openDecisions);
    this.#manual.show(latest !== null && this.#openDecisions.isEnabled);
    this.#cards.show(latest);
    if (latest && this.#clock.nowMs >= this.#explainAgainMs) void this.#explain(session.sessionId);
    this.#announce(latest);
  }

  /**
   * Show the figures of a session that has ended. Those that are not computed yet follow from its curve.
   * @param {SessionSnapshot} session
   */
  #drawResult({ sessionId }) {
    const { summary, whole } = this.#history;
    const scores = whole.points.map(({ score }) => score);
    const score = summary?.meanScore ?? (scores.length > 0 ? mean(scores) : null);
    setTitle(`${sessionName(sessionId)} · Engagement`);
    this.#writeScore("Average score", score, score === null ? "" : categoryOf(score), resultText(summary));
  }

  /** @param {SessionSnapshot} session */
  #drawScore({ sessionId, latest, points }) {
    const name = sessionName(sessionId);
    setTitle(latest ? `${percent(latest.score)} ${name} · Engagement` : `${name} · Engagement`);
    const { long } = trend(changeOf(points));
    const text = latest ? `${long} in the last minute` : "\u00a0";
    this.#writeScore("Score", latest?.score ?? null, latest?.category ?? "", text);
  }

  /**
   * @param {string} title
   * @param {number | null} score
   * @param {string} category
   * @param {string} text
   */
  #writeScore(title, score, category, text) {
    const panel = html(this.#root, ".score-panel");
    panel.dataset["level"] = score === null ? "none" : levelOf(score);
    setText(html(panel, "h2"), title);
    setText(html(panel, ".score-number"), score === null ? "–" : String(wholePercent(score)));
    setText(html(panel, ".category"), score === null ? "No score" : categoryName(category));
    setText(html(panel, ".score-trend"), text);
    html(panel, ".scale-mark").style.transform = `translateX(${(score ?? 0) * 100}%)`;
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
 * Return the figures of a session that has ended.
 * @param {SessionSummary | null} summary
 */
function resultText(summary) {
  if (summary === null) return "";
  const { peakScore, peakAt, peakUsers } = summary;
  const at = peakAt === null ? "" : ` at ${minute(Date.parse(peakAt))}`;
  const peak = peakScore === null ? "" : `Peak ${percent(peakScore)}${at}`;
  const people = peakUsers === null ? "" : `${count(peakUsers)} people at most`;
  return [peak, people].filter(Boolean).join("\n");
}

/** @param {readonly Update[]} points */
function changeOf(points) {
  const last = points.at(-1);
  if (!last) return null;
  const from = Date.parse(last.timestamp) - TREND_MS;
  const first = points.find((point) => Date.parse(point.timestamp) >= from);
  return first === undefined || first === last ? null : last.score - first.score;
}
