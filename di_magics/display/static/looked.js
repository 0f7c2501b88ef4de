// @ts-check
// The last position that a lens or a lab of a notebook showed, for the panel of this notebook. Each widget
// is a module of its own, so the page keeps it, by the notebook's widget manager.

/**
 * @typedef {object} Looked
 * @property {number} at
 * @property {import("./tokens.js").Tokens} tokens
 * @property {((at: number) => void) | null} readZero has the model read what a repetition penalty needs
 * @property {() => import("./preview.js").Preview} makePreview the panel has no code for it before it is used
 */
/** @typedef {{ last: WeakMap<object, Looked>, changes: EventTarget }} Page */

/** @returns {Page} */
const pageState = () => {
  const page = /** @type {{ diMagicsLooked?: Page }} */ (globalThis);
  page.diMagicsLooked ??= { last: new WeakMap(), changes: new EventTarget() };
  return page.diMagicsLooked;
};

/**
 * Tell the panels of a widget's notebook what is looked at now.
 * @param {any} model the widget's
 * @param {Looked} looked
 */
export function offerPosition({ widget_manager: notebook }, looked) {
  if (!notebook) return;
  pageState().last.set(notebook, looked);
  pageState().changes.dispatchEvent(new Event("change"));
}

/**
 * Return the last position that was looked at in a widget's notebook, if any.
 * @param {any} model the widget's
 */
export const lastPosition = ({ widget_manager: notebook }) => notebook && pageState().last.get(notebook);

/**
 * Call this when another position is looked at, in any notebook of the page; return how to stop.
 * @param {() => void} changed
 */
export function watchPositions(changed) {
  const { changes } = pageState();
  changes.addEventListener("change", changed);
  return () => changes.removeEventListener("change", changed);
}
