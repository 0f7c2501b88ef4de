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

// A browser lays out a block in quadratic time where it mixes directions or piles up marks, and all of
// it again when it grows. display/long_text.py does the same for what is saved.
const BLOCK_CHARS = 1000; // after these a block ends with its line
export const MAX_BLOCK_CHARS = 2000;
const PIECE = /[\s\S]{1,999}\n|[\s\S]{1,1000}/gu;

/**
 * Add foreign text to a `<pre>` or a `<code>`; a long one is in several blocks.
 * @param {HTMLElement} node @param {string} text
 */
export function addText(node, text) {
  for (const piece of text.match(PIECE) ?? []) {
    let block = /** @type {HTMLElement} */ (node.lastElementChild ?? node);
    const known = block.textContent ?? "";
    if (known.length >= (known.endsWith("\n") ? BLOCK_CHARS : MAX_BLOCK_CHARS)) {
      block = node.appendChild(element("div"));
    }
    block.append(piece);
  }
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
