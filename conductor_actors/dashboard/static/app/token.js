/** The token: stored for this tab, and entered in a dialog when the service requires one. */

import { find, html } from "./element.js";

const KEY = "token";

/**
 * Return the token of this tab. `before-paint.js` stores one that is in the address.
 * @returns {string | null}
 */
export function savedToken() {
  return tabStorage.get(KEY);
}

/** @typedef {"conduct" | "admin"} Claim */

/** The tokens that the service refuses a claim, as it says. @type {Map<Claim, string | null>} */
const refused = new Map();

/** Whether the token may arrange breaks and decide, as far as is known. */
export function mayConduct() {
  return has("conduct");
}

/** Note that the service refuses it to this token. */
export function refuseConduct() {
  refused.set("conduct", savedToken());
}

/** Whether the token may change what sessions are called, as far as is known. */
export function mayAdminister() {
  return has("admin");
}

/** Note that the service refuses it to this token. */
export function refuseAdminister() {
  refused.set("admin", savedToken());
}

/**
 * Whether the token has a claim. Without a token, the service may allow everything.
 * @param {Claim} claim
 */
function has(claim) {
  const token = savedToken();
  if (refused.has(claim) && refused.get(claim) === token) return false;
  return token === null || claimsOf(token)?.[claim] === true;
}

/** Return the claims of the token of this tab; null: there is none, or they can't be read. */
export function savedClaims() {
  const token = savedToken();
  return token === null ? null : claimsOf(token);
}

/**
 * Return the claims of a token, which the service verifies; null: they can't be read.
 * @param {string} token
 * @returns {Record<string, unknown> | null}
 */
function claimsOf(token) {
  try {
    const encoded = atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(encoded, (each) => each.charCodeAt(0))));
  } catch {
    return null;
  }
}

/**
 * Return functions that open and close the token dialog. Each token entered is stored and passed on.
 * @param {(token: string) => void} onToken
 * @returns {{open: (reason: string) => void, close: () => void}}
 */
export function tokenDialog(onToken) {
  const dialog = find(document, ".token-dialog", HTMLDialogElement);
  const field = find(dialog, "#token", HTMLInputElement);
  const error = html(dialog, ".token-error");
  find(dialog, "form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const token = field.value.trim();
    tabStorage.set(KEY, token);
    error.textContent = "";
    onToken(token);
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  const open = (/** @type {string} */ reason) => {
    const isRejected = savedToken() !== null;
    error.textContent = isRejected ? `This token was not accepted. Server response: ${reason}.` : "";
    if (!dialog.open) dialog.showModal();
  };
  const close = () => {
    field.value = "";
    dialog.close();
  };
  return { open, close };
}
