/** Functions that find, create and change elements. */

/**
 * Return the first match. Throw if there is none of this type.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} type
 * @returns {T}
 */
export function find(root, selector, type) {
  const element = root.querySelector(selector);
  if (element instanceof type) return element;
  throw new Error(`no ${type.name} matches ${selector}`);
}

/**
 * Return the first match as an HTML element.
 * @param {ParentNode} root
 * @param {string} selector
 */
export function html(root, selector) {
  return find(root, selector, HTMLElement);
}

/**
 * Return a new element from a template.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function fromTemplate(id) {
  const { content } = find(document, `template#${id}`, HTMLTemplateElement);
  return /** @type {HTMLElement} */ (document.importNode(html(content, "*"), true));
}

/**
 * Set a text if it has changed.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Show or hide an element.
 * @param {HTMLElement} element
 * @param {boolean} isShown
 */
export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/**
 * Wrap a function so that all calls before the next frame result in one call in that frame.
 * @param {() => void} draw
 */
export function oncePerFrame(draw) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
}
