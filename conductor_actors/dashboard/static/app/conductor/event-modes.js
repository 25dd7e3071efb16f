/** The modes of the events that have live sessions. */

import { setMode } from "../api.js";
import { fromTemplate, html, setText, show } from "../element.js";
import { count, printable } from "../format.js";
import { eventAddress } from "../routes.js";
import { eventName } from "../titles.js";
import { ModeControl } from "./mode-control.js";

/** @import { Update } from "../../types.d.ts" */
/** @import { Mode } from "./modes.js" */
/** @import { ModeDialog } from "./mode-dialog.js" */

const NAMES = new Intl.Collator("en", { numeric: true });

/** One row per event. The mode of an event is that of most of its sessions. */
export class EventModes {
  #list;
  #state;
  #dialog;
  /** @type {Map<string, EventRow>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} root
   * @param {ModeDialog} dialog
   */
  constructor(root, dialog) {
    this.#list = html(root, ".events-list");
    this.#state = html(root, ".events-state");
    this.#dialog = dialog;
  }

  /**
   * @param {Iterable<Update>} updates of all live sessions
   * @param {number} tickMs the newest tick
   * @param {{isEnabled: boolean, defaultMode: Mode}} conductor
   */
  show(updates, tickMs, conductor) {
    const byEvent = groupBy(updates, ({ eventId }) => eventId);
    for (const [id, row] of this.#rows) {
      if (byEvent.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    const events = [...byEvent.keys()].sort(NAMES.compare);
    events.forEach((id, index) => {
      let row = this.#rows.get(id);
      if (!row) this.#rows.set(id, (row = new EventRow(id, this.#dialog)));
      const before = this.#list.children[index] ?? null;
      if (before !== row.element) this.#list.insertBefore(row.element, before);
      row.show(byEvent.get(id) ?? [], tickMs, conductor);
    });
    show(this.#state, events.length === 0);
  }
}

/** One event. */
class EventRow {
  element = fromTemplate("event-mode");
  #eventId;
  #control;
  /** @type {Mode} */
  #mode = "SEMI_AUTO";

  /**
   * @param {string} eventId
   * @param {ModeDialog} dialog
   */
  constructor(eventId, dialog) {
    this.#eventId = eventId;
    html(this.element, ".event-name").title = printable(eventId);
    html(this.element, ".event-address").setAttribute("href", eventAddress(eventId));
    this.#control = new ModeControl(html(this.element, ".mode"), dialog, () => ({
      title: `Mode of ${eventName(eventId)}`,
      mode: this.#mode,
      canInherit: false,
      send: (mode) => setMode("events", eventId, mode),
    }));
  }

  /**
   * @param {readonly Update[]} updates
   * @param {number} tickMs
   * @param {{isEnabled: boolean, defaultMode: Mode}} conductor
   */
  show(updates, tickMs, { isEnabled, defaultMode }) {
    const name = eventName(this.#eventId);
    setText(html(this.element, ".event-name"), name);
    setText(html(this.element, ".mode-change .hidden-text"), ` mode of ${name}`);
    const byMode = groupBy(updates, ({ agent }) => agent?.mode ?? defaultMode);
    const inMode = (/** @type {Mode} */ mode) => byMode.get(mode)?.length ?? 0;
    const mode = [defaultMode, ...byMode.keys()].reduce((a, b) => (inMode(b) > inMode(a) ? b : a));
    this.#mode = mode;
    const others = updates.length - inMode(mode);
    const sessions = `${count(updates.length)} live ${updates.length === 1 ? "session" : "sessions"}`;
    const text = others > 0 ? `${sessions}, ${count(others)} in another mode` : sessions;
    setText(html(this.element, ".event-sessions"), text);
    this.#control.show(mode, tickMs, isEnabled);
  }
}

/**
 * Group values by a key.
 * @template K, V
 * @param {Iterable<V>} values
 * @param {(value: V) => K} keyOf
 */
function groupBy(values, keyOf) {
  /** @type {Map<K, V[]>} */
  const groups = new Map();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group) group.push(value);
    else groups.set(key, [value]);
  }
  return groups;
}
