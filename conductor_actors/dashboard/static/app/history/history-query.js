/** The filters of the history: in its address, and in the request for a page. */

/** @typedef {"all" | "live" | "ended"} State */
/**
 * What is filtered by. Days are such as 2026-01-31, in the local time zone; empty: any.
 * @typedef {Readonly<{search: string, event: string, from: string, to: string, state: State}>} Filters
 */

const DAY = /^(\d{4})-(\d\d)-(\d\d)$/;

/** @type {Filters} */
export const NO_FILTERS = { search: "", event: "", from: "", to: "", state: "ended" };

/**
 * Return the filters of an address. What is no day or state is ignored.
 * @param {URLSearchParams} query
 * @returns {Filters}
 */
export function filtersIn(query) {
  const state = query.get("state");
  return {
    search: query.get("search") ?? "",
    event: query.get("event") ?? "",
    from: dayIn(query.get("from")),
    to: dayIn(query.get("to")),
    state: state === "all" || state === "live" ? state : "ended",
  };
}

/**
 * Return the address of the history with these filters.
 * @param {Filters} filters
 */
export function historyAddress(filters) {
  const set = Object.entries(filters).filter(([, value]) => value !== "" && value !== NO_FILTERS.state);
  return set.length > 0 ? `#/sessions?${new URLSearchParams(set)}` : "#/sessions";
}

/**
 * Return the query of a page, from a cursor on; null: of the first page.
 * @param {Filters} filters
 * @param {string | null} cursor
 */
export function pageQuery({ search, event, from, to, state }, cursor) {
  const query = new URLSearchParams({ state, limit: "50" });
  if (search.trim() !== "") query.set("search", search.trim());
  if (event !== "") query.set("event", event);
  if (from !== "") query.set("from", midnight(from, 0).toISOString());
  if (to !== "") query.set("to", midnight(to, 1).toISOString());
  if (cursor !== null) query.set("cursor", cursor);
  return query;
}

/**
 * Whether the first day is after the last one.
 * @param {Filters} filters
 */
export function isUpsideDown({ from, to }) {
  return from !== "" && to !== "" && from > to;
}

/** @param {string | null} text */
function dayIn(text) {
  return text !== null && DAY.test(text) && dayText(midnight(text, 0)) === text ? text : "";
}

/**
 * Return the local midnight that begins a day, or one some days later. A day may have 23 or 25 hours.
 * @param {string} day
 * @param {number} later
 */
function midnight(day, later) {
  const [, year, month, date] = DAY.exec(day) ?? [];
  const begin = new Date(0);
  begin.setFullYear(Number(year), Number(month) - 1, Number(date) + later);
  begin.setHours(0, 0, 0, 0);
  return begin;
}

/** @param {Date} at */
function dayText(at) {
  const parts = [at.getFullYear(), at.getMonth() + 1, at.getDate()];
  return parts.map((part, index) => String(part).padStart(index === 0 ? 4 : 2, "0")).join("-");
}
