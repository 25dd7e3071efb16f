/**
 * The page: one stream, three views, and a router that shows the view of the address.
 *
 * `overview/` is the view of all sessions, `session/` that of one, `conductor/` that of what the
 * conductor does, and this folder what they share.
 */

import { EngagementStream } from "../engagement-stream.js";
import { SERVICE_URL } from "./addresses.js";
import { tokenRejection } from "./api.js";
import { ConductorView } from "./conductor/conductor-view.js";
import { ModeDialog } from "./conductor/mode-dialog.js";
import { announceSuggestion } from "./conductor/suggestion-announcer.js";
import { showConnection } from "./connection-badge.js";
import { find, html, setText, show } from "./element.js";
import { OpenAnomalies } from "./open-anomalies.js";
import { OpenDecisions } from "./open-decisions.js";
import { Notifications } from "./overview/notifications.js";
import { Overview } from "./overview/overview.js";
import { SessionView } from "./session/session-view.js";
import { startTheme } from "./theme.js";
import { savedToken, tokenDialog } from "./token.js";

startTheme();
const stream = new EngagementStream(SERVICE_URL, { token: savedToken() });
const anomalies = new OpenAnomalies(stream);
const decisions = new OpenDecisions(stream);
const overview = new Overview(stream, anomalies, decisions);
const modeDialog = new ModeDialog();
const session = new SessionView(stream, { anomalies, decisions, modeDialog });
const conductor = new ConductorView(stream, decisions, modeDialog);
const dialog = tokenDialog((token) => stream.retry(token));

new Notifications(find(document, ".notify", HTMLButtonElement), anomalies, decisions);
showConnection(stream);
decisions.watch((began) => {
  showWaiting();
  const shown = sessionIn(location.hash);
  for (const each of began) announceSuggestion(each, { isShown: each.sessionId === shown });
});
requestTokenWhenRefused();
addEventListener("token-stored", () => stream.retry(savedToken()));
addEventListener("hashchange", route);
route();

// The fragment of the address selects the view, so the skip link must not change it.
find(document, ".skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  html(document, "#content").focus();
});

/** Show the session or the view of the address, or the list if it names none. */
function route() {
  const id = sessionIn(location.hash);
  const isConductor = location.hash === "#/conductor";
  if (id === null) session.close();
  if (!isConductor) conductor.close();
  if (id !== null || isConductor) overview.close();
  if (id !== null) session.open(id);
  else if (isConductor) conductor.open();
  else overview.open();
  setCurrent(".to-conductor", isConductor ? "page" : null);
  setCurrent(".to-sessions", isConductor ? null : id === null ? "page" : "true");
}

/**
 * @param {string} link
 * @param {"page" | "true" | null} value "true": a page within that of the link is shown
 */
function setCurrent(link, value) {
  if (value !== null) html(document, link).setAttribute("aria-current", value);
  else html(document, link).removeAttribute("aria-current");
}

/** Show the number of suggestions in the link to their view. */
function showWaiting() {
  const { length } = decisions.isEnabled ? decisions.all : [];
  const badge = html(document, ".waiting-count");
  show(badge, length > 0);
  setText(html(badge, ".waiting-number"), String(length));
}

/**
 * @param {string} hash
 * @returns {string | null}
 */
function sessionIn(hash) {
  const [, encoded] = /^#\/session\/(.+)$/.exec(hash) ?? [];
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch {
    return null; // invalid percent-encoding
  }
}

function requestTokenWhenRefused() {
  stream.watchConnection(async ({ phase, isRefused }) => {
    if (phase === "live") dialog.close();
    if (!isRefused) return;
    const reason = await tokenRejection();
    if (reason !== null) dialog.open(reason);
  });
}
