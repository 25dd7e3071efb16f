/** Copies a text on a click, also where the browser has no clipboard API (plain HTTP). */

import { announce } from "../announcer.js";
import { find } from "../element.js";

const CHECK_MARK_MS = 1_500;

/**
 * Copy a text when the button is clicked.
 * @param {HTMLElement} button
 * @param {() => string} text
 */
export function copyOnClick(button, text) {
  const use = find(button, "use", SVGUseElement);
  const icon = use.getAttribute("href") ?? "";
  button.addEventListener("click", async () => {
    const isCopied = await copy(text());
    announce(isCopied ? "Copied" : "Could not copy");
    if (!isCopied) return;
    use.setAttribute("href", icon.replace("#copy", "#check"));
    setTimeout(() => use.setAttribute("href", icon), CHECK_MARK_MS);
  });
}

/** @param {string} text */
async function copy(text) {
  const clipboard = /** @type {Clipboard | undefined} */ (navigator.clipboard);
  if (clipboard) {
    return clipboard.writeText(text).then(
      () => true,
      () => copyBySelection(text),
    );
  }
  return copyBySelection(text);
}

/** @param {string} text */
function copyBySelection(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden-text";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus();
  return isCopied;
}
