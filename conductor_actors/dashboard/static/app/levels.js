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

/** The lowest score of each category, the highest first. */
const CATEGORIES_FROM = /** @type {const} */ ([
  ["VERY_HIGH", 0.8],
  ["HIGH", 0.6],
  ["MODERATE", 0.4],
  ["LOW", 0.2],
  ["VERY_LOW", 0],
]);

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

/**
 * Return the category of a score.
 * @param {number} score
 */
export function categoryOf(score) {
  return CATEGORIES_FROM.find(([, from]) => score >= from)?.[0] ?? "VERY_LOW";
}
