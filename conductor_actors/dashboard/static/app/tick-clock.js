/** The time by the ticks of the service, because the clock of the browser may be wrong. */

const MAX_AHEAD_MS = 10_000; // of the newest tick: without updates, durations stand still

/** Set by each tick, and runs on between two of them. */
export class TickClock {
  #tickMs = 0;
  #receivedMs = 0;

  /** @param {string | undefined} timestamp */
  set(timestamp) {
    const tickMs = timestamp === undefined ? 0 : Date.parse(timestamp);
    if (tickMs === this.#tickMs) return;
    this.#tickMs = tickMs;
    this.#receivedMs = performance.now();
  }

  /** The newest tick; 0: there was none. */
  get tickMs() {
    return this.#tickMs;
  }

  /** Milliseconds since 1970; the browser's time before the first tick. */
  get nowMs() {
    if (this.#tickMs === 0) return Date.now();
    return this.#tickMs + Math.min(MAX_AHEAD_MS, performance.now() - this.#receivedMs);
  }
}
