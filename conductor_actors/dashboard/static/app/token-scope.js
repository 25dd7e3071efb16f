/** Tokens that open one session or one event: the page shows it instead of a list. */

import { eventAddress, sessionAddress } from "./routes.js";
import { savedClaims } from "./token.js";

/** The view that a token opens. @typedef {Readonly<{kind: "session" | "event", address: string}>} TokenScope */

/**
 * Return the session or event that the token names, if it names no other; null: it opens more.
 * @returns {TokenScope | null}
 */
export function tokenScope() {
  const claims = savedClaims();
  const [sessions, events] = [idsIn(claims?.["sessions"]), idsIn(claims?.["events"])];
  const [session, event] = [sessions[0], events[0]];
  if (sessions.length + events.length !== 1) return null;
  if (session !== undefined) return { kind: "session", address: sessionAddress(session) };
  return event === undefined ? null : { kind: "event", address: eventAddress(event) };
}

/**
 * @param {unknown} claim
 * @returns {string[]}
 */
function idsIn(claim) {
  return Array.isArray(claim) ? claim.filter((id) => typeof id === "string") : [];
}
