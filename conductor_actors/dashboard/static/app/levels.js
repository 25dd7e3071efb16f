/** The four levels that give a score its colour, and the names of the five categories. */

/** @typedef {"strong" | "steady" | "weak" | "critical"} Level */

/** A session with a lower score is critical. */
export const CRITICAL_BELOW = 0.3;

/** The lowest score of each level, the highest level first. */
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
 * Return the level of a score.
 * @param {number} score
 * @returns {Level}
 */
export function levelOf(score) {
  return LEVELS.find(([, from]) => score >= from)?.[0] ?? "critical";
}

/**
 * Return the display name of a category.
 * @param {string} category
 */
export function categoryName(category) {
  return CATEGORIES[category] ?? category;
}
