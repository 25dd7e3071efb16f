/** The page: a stream, two views, and the address that says which of them is shown. */

import { EngagementStream } from "../engagement-stream.js";
import { wantsToken } from "./api.js";
import { showConnection } from "./connection-badge.js";
import { find, html } from "./element.js";
import { Overview } from "./overview.js";
import { SessionView } from "./session-view.js";
import { startTheme } from "./theme.js";
import { savedToken, tokenDialog } from "./token.js";

startTheme();
const stream = new EngagementStream("", { token: savedToken() });
const overview = new Overview(stream);
const session = new SessionView(stream);
const dialog = tokenDialog((token) => stream.retry(token));

showConnection(stream);
askForTokenWhenRefused();
addEventListener("token-taken", () => stream.retry(savedToken()));
addEventListener("hashchange", route);
route();

// The address after # is the view's; the skip link must not change it.
find(document, ".skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  html(document, "#content").focus();
});

/** Show what the address names; what it can't be read as is the list. */
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
    return null; // not percent-encoded as it should be
  }
}

function askForTokenWhenRefused() {
  stream.watchConnection(async ({ phase, isRefused }) => {
    if (phase === "live") dialog.done();
    else if (isRefused && (await wantsToken())) dialog.ask();
  });
}
