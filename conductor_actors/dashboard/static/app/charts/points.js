/** Scores over time: the length of a trend, and where ticks are missing. */

export const TREND_MS = 60_000;

/**
 * Split points where ticks are missing. The tick is the shortest time between two points.
 * @template {{at: number}} P
 * @param {readonly P[]} points
 * @returns {P[][]}
 */
export function runs(points) {
  const tick = tickOf(points);
  /** @type {P[][]} */
  const result = [];
  let previous = -Infinity;
  for (const point of points) {
    if (point.at - previous > 1.5 * tick) result.push([]);
    result.at(-1)?.push(point);
    previous = point.at;
  }
  return result;
}

/** @param {readonly {at: number}[]} points */
function tickOf(points) {
  let shortest = Infinity;
  for (let index = 1; index < points.length; index += 1) {
    shortest = Math.min(shortest, (points[index]?.at ?? 0) - (points[index - 1]?.at ?? 0));
  }
  return shortest;
}
