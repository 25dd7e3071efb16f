/** The content of an action as fields: every one is shown, and texts can be edited. */

import { count } from "../format.js";

/** @typedef {Readonly<Record<string, unknown>>} Content */
/** @typedef {readonly (string | number)[]} Path */
/** @typedef {Readonly<{path: Path, label: string, text: string, maxLength: number | null}>} Field */

/** The texts that can be edited, and their bounds in characters. @type {Readonly<Record<string, number>>} */
const MAX_LENGTHS = {
  ...{ question: 500, message: 500, content: 500, name: 500, description: 500 },
  ...{ options: 100, rewards: 100 },
};

/** As people read them: a database keeps no order of keys. */
const ORDER = [
  ...["question", "options", "message", "notification_type", "target", "escalate", "content"],
  ...["action", "template", "name", "description", "rewards", "duration_minutes", "multiplier"],
];

/** @type {Readonly<Record<string, string>>} */
const LABELS = {
  ...{ type: "Kind", notification_type: "Kind", target: "To", escalate: "Urgent", message: "Text" },
  ...{ content: "Text", duration: "Open for", duration_minutes: "Lasts", multiplier: "Points" },
};
/** @type {Readonly<Record<string, (number: number) => string>>} */
const UNITS = {
  duration: (seconds) => `${count(seconds)} s`,
  duration_minutes: (minutes) => `${count(minutes)} min`,
  multiplier: (factor) => `× ${factor}`,
};

/**
 * Return all of a content as fields, the most important first.
 * @param {Content} content
 * @returns {Field[]}
 */
export function fieldsOf(content) {
  return fieldsIn(content, []);
}

/**
 * @param {unknown} value
 * @param {Path} path
 * @returns {Field[]}
 */
function fieldsIn(value, path) {
  if (Array.isArray(value)) return value.flatMap((each, index) => fieldsIn(each, [...path, index]));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).toSorted(([one], [other]) => rank(one) - rank(other));
    return entries.flatMap(([key, each]) => fieldsIn(each, [...path, key]));
  }
  const maxLength = typeof value === "string" ? (MAX_LENGTHS[keyOf(path)] ?? null) : null;
  return [{ path, label: labelOf(path), text: textOf(value, keyOf(path)), maxLength }];
}

/** @param {string} key */
function rank(key) {
  const place = ORDER.indexOf(key);
  return place < 0 ? ORDER.length : place;
}

/** @param {Path} path */
function keyOf(path) {
  return String(path.findLast((each) => typeof each === "string"));
}

/** @param {Path} path */
function labelOf(path) {
  const key = keyOf(path);
  const last = path.at(-1);
  const words = LABELS[key] ?? key.replaceAll("_", " ");
  const label = words.charAt(0).toUpperCase() + words.slice(1);
  return typeof last === "number" ? `${label.replace(/s$/, "")} ${last + 1}` : label;
}

/**
 * @param {unknown} value
 * @param {string} key
 */
function textOf(value, key) {
  if (typeof value === "boolean") return value ? "Yes" : "No";
  if (typeof value === "number") return UNITS[key]?.(value) ?? String(value);
  return value === null ? "–" : String(value);
}

/**
 * Return a copy of a content with other texts.
 * @param {Content} content
 * @param {readonly Readonly<{path: Path, text: string}>[]} texts
 * @returns {Content}
 */
export function withTexts(content, texts) {
  const copy = structuredClone(content);
  for (const { path, text } of texts) {
    /** @type {any} */
    let parent = copy;
    for (const key of path.slice(0, -1)) parent = parent[key];
    parent[path.at(-1) ?? ""] = text;
  }
  return copy;
}

/**
 * Return the text that stands for a content in a list: the first that can be edited.
 * @param {Content} content
 */
export function contentText(content) {
  return fieldsOf(content).find(({ maxLength }) => maxLength !== null)?.text ?? "";
}
