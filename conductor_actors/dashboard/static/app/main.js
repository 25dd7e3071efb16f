/**
 * The page: one stream, its views, and a router that shows the view of the address.
 *
 * `overview/` is the view of the live sessions, `history/` that of those that were, `session/` that of
 * one, `event/` that of an event, `report/` what is printed of both, `export/` what is downloaded,
 * `conductor/` the view of what the conductor does, and this folder what they share.
 */

import { EngagementStream } from "../engagement-stream.js";
import { SERVICE_URL } from "./addresses.js";
import { tokenRejection } from "./api.js";
import { ConductorView } from "./conductor/conductor-view.js";
import { ModeDialog } from "./conductor/mode-dialog.js";
import { announceSuggestion } from "./conductor/suggestion-announcer.js";
import { showConnection } from "./connection-badge.js";
import { setCurrent } from "./current-view.js";
import { find, html, setText, show } from "./element.js";
import { EventView } from "./event/event-view.js";
import { HistoryView } from "./history/history-view.js";
import { OpenAnomalies } from "./open-anomalies.js";
import { OpenDecisions } from "./conductor/open-decisions.js";
import { Notifications } from "./overview/notifications.js";
import { Overview } from "./overview/overview.js";
import { ReportView } from "./report/report-view.js";
import { routeOf } from "./routes.js";
import { SessionView } from "./session/session-view.js";
import { startTheme } from "./theme.js";
import { loadTitles } from "./titles.js";
import { savedToken, tokenDialog } from "./token.js";
import { tokenScope } from "./token-scope.js";

/** @import { View, ViewName } from "./routes.js" */

startTheme();
const stream = new EngagementStream(SERVICE_URL, { token: savedToken() });
const anomalies = new OpenAnomalies(stream);
const decisions = new OpenDecisions(stream);
const overview = new Overview(stream, anomalies, decisions);
const modeDialog = new ModeDialog();
const session = new SessionView(stream, { anomalies, decisions, modeDialog });
const conductor = new ConductorView(stream, decisions, modeDialog);
const report = new ReportView();
/** @type {Readonly<Partial<Record<ViewName, View>>>} */
const views = {
  ...{ live: overview, history: new HistoryView(), session, event: new EventView(), conductor },
  ...{ "session-report": report.of("session"), "event-report": report.of("event") },
};
const dialog = tokenDialog((token) => {
  stream.retry(token);
  route();
});

new Notifications(find(document, ".notify", HTMLButtonElement), anomalies, decisions);
showConnection(stream);
decisions.watch((began) => {
  showWaiting();
  const { name, id } = routeOf(location.hash);
  const shown = name === "session" ? id : null;
  for (const each of began) announceSuggestion(each, { isShown: each.sessionId === shown });
});
requestTokenWhenRefused();
stream.watchConnection(({ phase }) => {
  if (phase === "live") loadTitles(); // at first, and after each interruption
});
addEventListener("token-stored", () => stream.retry(savedToken()));
addEventListener("hashchange", route);
route();

// The fragment of the address selects the view, so the skip link must not change it.
find(document, ".skip", HTMLAnchorElement).addEventListener("click", (event) => {
  event.preventDefault();
  html(document, "#content").focus();
});

/** Show the view that the address names, and no other; that of the token instead of a list. */
function route() {
  const { name, id, query } = routeOf(location.hash);
  const scope = tokenScope();
  document.documentElement.dataset["scope"] = scope?.kind ?? "all";
  if (scope && (name === "live" || name === "history")) return location.replace(scope.address);
  const shown = views[name] ?? overview;
  for (const view of Object.values(views)) if (view !== shown) view.close();
  shown.open(id, query);
  setCurrent(".to-conductor", name === "conductor" ? "page" : null);
  const isAfterwards = name === "event" || shown === views["event-report"] || shown === views["session-report"];
  setCurrent(".to-history", name === "history" ? "page" : isAfterwards ? "true" : null);
  setCurrent(".to-sessions", name === "session" ? "true" : shown === overview ? "page" : null);
}

/** Show the number of suggestions in the link to their view. */
function showWaiting() {
  const { length } = decisions.isEnabled ? decisions.all : [];
  const badge = html(document, ".waiting-count");
  show(badge, length > 0);
  setText(html(badge, ".waiting-number"), String(length));
}

function requestTokenWhenRefused() {
  stream.watchConnection(async ({ phase, isRefused }) => {
    if (phase === "live") dialog.close();
    if (!isRefused) return;
    const reason = await tokenRejection();
    if (reason !== null) dialog.open(reason);
  });
}
