// @ts-check
// Elements of the page.

/**
 * Return a new element; what is not a property of it becomes an attribute.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && !name.startsWith("aria")) Object.assign(node, { [name]: value });
    else node.setAttribute(name, value);
  }
  // Notebook 7 takes the arrow keys before they get here, unless the field says no.
  if (/^(input|select|textarea|button)$/.test(tag)) node.dataset.lmSuppressShortcuts = "";
  node.append(...children);
  return node;
}

/**
 * Show this text in an element, which is not touched if it is there already. An alert without text
 * is hidden.
 * @param {HTMLElement} node
 * @param {string} text
 */
export function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
  if (node.role === "alert") node.hidden = !text;
}

/**
 * Keep the page from jumping: the output that replaces this one is drawn a moment later.
 * @param {HTMLElement} el
 */
export function lockHeight(el) {
  const area = /** @type {HTMLElement | null} */ (el.closest(".jp-OutputArea"));
  if (!area) return;
  area.style.minHeight = `${area.offsetHeight}px`;
  setTimeout(() => {
    area.style.minHeight = "";
  }, 1000);
}
