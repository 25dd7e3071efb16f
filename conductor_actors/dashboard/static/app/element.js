/** Find and make elements of a known type. */

/**
 * Give the first match; its absence, or another type, is a mistake in the page.
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
 * Give the first match as an HTML element.
 * @param {ParentNode} root
 * @param {string} selector
 */
export function html(root, selector) {
  return find(root, selector, HTMLElement);
}

/**
 * Make what a template holds.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function fromTemplate(id) {
  const { content } = find(document, `template#${id}`, HTMLTemplateElement);
  return /** @type {HTMLElement} */ (document.importNode(html(content, "*"), true));
}

/**
 * Set a text, touching the page only when it is another one.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Show or hide.
 * @param {HTMLElement} element
 * @param {boolean} isShown
 */
export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/**
 * Wrap a renderer so that any number of calls end in one, in the next frame.
 * @param {() => void} render
 */
export function oncePerFrame(render) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      render();
    });
  };
}
