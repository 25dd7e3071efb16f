/** The token: kept for this tab, asked for when the service wants one. */

import { find, html } from "./element.js";

const KEY = "token";

/**
 * Give the token of this tab; `before-paint.js` takes one out of the address.
 * @returns {string | null}
 */
export function savedToken() {
  return sessionStorage.getItem(KEY);
}

/**
 * Let the dialog ask for a token, and hand over each one that is given.
 * @param {(token: string) => void} use
 * @returns {{ask: () => void, done: () => void}}
 */
export function tokenDialog(use) {
  const dialog = find(document, ".token-dialog", HTMLDialogElement);
  const field = find(dialog, "#token", HTMLInputElement);
  const error = html(dialog, ".token-error");
  find(dialog, "form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const token = field.value.trim();
    sessionStorage.setItem(KEY, token);
    error.textContent = "";
    use(token);
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  const ask = () => {
    const isAgain = dialog.open && field.value !== "";
    error.textContent = isAgain ? "This token was not accepted. It may have expired." : "";
    if (!dialog.open) dialog.showModal();
  };
  const done = () => {
    field.value = "";
    dialog.close();
  };
  return { ask, done };
}
