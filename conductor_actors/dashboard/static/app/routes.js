/** The views that the fragment of the address names, and the addresses of views. */

/** @typedef {"live" | "history" | "session" | "event" | "session-report" | "event-report" | "conductor"} ViewName */

/**
 * The view that an address names.
 * @typedef {object} Route
 * @property {ViewName} name
 * @property {string} id of the session or event; empty: the view has none
 * @property {URLSearchParams} query such as the range of a session
 */

/**
 * What the router shows and hides.
 * @typedef {object} View
 * @property {(id: string, query: URLSearchParams) => void} open
 * @property {() => void} close
 */

/** A time range. null: from the beginning, or until the end. @typedef {{fromMs: number | null, toMs: number | null}} Range */

/**
 * Return the view that a fragment names; the live sessions if it names none.
 * @param {string} hash
 * @returns {Route}
 */
export function routeOf(hash) {
  const [, path = "", search = ""] = /^#?([^?]*)\??(.*)$/s.exec(hash) ?? [];
  const query = new URLSearchParams(search);
  if (path === "/sessions") return { name: "history", id: "", query };
  if (path === "/conductor") return { name: "conductor", id: "", query };
  const [, kind, encoded, report] = /^\/(session|event)\/(.+?)(\/report)?$/.exec(path) ?? [];
  const id = decoded(encoded);
  if (id === null) return { name: "live", id: "", query };
  return { name: /** @type {ViewName} */ (report ? `${kind}-report` : kind), id, query };
}

/**
 * Return the address of a session, or of a time range of it.
 * @param {string} sessionId
 * @param {Range} [range]
 */
export function sessionAddress(sessionId, range) {
  return withRange(`#/session/${encodeURIComponent(sessionId)}`, range);
}

/** @param {string} eventId */
export function eventAddress(eventId) {
  return `#/event/${encodeURIComponent(eventId)}`;
}

/**
 * Return the address of the report of a session or an event.
 * @param {"session" | "event"} kind
 * @param {string} id
 */
export function reportAddress(kind, id) {
  return `#/${kind}/${encodeURIComponent(id)}/report`;
}

/**
 * Return the range that a query names. What is no time is null, and so is a range that is upside down.
 * @param {URLSearchParams} query
 * @returns {Range}
 */
export function rangeIn(query) {
  const [fromMs, toMs] = [timeIn(query, "from"), timeIn(query, "to")];
  const isUpsideDown = fromMs !== null && toMs !== null && fromMs >= toMs;
  return isUpsideDown ? { fromMs: null, toMs: null } : { fromMs, toMs };
}

/**
 * @param {URLSearchParams} query
 * @param {string} key
 */
function timeIn(query, key) {
  const at = Date.parse(query.get(key) ?? "");
  return Number.isNaN(at) ? null : at;
}

/**
 * @param {string} address
 * @param {Range} [range]
 */
function withRange(address, range) {
  const query = new URLSearchParams();
  if (range && range.fromMs !== null) query.set("from", new Date(range.fromMs).toISOString());
  if (range && range.toMs !== null) query.set("to", new Date(range.toMs).toISOString());
  return query.size > 0 ? `${address}?${query}` : address;
}

/**
 * @param {string | undefined} encoded
 * @returns {string | null}
 */
function decoded(encoded) {
  try {
    return encoded === undefined ? null : decodeURIComponent(encoded);
  } catch {
    return null; // invalid percent-encoding
  }
}
