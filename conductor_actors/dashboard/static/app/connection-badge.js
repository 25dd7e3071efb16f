/** The state of the connection: a badge in the header, and a bar while it is lost. */

import { announce } from "./announcer.js";
import { html, setText, show } from "./element.js";

/** @import { ConnectionSnapshot, EngagementStream } from "../engagement-stream.js" */

/** @type {Readonly<Record<ConnectionSnapshot["phase"], string>>} */
const WORDS = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  disconnected: "Disconnected",
};

/**
 * Show the stream's connection from now on.
 * @param {EngagementStream} stream
 */
export function showConnection(stream) {
  const badge = html(document, ".connection");
  const bar = html(document, ".lost");
  const retry = html(bar, ".retry");
  let before = "connecting";
  let wasLive = false;
  retry.addEventListener("click", () => stream.retry());
  stream.watchConnection((connection) => {
    const { phase, attempt } = connection;
    wasLive ||= phase === "live";
    const words = phase === "reconnecting" ? `Reconnecting, attempt ${attempt}` : WORDS[phase];
    badge.dataset["phase"] = phase;
    setText(html(badge, ".connection-text"), words);
    const isLost = phase === "reconnecting" || phase === "disconnected";
    document.body.classList.toggle("is-stale", isLost);
    show(bar, isLost);
    show(retry, phase === "disconnected");
    setText(html(bar, ".lost-text"), lostWords(connection, wasLive));
    if (phase !== before && !(before === "connecting" && phase === "live")) announce(WORDS[phase]);
    before = phase;
  });
}

/**
 * @param {ConnectionSnapshot} connection
 * @param {boolean} wasLive
 */
function lostWords({ phase, attempt, reason, isRefused }, wasLive) {
  const figures = wasLive ? " These are the last figures that arrived." : "";
  if (phase === "reconnecting") return `Reconnecting, attempt ${attempt}.${figures}`;
  return isRefused ? `The service refuses: ${reason}.${figures}` : `Disconnected.${figures}`;
}
