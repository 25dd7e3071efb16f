/** The charts of a session: its scores and their parts over a range, which buttons and a brush choose. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { html, setText, show } from "../element.js";
import { duration, percent } from "../format.js";
import { timesIn } from "../local-times.js";
import { addMarkup } from "../markup.js";
import { shownInChart } from "./chart-interventions.js";
import { ChartPointer } from "./chart-pointer.js";
import { ALL, ChartRange, NEWEST, sameChoice } from "./chart-range.js";
import { ContributionsChart } from "./contributions-chart.js";
import { RangeBrush } from "./range-brush.js";
import { BRUSH, CONTRIBUTIONS, LEGEND, PART, RANGE_BUTTONS } from "./range-markup.js";
import { mean, timeOf } from "./timeline-points.js";

/** @import { SessionSnapshot } from "../../engagement-stream.js" */
/** @import { ChartContent } from "./score-chart.js" */
/** @import { Choice, Span } from "./chart-range.js" */
/** @import { SessionAnomalies } from "./session-anomalies.js" */
/** @import { Curve, SessionHistory } from "./session-history.js" */
/** @import { Intervention } from "../conductor/intervention-bodies.js" */

/** @typedef {ChartContent & Readonly<{choice: Choice, isLoaded: boolean}>} Shown */
/** @typedef {Readonly<{anomalies: SessionAnomalies, interventions: readonly Intervention[]}>} Marks */

const TYPED_MS = 200; // after the last change of the brush, its range is requested

/** Shows the last 5 minutes of a live session as they arrive, and every other range as it is stored. */
export class SessionCharts {
  #root;
  #state;
  #history;
  #onChange;
  #range = new ChartRange();
  #brush;
  /** @type {ChartPointer | null} */
  #chart = null;
  /** @type {ContributionsChart | null} */
  #parts = null;
  /** What the brush shows before it is requested. @type {Span | null} */
  #brushed = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} root
   * @param {SessionHistory} history
   * @param {() => void} onChange
   */
  constructor(root, history, onChange) {
    this.#root = root;
    this.#history = history;
    this.#onChange = onChange;
    this.#state = html(root, ".chart-state");
    addMarkup(html(root, "#chart-title"), "afterend", RANGE_BUTTONS);
    addMarkup(html(root, ".legend"), "beforeend", LEGEND);
    addMarkup(html(root, ".chart"), "afterend", BRUSH);
    addMarkup(html(root, ".breakdown"), "beforeend", CONTRIBUTIONS);
    addMarkup(document.body, "beforeend", PART);
    this.#brush = new RangeBrush(html(root, ".brush-panel"), (span) => this.#onBrush(span));
    html(root, ".ranges").addEventListener("change", (event) => {
      const { value } = /** @type {HTMLInputElement} */ (event.target);
      this.#choose(value === "all" ? ALL : { kind: "recent", lengthMs: Number(value) });
    });
  }

  /**
   * @param {string} sessionId
   * @param {URLSearchParams} query of the address
   */
  open(sessionId, query) {
    clearTimeout(this.#timer);
    this.#brushed = null;
    this.#range.open(sessionId, query);
  }

  /**
   * @param {SessionSnapshot} session
   * @param {Marks} marks
   */
  show(session, marks) {
    const shown = this.#shown(session, marks);
    this.#parts ??= new ContributionsChart(html(this.#root, ".parts"));
    const parts = this.#parts;
    this.#chart ??= new ChartPointer(html(this.#root, ".chart"), (point) => parts.select(point));
    this.#chart.show(shown);
    this.#parts.show(shown);
    this.#brush.show(this.#history.span, this.#brushed ?? shown, this.#history.whole.points);
    if (this.#history.span && this.#brushed === null) this.#range.writeAddress(shown, this.#history.isEnded);
    this.#drawTitle(shown);
    this.#drawLegend(shown);
    this.#drawFacts(shown);
    this.#drawState(session, shown);
    this.#drawFailure(shown);
  }

  /** @param {Span} span */
  #onBrush(span) {
    this.#brushed = span;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const whole = this.#history.span;
      if (whole === null) return;
      const [isAtBegin, isAtEnd] = [span.fromMs <= whole.fromMs, span.toMs >= whole.toMs];
      const toMs = isAtEnd && !this.#history.isEnded ? null : span.toMs;
      this.#choose(isAtBegin && isAtEnd ? ALL : { kind: "fixed", fromMs: span.fromMs, toMs });
    }, TYPED_MS);
  }

  /** @param {Choice} choice */
  #choose(choice) {
    clearTimeout(this.#timer);
    this.#brushed = null;
    this.#range.choose(choice);
    this.#onChange();
  }

  /**
   * @param {SessionSnapshot} session
   * @param {Marks} marks
   * @returns {Shown}
   */
  #shown({ points }, { anomalies, interventions }) {
    const { isEnded } = this.#history;
    const choice = this.#range.choice(isEnded);
    const isNewest = !isEnded && sameChoice(choice, NEWEST);
    const last = points.at(-1);
    const newestMs = (last && timeOf(last)) || WINDOW_MS;
    const whole = this.#history.span ?? { fromMs: newestMs - WINDOW_MS, toMs: newestMs };
    const span = isNewest ? { fromMs: newestMs - WINDOW_MS, toMs: newestMs } : this.#range.spanIn(whole, isEnded);
    const isMoving = this.#range.isMoving(isEnded);
    const curve = isNewest
      ? { points, gaps: [], isLoaded: true }
      : this.#history.curveOf(span, { isAll: choice.kind === "all", isMoving });
    const { fromMs, toMs } = span;
    const incidents = anomalies.since(fromMs);
    const name = nameOf(choice, span);
    return { ...{ choice, incidents, interventions, fromMs, toMs, name }, isLive: isMoving, ...(choice.kind === "all" ? curve : within(curve, span)) };
  }

  /** @param {Shown} shown */
  #drawTitle({ choice, name }) {
    const isNamed = choice.kind !== "fixed";
    const title = isNamed ? name.replace("the ", "") : name;
    setText(html(this.#root, "#chart-title"), title.charAt(0).toUpperCase() + title.slice(1));
    const value = choice.kind === "recent" ? String(choice.lengthMs) : choice.kind;
    for (const each of this.#root.querySelectorAll("[name=range]")) {
      const input = /** @type {HTMLInputElement} */ (each);
      input.checked = input.value === value;
    }
  }

  /**
   * Explain what the chart shows, and nothing else.
   * @param {Shown} shown
   */
  #drawLegend({ points, incidents, interventions, gaps, fromMs, toMs, choice }) {
    html(this.#root, ".legend").dataset["newest"] = String(!this.#history.isEnded && sameChoice(choice, NEWEST));
    const { hasMarks, hasDifference } = shownInChart(interventions, fromMs, toMs);
    const parts = {
      expected: points.some(({ expected }) => expected),
      incident: incidents.length > 0,
      spread: points.some(({ min, max }) => min !== max),
      missing: gaps.length > 0,
      action: hasMarks,
      without: hasDifference,
    };
    for (const [part, isShown] of Object.entries(parts)) {
      html(this.#root, `.legend-${part}`).dataset["shown"] = String(isShown);
    }
  }

  /** @param {Shown} shown */
  #drawFacts({ points, fromMs, toMs }) {
    const [first, last] = [points[0], points.at(-1)];
    const times = timesIn(fromMs, toMs);
    const range = first && last && `${times.time(timeOf(first))} – ${times.time(timeOf(last))}`;
    setText(html(this.#root, ".fact-points"), String(points.length));
    setText(html(this.#root, ".fact-range"), range ?? "–");
    setText(html(this.#root, ".fact-average"), last ? percent(mean(points.map(({ score }) => score))) : "–");
  }

  /**
   * @param {SessionSnapshot} session
   * @param {Shown} shown
   */
  #drawState(session, shown) {
    const [title, text, canRetry] = this.#stateOf(session, shown);
    show(this.#state, title !== "");
    this.#root.dataset["state"] = title === "" ? "shown" : session.status;
    setText(html(this.#state, ".state-title"), title);
    setText(html(this.#state, ".state-text"), text);
    show(html(this.#state, ".state-action"), canRetry);
  }

  /**
   * Return the message that replaces the chart; an empty title: none does.
   * @param {SessionSnapshot} session
   * @param {Shown} shown
   * @returns {[title: string, text: string, canRetry: boolean]}
   */
  #stateOf({ status, error }, { points, choice, isLoaded }) {
    const { isEnded, failure } = this.#history;
    if (status === "refused" && !isEnded) return ["The session could not be loaded", `Server response: ${error}`, true];
    if (points.length > 0) return ["", "", false];
    if (!isEnded && sameChoice(choice, NEWEST)) {
      if (status === "loading") return ["Loading …", "Waiting for the last 5 minutes.", false];
      return ["No scores in the last 5 minutes", "Scores appear here when the session is active.", false];
    }
    if (failure !== null) return ["The history is not available", `Server response: ${failure.message}. It is loaded again by itself.`, false];
    if (!isLoaded) return ["Loading …", "Waiting for what is stored.", false];
    return ["No scores in this range", "Choose another part of the session.", false];
  }

  /**
   * Say that the history is missing, unless the chart says it.
   * @param {Shown} shown
   */
  #drawFailure({ points }) {
    const { failure } = this.#history;
    const isSaid = failure === null || points.length === 0;
    const text = isSaid ? "" : `The history is not available: ${failure.message}. It is loaded again by itself.`;
    setText(html(this.#root, ".brush-state"), text);
  }
}

/**
 * Return a curve without what is outside of a range.
 * @param {Curve} curve
 * @param {Span} span
 */
function within({ points, gaps, isLoaded }, { fromMs, toMs }) {
  return {
    points: points.filter((point) => timeOf(point) >= fromMs && timeOf(point) <= toMs),
    gaps: gaps.filter((gap) => gap.toMs > fromMs && gap.fromMs < toMs),
    isLoaded,
  };
}

/**
 * Return the name of what is shown, for a sentence.
 * @param {Choice} choice
 * @param {Span} span
 */
function nameOf(choice, { fromMs, toMs }) {
  if (choice.kind === "all") return "the whole session";
  if (choice.kind === "recent") return `the last ${duration(choice.lengthMs).replace("min", "minutes")}`;
  const times = timesIn(fromMs, toMs);
  return `${times.minute(fromMs)} – ${times.minute(toMs)}`;
}
