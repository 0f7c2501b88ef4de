// The turns of a notebook: its %%chat cells.
import { findChatLine } from "./chat_line.js";
import { HIDDEN } from "./code_blocks.js";

const MAX_TITLE_CHARS = 200;
const FLAGS = /^%%chat(\s|$)/;
const PLAIN_PATH = /^(?:\.\.\/|[\p{L}\p{N}_]+[./])/u; // no variable, flag or home

/** Return the lines of a %%chat cell from its flags on, [] for another cell. @param {string} source */
function linesOf(source) {
	const lines = source.split("\n");
	const number = findChatLine(lines);
	return number ? lines.slice(number - 1) : [];
}

/** Return the first line of a cell's prompt, "" for a cell without %%chat. @param {string} source */
export function titleOf(source) {
	const [flags = "", ...prompt] = linesOf(source);
	for (const line of [...prompt, flags]) {
		const title = line.replace(HIDDEN, "").trim();
		if (title) return title.slice(0, MAX_TITLE_CHARS);
	}
	return "";
}

/** Return what is below the flags of a %%chat cell, null for another cell. @param {string} source */
export function bodyOf(source) {
	const [flags, ...prompt] = linesOf(source);
	return flags === undefined ? null : prompt.join("\n").trim();
}

/** Return the prompt of a %%chat cell as a message, "" for another cell. @param {string} source */
export const promptOf = (source) => (bodyOf(source) ?? "").replace(FLAGS, "%%chat\n$&");

/**
 * Return the cell for a message: a prompt, whatever it holds. Only its own first line may have the
 * flags; another magic above it would run as code.
 * @param {string} message
 */
export const cellOf = (message) => (FLAGS.test(message) ? message : `%%chat\n${message}`);

/** Return a message with a flag for a file. @param {string} message @param {string} path */
export function withAttachment(message, path) {
	const file = PLAIN_PATH.test(path) ? path : `./${path}`;
	const word = /[\s'"]/.test(file) ? `'${file.replaceAll("'", `'"'"'`)}'` : file;
	const [first, ...prompt] = cellOf(message).split("\n");
	return [`${first.trimEnd()} -a ${word}`, ...prompt].join("\n");
}
