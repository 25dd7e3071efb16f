/** What is stored of the session that is shown: what it is called, its end, and its curve. */

import { fetchAbout, fetchTimeline } from "../history-api.js";
import { Polled } from "../polled.js";
import { setTitles } from "../titles.js";
import { pointsOf, stepMsOf, timeOf, withUpdates } from "./timeline-points.js";

/** @import { SessionTimeline, Update } from "../../types.d.ts" */
/** @import { SessionSnapshot } from "../../engagement-stream.js" */
/** @import { ApiError } from "../api.js" */
/** @import { SessionSummary } from "../history-api.js" */
/** @import { Span } from "./chart-range.js" */
/** @import { ChartPoint } from "./timeline-points.js" */

/** The curve of a range. @typedef {Readonly<{points: readonly ChartPoint[], gaps: readonly Span[], isLoaded: boolean}>} Curve */

const ABOUT_REFRESH_MS = 300_000;
// The newest 5 minutes come from the stream. In longer steps, they are too few to make a step of.
const REFRESH_MS = 180_000;
const LONG_STEPS_REFRESH_MS = 60_000;
const LONG_MS = 8 * 3_600_000;
const SILENCE_MS = 15_000; // without an update, a session may have ended
const CHECK_MS = 2_000;
const [UNKNOWN, BUSY] = [404, 429];
/** @type {readonly Update[]} */
const NO_UPDATES = [];
/** @type {Curve} */
const NOTHING = { points: [], gaps: [], isLoaded: false };

/** Loads it, refreshes it while the session is live, and loads it again after a failure. */
export class SessionHistory {
  #onChange;
  #sessionId = "";
  /** @type {Polled<SessionSummary>} */
  #about = new Polled(() => this.#onAbout());
  /** @type {Polled<SessionTimeline>} */
  #whole = new Polled(() => this.#onChange());
  /** @type {Polled<SessionTimeline>} */
  #part = new Polled(() => this.#onChange());
  #partKey = "";
  #loadedState = "";
  #updateMs = 0;
  #checkedMs = 0;
  /** @type {readonly Update[]} */
  #updates = [];
  /** The newest curve of a timeline. @type {WeakMap<SessionTimeline, Readonly<{updates: readonly Update[], curve: Curve}>>} */
  #curves = new WeakMap();

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    setInterval(() => this.#check(), CHECK_MS);
  }

  /** @param {string} sessionId */
  open(sessionId) {
    this.close();
    this.#sessionId = sessionId;
    this.#updateMs = this.#checkedMs = performance.now();
    this.#about.start(() => fetchAbout(sessionId), ABOUT_REFRESH_MS);
  }

  close() {
    for (const each of [this.#about, this.#whole, this.#part]) each.stop();
    this.#sessionId = this.#partKey = this.#loadedState = "";
    this.#updates = [];
  }

  /** Load everything again, after an interruption. */
  refresh() {
    for (const each of [this.#about, this.#whole, this.#part]) each.refresh();
  }

  /** @param {SessionSnapshot} session */
  follow({ points, latest }) {
    const before = this.#updates.at(-1);
    this.#updates = points;
    if (latest?.timestamp === before?.timestamp) return;
    this.#updateMs = performance.now();
    const endedAt = this.summary?.endedAt; // of a session that goes on
    if (latest && endedAt && timeOf(latest) > Date.parse(endedAt)) this.#about.refresh();
  }

  get summary() {
    return this.#about.value;
  }

  /** @param {SessionSummary} summary as it was changed here */
  setSummary(summary) {
    this.#about.value = summary;
    setTitles(summary);
    this.#onChange();
  }

  get isEnded() {
    return this.summary?.state === "ended";
  }

  /** Why the history is missing; null: it is not. @type {ApiError | null} */
  get failure() {
    const found = [this.#about, this.#whole, this.#part].find(
      ({ failure, value }) => failure && failure.status !== UNKNOWN && (failure.status !== BUSY || value === null),
    );
    return found?.failure ?? null;
  }

  /** After which time what is stored of a live session is loaded again. */
  get #refreshMs() {
    const { fromMs, toMs } = this.span ?? { fromMs: 0, toMs: 0 };
    return toMs - fromMs > LONG_MS ? LONG_STEPS_REFRESH_MS : REFRESH_MS;
  }

  /** The curve from the beginning to the end. */
  get whole() {
    return this.#curveFrom(this.#whole, !this.isEnded);
  }

  /** From the beginning to the end, or to the newest update; null: the beginning is not known. @type {Span | null} */
  get span() {
    const { startedAt = null, endedAt = null } = this.summary ?? {};
    if (startedAt === null) return null;
    const newest = Math.max(...[this.#updates.at(-1), this.#whole.value?.points.at(-1)].map((each) => (each ? timeOf(each) : 0)));
    const fromMs = Date.parse(startedAt);
    return { fromMs, toMs: this.isEnded && endedAt ? Date.parse(endedAt) : Math.max(newest, fromMs) };
  }

  /**
   * Return the curve of a range, which is loaded if it is not the whole session.
   * @param {Span} span
   * @param {{isAll: boolean, isMoving: boolean}} options
   * @returns {Curve}
   */
  curveOf({ fromMs, toMs }, { isAll, isMoving }) {
    if (isAll) return this.whole;
    // A range that moves is loaded from its first beginning on, and the newest updates are added.
    const key = isMoving ? `${Math.floor(fromMs / this.#refreshMs)}` : `${fromMs} ${toMs}`;
    if (key !== this.#partKey && this.summary !== null) {
      this.#partKey = key;
      const range = { fromMs, toMs: isMoving ? null : toMs + 1 };
      this.#part.start(() => fetchTimeline(this.#sessionId, range), isMoving ? this.#refreshMs : null);
    }
    return this.#curveFrom(this.#part, isMoving);
  }

  /**
   * @param {Polled<SessionTimeline>} polled
   * @param {boolean} isMoving
   * @returns {Curve}
   */
  #curveFrom({ value: timeline, isLoading }, isMoving) {
    if (timeline === null) return NOTHING;
    const updates = isMoving ? this.#updates : NO_UPDATES;
    const known = this.#curves.get(timeline);
    if (known?.updates === updates && known.curve.isLoaded === !isLoading) return known.curve;
    const points = withUpdates(pointsOf(timeline), updates, stepMsOf(timeline));
    const gaps = timeline.gaps.map(({ from, to }) => ({ fromMs: Date.parse(from), toMs: Date.parse(to) }));
    const curve = { points, gaps, isLoaded: !isLoading };
    this.#curves.set(timeline, { updates, curve });
    return curve;
  }

  #onAbout() {
    const { summary } = this;
    if (summary !== null) {
      setTitles(summary);
      const refreshMs = this.isEnded ? null : this.#refreshMs;
      const state = `${summary.state} ${summary.endedAt} ${refreshMs}`;
      if (state !== this.#loadedState && summary.startedAt !== null) {
        this.#loadedState = state;
        const whole = { fromMs: null, toMs: null };
        this.#whole.start(() => fetchTimeline(this.#sessionId, whole), refreshMs);
      }
    }
    this.#onChange();
  }

  /** Look whether a session without updates has ended, or one that was not stored yet is. */
  #check() {
    const nowMs = performance.now();
    if (this.#sessionId === "" || this.isEnded) return;
    const isSilent = nowMs - this.#updateMs >= SILENCE_MS;
    if (nowMs - this.#checkedMs < SILENCE_MS || !(isSilent || this.summary === null)) return;
    this.#checkedMs = nowMs;
    this.#about.refresh();
  }
}
