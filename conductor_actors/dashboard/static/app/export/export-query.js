/** What is exported: the query of the request, and its texts. */

/** @typedef {"csv" | "excel" | "jsonl" | "parquet"} Format */
/** @typedef {"session" | "event" | "all"} ExportKind */

/**
 * What is exported. The times are those of the fields, in the local time zone; empty: no bound.
 * @typedef {Readonly<{kind: ExportKind, id: string, table: string, format: Format, from: string, to: string}>} ExportChoice
 */

/**
 * Return the path of the request.
 * @param {ExportChoice} choice
 */
export function exportPath({ kind, id, table, format, from, to }) {
  const query = new URLSearchParams({ table, format: format === "excel" ? "csv" : format });
  if (kind !== "all") query.set(kind, id);
  if (format === "excel") query.set("excel", "true");
  if (from !== "") query.set("from", new Date(from).toISOString());
  if (to !== "") query.set("to", new Date(to).toISOString());
  return `export?${query}`;
}

/**
 * Return why a range can't be exported; empty: it can.
 * @param {ExportChoice} choice
 */
export function rangeProblem({ kind, from, to }) {
  if (from !== "" && to !== "" && new Date(from) >= new Date(to)) return "The end must be after the beginning.";
  return kind === "all" && (from === "" || to === "") ? "All sessions: choose the beginning and the end." : "";
}

/**
 * Return a time as the value of a field, in the local time zone; null: an empty one.
 * @param {number | null} atMs
 */
export function fieldValue(atMs) {
  if (atMs === null) return "";
  const at = new Date(atMs);
  return new Date(atMs - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/**
 * Format a size.
 * @param {number} bytes
 */
export function sizeText(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} KB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
