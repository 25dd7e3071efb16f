/** The effects of each type of action: what acting changed, against doing nothing. */

import { fromTemplate, html, setText, show } from "../element.js";
import { count, points } from "../format.js";
import { ACTIONS, interventionName } from "./interventions.js";

/** @import { TypeEffect } from "../../types.d.ts" */

const SVG = "http://www.w3.org/2000/svg";
const MIN_REACH = 0.05; // of the axis, to both sides of zero
const ROUND_TO = 0.05;
const MARGIN_PERCENT = 3; // of the drawing, for the ends of a line

/** @type {Readonly<Record<string, string>>} */
const ORIGINS = { act: "When it acts alone", suggest: "When it suggests" };

/**
 * Show effects, each as a row with its interval drawn on a common axis.
 * @param {HTMLElement} root
 * @param {readonly TypeEffect[]} effects
 */
export function showEffects(root, effects) {
  const reach = reachOf(effects);
  const sorted = effects.toSorted((a, b) => ACTIONS.indexOf(a.type) - ACTIONS.indexOf(b.type));
  const rows = sorted.map((effect) => row(effect, reach));
  html(root, ".effects-rows").replaceChildren(...rows);
  show(html(root, ".effects-table"), rows.length > 0);
  setText(html(root, ".effects-low"), signed(-reach));
  setText(html(root, ".effects-high"), signed(reach));
}

/**
 * Return how far the axis reaches to both sides of zero.
 * @param {readonly TypeEffect[]} effects
 */
function reachOf(effects) {
  const ends = effects.flatMap(({ low, high }) => [Math.abs(low ?? 0), Math.abs(high ?? 0)]);
  return Math.ceil(Math.max(MIN_REACH, ...ends) / ROUND_TO - 1e-9) * ROUND_TO;
}

/**
 * @param {TypeEffect} effect
 * @param {number} reach
 */
function row(effect, reach) {
  const element = fromTemplate("effect");
  setText(html(element, ".effect-type"), interventionName(effect.type));
  setText(html(element, ".effect-origin"), ORIGINS[effect.origin] ?? effect.origin);
  setText(html(element, ".effect-n"), count(effect.n));
  setText(html(element, ".effect-hold"), count(effect.n_hold));
  setText(html(element, ".effect-text"), effectText(effect));
  const { effect: value, low, high } = effect;
  element.dataset["verdict"] = verdictOf(effect);
  if (value !== null && low !== null && high !== null) {
    html(element, ".effect-drawing").append(drawing(value / reach, low / reach, high / reach));
  }
  return element;
}

/** @param {TypeEffect} effect */
function verdictOf({ low, high }) {
  if (low === null || high === null) return "unknown";
  if (low > 0) return "better";
  return high < 0 ? "worse" : "same";
}

/** @param {TypeEffect} effect */
function effectText({ effect, low, high, missing }) {
  if (effect === null || low === null || high === null) {
    return missing > 0 ? `Not known yet: ${count(missing)} more` : "Not known yet";
  }
  return `${signed(effect)} (95%: ${signed(low)} to ${signed(high)})`;
}

/** @param {number} share */
function signed(share) {
  const text = points(share);
  return share > 0 && text !== "0" ? `+${text}` : text;
}

/**
 * Draw an interval as a line with a dot, and zero as a line over the whole height. All are shares of
 * the axis, -1…1. The text beside it says the same.
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function drawing(value, low, high) {
  const svg = document.createElementNS(SVG, "svg");
  set(svg, { "aria-hidden": "true", class: "effect-svg" });
  svg.append(
    shape("line", { class: "effect-zero", x1: "50%", x2: "50%", y1: "0", y2: "100%" }),
    shape("line", { class: "effect-line", x1: place(low), x2: place(high), y1: "50%", y2: "50%" }),
    shape("circle", { class: "effect-dot", cx: place(value), cy: "50%", r: "5" }),
  );
  return svg;
}

/** @param {number} share */
function place(share) {
  return `${50 + share * (50 - MARGIN_PERCENT)}%`;
}

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 */
function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  set(element, attributes);
  return element;
}

/**
 * @param {Element} element
 * @param {Record<string, string>} attributes
 */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}
