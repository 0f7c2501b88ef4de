// Which cells are prompts, by the rule of magics/transforms.py.

const CHAT = /^[ \t]*%%chat(\s|$)/;
const WRAPPER = /^%%(capture|prun|time|timeit)(\s|$)/;

/**
 * Return the number of a cell's `%%chat` line, counted from 1; 0 if it has none. Above it are only
 * empty lines, comments, and magics such as %%time.
 * @param {Iterable<string>} lines
 */
export function findChatLine(lines) {
	let number = 0;
	let first = true;
	for (const line of lines) {
		number++;
		if (first && WRAPPER.test(line)) continue;
		first = false;
		if (line.trim() && !line.trimStart().startsWith("#")) return CHAT.test(line) ? number : 0;
	}
	return 0;
}
