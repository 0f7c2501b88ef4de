// Elements of the page. All texts are set as text.

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, any>} [properties] @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties, ...children) {
	const node = Object.assign(document.createElement(tag), properties);
	node.append(...children);
	return node;
}

/** @param {string} title @param {() => unknown} onclick @param {...(Node | string)} label */
export function makeButton(title, onclick, ...label) {
	const button = element("button", { type: "button", title, onclick }, ...label);
	button.dataset.lmSuppressShortcuts = ""; // Enter and Space click it
	return button;
}
