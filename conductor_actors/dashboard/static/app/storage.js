// A classic script, because `before-paint.js` needs it before modules run.

/**
 * A storage of the browser. If the browser blocks it or it is full, values last until the page is left.
 */
class PageStorage {
  #name;
  /** @type {Map<string, string>} */
  #unsaved = new Map();

  /** @param {"localStorage" | "sessionStorage"} name */
  constructor(name) {
    this.#name = name;
  }

  /**
   * @param {string} key
   * @returns {string | null}
   */
  get(key) {
    const unsaved = this.#unsaved.get(key);
    if (unsaved !== undefined) return unsaved;
    try {
      return globalThis[this.#name].getItem(key);
    } catch {
      return null;
    }
  }

  /**
   * @param {string} key
   * @param {string} value
   */
  set(key, value) {
    this.#unsaved.delete(key);
    try {
      globalThis[this.#name].setItem(key, value);
    } catch {
      this.#unsaved.set(key, value);
    }
  }
}

const browserStorage = new PageStorage("localStorage");
const tabStorage = new PageStorage("sessionStorage");
