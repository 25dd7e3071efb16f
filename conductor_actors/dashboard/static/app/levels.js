/** The four levels a score is coloured by, and the names of the five categories. */

/** @typedef {"strong" | "steady" | "weak" | "critical"} Level */

/** Below this a session is critical. */
export const CRITICAL_BELOW = 0.3;

/** The level that begins at each score, the highest first. */
export const LEVELS = /** @type {const} */ ([
  ["strong", 0.7],
  ["steady", 0.5],
  ["weak", CRITICAL_BELOW],
  ["critical", 0],
]);

/** @type {Readonly<Record<string, string>>} */
const CATEGORIES = {
  VERY_HIGH: "Very high",
  HIGH: "High",
  MODERATE: "Moderate",
  LOW: "Low",
  VERY_LOW: "Very low",
};

/**
 * Tell a score's level.
 * @param {number} score
 * @returns {Level}
 */
export function levelOf(score) {
  return LEVELS.find(([, from]) => score >= from)?.[0] ?? "critical";
}

/**
 * Name a category in words.
 * @param {string} category
 */
export function categoryName(category) {
  return CATEGORIES[category] ?? category;
}
