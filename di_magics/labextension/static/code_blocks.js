// The code blocks of replies: their text, and the buttons that copy it or put it into a new cell.
import { element, makeButton } from "./dom.js";

const MAX_BLOCKS = 300; // blocks of a cell that get buttons
const DONE_MS = 1500;
const SAVED = "pre > code";
const LIVE = ".di-live .di-text > :not(:last-child) pre > code"; // without the block that still grows

// As in core/visible.py: a joiner and a selector belong to the emoji before them.
export const HIDDEN =
	/(?!\n|\t|\u200D|\uFE0E|\uFE0F)[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{DI}\u2028\u2029\u2800]|(?<!\p{ExtPict}|\p{EMod}|\uFE0F)\u200D|(?<!\p{ExtPict})[\uFE0E\uFE0F]/gu;

/** Return foreign code as it looks, as `%chat code` does. @param {string} text */
export const visibleCode = (text) =>
	text
		.replace(/\r\n?/g, "\n")
		.replace(/\p{Zs}/gu, " ")
		.replace(HIDDEN, "")
		.replace(/\n$/, "");

/**
 * Add buttons to the code blocks of a cell's replies that have none yet.
 * @param {OutputArea} area @param {any} icons
 * @param {(text: string) => void} copy @param {(text: string) => void} insert
 */
export function addCodeButtons({ widgets, model, node }, icons, copy, insert) {
	const blocks = [...node.querySelectorAll(LIVE)];
	for (const [at, output] of widgets.entries()) {
		if (model.get(at)?.metadata?.di_magics) blocks.push(...output.node.querySelectorAll(SAVED));
	}
	for (const code of blocks.slice(0, MAX_BLOCKS)) {
		const block = code.parentElement;
		if (!block || block.querySelector(":scope > .di-code-bar")) continue;
		/** @param {string} title @param {any} icon @param {(text: string) => void} act */
		const add = (title, icon, act) => {
			const draw = (/** @type {any} */ shown) => button.replaceChildren(shown.element({ tag: "span" }));
			const button = makeButton(title, () => {
				act(visibleCode(code.textContent));
				draw(icons.checkIcon);
				setTimeout(draw, DONE_MS, icon);
			});
			draw(icon);
			return button;
		};
		block.classList.add("di-code-block");
		const both = [
			add("Copy the code", icons.copyIcon, copy),
			add("Insert the code below", icons.addBelowIcon, insert),
		];
		block.append(element("span", { className: "di-code-bar" }, ...both));
	}
}
