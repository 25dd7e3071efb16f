/** The state of the connection: a badge in the header, and a bar while it is interrupted. */

import { announce } from "./announcer.js";
import { html, setText, show } from "./element.js";

/** @import { ConnectionSnapshot, EngagementStream } from "../engagement-stream.js" */

/** @type {Readonly<Record<ConnectionSnapshot["phase"], string>>} */
const PHASES = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  disconnected: "Disconnected",
};

/**
 * Show the state of the stream's connection, and its changes.
 * @param {EngagementStream} stream
 */
export function showConnection(stream) {
  const badge = html(document, ".connection");
  const bar = html(document, ".connection-bar");
  const retry = html(bar, ".retry");
  let previous = "connecting";
  let wasLive = false;
  retry.addEventListener("click", () => stream.retry());
  stream.watchConnection((connection) => {
    const { phase, attempt } = connection;
    wasLive ||= phase === "live";
    const text = phase === "reconnecting" ? `Reconnecting, attempt ${attempt}` : PHASES[phase];
    badge.dataset["phase"] = phase;
    setText(html(badge, ".connection-text"), text);
    const isInterrupted = phase === "reconnecting" || phase === "disconnected";
    document.body.classList.toggle("is-stale", isInterrupted);
    show(bar, isInterrupted);
    show(retry, phase === "disconnected");
    setText(html(bar, ".connection-bar-text"), isInterrupted ? interruption(connection, wasLive) : "");
    if (phase !== previous && !(previous === "connecting" && phase === "live")) announce(PHASES[phase]);
    previous = phase;
  });
}

/**
 * @param {ConnectionSnapshot} connection
 * @param {boolean} wasLive
 */
function interruption({ phase, attempt, reason, isRefused }, wasLive) {
  const note = wasLive ? " Showing the last scores received." : "";
  if (phase === "reconnecting") return `Reconnecting, attempt ${attempt}.${note}`;
  return isRefused ? `The server refused the connection: ${reason}.${note}` : `Disconnected: ${reason}.${note}`;
}
