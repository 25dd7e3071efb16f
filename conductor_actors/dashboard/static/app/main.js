/**
 * The page: one stream, two views, and a router that shows the view of the address.
 *
 * `overview/` is the view of all sessions, `session/` that of one, and this folder what they share.
 */

import { EngagementStream } from "../engagement-stream.js";
import { SERVICE_URL } from "./addresses.js";
import { tokenRejection } from "./api.js";
import { showConnection } from "./connection-badge.js";
import { find, html } from "./element.js";
import { OpenAnomalies } from "./open-anomalies.js";
import { Notifications } from "./overview/notifications.js";
import { Overview } from "./overview/overview.js";
import { SessionView } from "./session/session-view.js";
import { startTheme } from "./theme.js";
import { savedToken, tokenDialog } from "./token.js";

startTheme();
const stream = new EngagementStream(SERVICE_URL, { token: savedToken() });
const anomalies = new OpenAnomalies(stream);
const overview = new Overview(stream, anomalies);
const session = new SessionView(stream, anomalies);
const dialog = tokenDialog((token) => stream.retry(token));

new Notifications(find(document, ".notify", HTMLButtonElement), anomalies);
showConnection(stream);
requestTokenWhenRefused();
addEventListener("token-stored", () => stream.retry(savedToken()));
addEventListener("hashchange", route);
route();

// The fragment of the address selects the view, so the skip link must not change it.
find(document, ".skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  html(document, "#content").focus();
});

/** Show the session of the address, or the list if the address names none. */
function route() {
  const id = sessionIn(location.hash);
  if (id === null) {
    session.close();
    overview.open();
  } else {
    overview.close();
    session.open(id);
  }
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
