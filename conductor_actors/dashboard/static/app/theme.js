/** The theme, light or dark, from the system or the user's choice; and its colours for canvases. */

import { find } from "./element.js";

const SYSTEM = matchMedia("(prefers-color-scheme: dark)");

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Map<string, string>} */
const colours = new Map();

/**
 * Return a colour of the stylesheet, such as `strong`, in the current theme.
 * @param {string} name
 */
export function colour(name) {
  let value = colours.get(name);
  if (value === undefined) {
    const probe = document.createElement("span");
    probe.hidden = true;
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    value = getComputedStyle(probe).color;
    probe.remove();
    colours.set(name, value);
  }
  return value;
}

/**
 * Call a listener when the theme changes.
 * @param {() => void} listener
 */
export function onThemeChange(listener) {
  listeners.add(listener);
}

/** Apply the theme, and switch it when the button is clicked. */
export function startTheme() {
  const button = find(document, ".theme-toggle", HTMLButtonElement);
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset["theme"] = theme;
    browserStorage.set("theme", theme);
    onChange(button);
  });
  SYSTEM.addEventListener("change", () => onChange(button));
  onChange(button);
}

function isDark() {
  const chosen = document.documentElement.dataset["theme"];
  return chosen ? chosen === "dark" : SYSTEM.matches;
}

/** @param {HTMLButtonElement} button */
function onChange(button) {
  button.setAttribute("aria-pressed", String(isDark()));
  colours.clear();
  for (const listener of listeners) listener();
}
