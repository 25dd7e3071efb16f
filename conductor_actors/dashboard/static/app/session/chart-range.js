/** Which part of a session its chart shows: a choice, and the address that shows the same. */

import { WINDOW_MS } from "../../engagement-stream.js";
import { rangeIn, sessionAddress } from "../routes.js";

/** @typedef {Readonly<{fromMs: number, toMs: number}>} Span */
/**
 * The newest part, the whole, or a range; null: from the beginning, or until the end.
 * @typedef {Readonly<{kind: "recent", lengthMs: number}> | Readonly<{kind: "all"}>
 *   | Readonly<{kind: "fixed", fromMs: number | null, toMs: number | null}>} Choice
 */

export const NEWEST = /** @type {const} */ ({ kind: "recent", lengthMs: WINDOW_MS });
export const ALL = /** @type {const} */ ({ kind: "all" });

/**
 * The choice of the session that is shown. A range is in the address, in absolute times, so that a
 * link shows the same. That it moves on with a live session is known to this entry of the browser's
 * history only.
 */
export class ChartRange {
  #sessionId = "";
  /** null: what is shown without a choice. @type {Choice | null} */
  #chosen = null;

  /**
   * @param {string} sessionId
   * @param {URLSearchParams} query of the address
   */
  open(sessionId, query) {
    this.#sessionId = sessionId;
    const range = rangeIn(query);
    const isRange = range.fromMs !== null || range.toMs !== null;
    const kept = /** @type {Choice | null | undefined} */ (history.state?.chartRange);
    this.#chosen = isRange ? (kept ?? { kind: "fixed", ...range }) : null;
  }

  /** @param {boolean} isEnded */
  choice(isEnded) {
    return this.#chosen ?? (isEnded ? ALL : NEWEST);
  }

  /** @param {Choice} choice */
  choose(choice) {
    this.#chosen = choice;
  }

  /**
   * Return what is shown of a session.
   * @param {Span} session
   * @param {boolean} isEnded
   * @returns {Span}
   */
  spanIn({ fromMs, toMs }, isEnded) {
    const choice = this.choice(isEnded);
    if (choice.kind === "all") return { fromMs, toMs: Math.max(toMs, fromMs + 1) };
    if (choice.kind === "recent") return { fromMs: toMs - choice.lengthMs, toMs };
    const begin = choice.fromMs ?? Math.min(fromMs, choice.toMs ?? fromMs);
    return { fromMs: begin, toMs: Math.max(choice.toMs ?? toMs, begin + 1) };
  }

  /**
   * Whether the range moves on with a live session.
   * @param {boolean} isEnded
   */
  isMoving(isEnded) {
    const choice = this.choice(isEnded);
    return !isEnded && (choice.kind !== "fixed" || choice.toMs === null);
  }

  /**
   * Write into the address what is shown, if it was chosen here.
   * @param {Span} span
   * @param {boolean} isEnded
   */
  writeAddress(span, isEnded) {
    const chosen = this.#chosen;
    if (chosen === null) return;
    const isDefault = chosen.kind !== "fixed" && sameChoice(chosen, isEnded ? ALL : NEWEST);
    const address = isDefault ? sessionAddress(this.#sessionId) : sessionAddress(this.#sessionId, span);
    if (location.hash === address) return;
    const isFixed = chosen.kind === "fixed" && chosen.fromMs !== null && chosen.toMs !== null;
    history.replaceState(isDefault || isFixed ? null : { chartRange: chosen }, "", address);
  }
}

/**
 * @param {Choice} one
 * @param {Choice} other
 */
export function sameChoice(one, other) {
  return one.kind === other.kind && (one.kind !== "recent" || other.kind !== "recent" || one.lengthMs === other.lengthMs);
}
