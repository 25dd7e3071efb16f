/** Downloads what the API streams, with the token, into a file of the browser. */

import { ApiError, request } from "../api.js";

const PART_BYTES = 16 * 2 ** 20; // a blob, which the browser can keep on disk

/**
 * Download a response into a file, which the service names. Throws `ApiError`, or an `AbortError` if it
 * is aborted; then no file is saved.
 * @param {string} path
 * @param {{signal: AbortSignal, onBytes: (received: number) => void}} options
 * @returns {Promise<{name: string, bytes: number}>}
 */
export async function download(path, { signal, onBytes }) {
  const response = await request(path, { signal });
  const type = response.headers.get("Content-Type") ?? "";
  const blob = new Blob(await partsOf(response, { signal, onBytes }), { type });
  const [, name = "export"] = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "") ?? [];
  save(blob, name);
  return { name, bytes: blob.size };
}

/**
 * @param {Response} response
 * @param {{signal: AbortSignal, onBytes: (received: number) => void}} options
 * @returns {Promise<Blob[]>}
 */
async function partsOf(response, { signal, onBytes }) {
  const reader = response.body?.getReader();
  /** @type {Blob[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let newest = [];
  let [received, unbound] = [0, 0];
  while (reader) {
    const { done, value } = await reader.read().catch(() => {
      signal.throwIfAborted();
      throw new ApiError(0, "the connection was lost");
    });
    if (done || unbound >= PART_BYTES) {
      parts.push(new Blob(newest));
      [newest, unbound] = [[], 0];
    }
    if (done) break;
    newest.push(value);
    unbound += value.length;
    received += value.length;
    onBytes(received);
  }
  return parts;
}

/**
 * @param {Blob} blob
 * @param {string} fileName
 */
function save(blob, fileName) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // when the browser has read it
}
