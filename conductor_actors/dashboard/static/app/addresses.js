/** Addresses of this service, which may be behind a path of a reverse proxy. */

/** The address of the service, without a slash at its end. */
export const SERVICE_URL = new URL("../..", import.meta.url).href.replace(/\/$/, "");

/**
 * Return the address of an icon.
 * @param {string} name
 */
export function iconUrl(name) {
  return `${SERVICE_URL}/static/icons/icons.svg#${name}`;
}
