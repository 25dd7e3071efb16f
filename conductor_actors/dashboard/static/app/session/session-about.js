/** What a session is called, who speaks, when it was planned, and when it ended: the head of its view. */

import { html, setText, show } from "../element.js";
import { duration, minute, printable } from "../format.js";
import { changesClock, day, timesIn, zoneName } from "../local-times.js";
import { addMarkup } from "../markup.js";
import { eventAddress } from "../routes.js";
import { eventName, sessionName, titleOf } from "../titles.js";
import { mayAdminister } from "../token.js";
import { AboutDialog } from "./about-dialog.js";
import { ABOUT, ABOUT_EDIT } from "./range-markup.js";

/** @import { SessionSummary } from "../history-api.js" */
/** @import { SessionHistory } from "./session-history.js" */

/** Ids stay there, to be read and copied, below and behind titles. */
export class SessionAbout {
  #root;
  #edit;
  #history;
  #dialog;

  /**
   * @param {HTMLElement} root
   * @param {SessionHistory} history
   * @param {() => void} onChange
   */
  constructor(root, history, onChange) {
    this.#root = root;
    this.#history = history;
    addMarkup(html(root, ".session-event"), "afterend", ABOUT);
    addMarkup(html(root, ".page-actions"), "afterbegin", ABOUT_EDIT);
    this.#edit = html(root, ".about-edit");
    this.#dialog = new AboutDialog((summary) => (summary ? history.setSummary(summary) : onChange()));
    this.#edit.addEventListener("click", () => history.summary && this.#dialog.open(history.summary));
  }

  close() {
    this.#dialog.close();
  }

  /**
   * @param {string} sessionId
   * @param {string | undefined} eventId undefined: it is not known
   */
  show(sessionId, eventId) {
    const { summary } = this.#history;
    const heading = html(this.#root, "h1");
    setText(html(heading, "bdi"), sessionName(sessionId));
    heading.title = sessionName(sessionId);
    const event = html(this.#root, ".event-id");
    setText(event, eventId === undefined ? "–" : eventName(eventId));
    event.title = printable(eventId ?? "");
    html(this.#root, ".event-link").setAttribute("href", eventAddress(eventId ?? ""));
    html(this.#root, ".session-event").dataset["known"] = String(eventId !== undefined);
    this.#write(".about-id", titleOf(sessionId) === null ? "" : printable(sessionId), "bdi");
    this.#write(".about-speakers", printable(summary?.speakers.join(", ") ?? ""));
    this.#write(".about-planned", summary ? planText(summary) : "");
    this.#write(".about-ended", summary?.state === "ended" ? endText(summary) : "");
    show(this.#edit, mayAdminister());
    this.#edit.style.visibility = summary === null ? "hidden" : ""; // keeps its place
  }

  /**
   * Write a text, and hide its place if it is empty.
   * @param {string} selector
   * @param {string} text
   * @param {string} [part] that has the text
   */
  #write(selector, text, part) {
    const element = html(this.#root, selector);
    show(element, text !== "");
    setText(part ? html(element, part) : element, text);
  }
}

/** @param {SessionSummary} summary */
function planText({ plannedBegin, plannedEnd }) {
  const [begin, end] = [plannedBegin, plannedEnd].map((each) => (each === null ? null : Date.parse(each)));
  if (begin == null) return end == null ? "" : `Planned until ${day(end)}, ${minute(end)}`;
  if (end == null) return `Planned for ${day(begin)}, ${minute(begin)}`;
  const times = timesIn(begin, end);
  const isSameDay = day(begin) === day(end);
  return `Planned for ${isSameDay ? `${day(begin)}, ` : ""}${times.minute(begin)} – ${times.minute(end)}`;
}

/** @param {SessionSummary} summary */
function endText({ startedAt, endedAt, durationS }) {
  if (endedAt === null) return "Ended";
  const [begin, end] = [Date.parse(startedAt ?? endedAt), Date.parse(endedAt)];
  const zone = changesClock(begin, end) ? ` ${zoneName(end)}` : "";
  const length = durationS === null ? "" : ` after ${duration(durationS * 1000)}`;
  return `Ended at ${minute(end)}${zone} on ${day(end)}${length}`;
}
