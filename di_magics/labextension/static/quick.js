// Whether CodeMirror reads a prompt as Markdown quickly. Its time at each key grows with all tags, and with
// the square of a paragraph's marks, of its dollars above all, and of the depth of quotes and lists.

const MAX_CHARS = 100_000;
const MAX_WORK = 8_000_000; // marks times characters of each paragraph
const MAX_DOLLARS = 200; // in a paragraph
const MAX_TAGS = 2000;
const DEEP = /^(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))){15}/;
const MARK = /[*_~[\]!`\\&@()<|$:^]/;

/** @param {number} length of the text @param {Iterable<string>} lines */
export function isQuick(length, lines) {
	if (length > MAX_CHARS) return false;
	let [work, size, marks, dollars, tags] = [0, 0, 0, 0, 0];
	for (const line of lines) {
		const count = (/** @type {any} */ mark) => line.split(mark).length - 1;
		if (!line.trim()) {
			work += size * marks;
			[size, marks, dollars] = [0, 0, 0];
		}
		size += line.length + 1;
		marks += count(MARK);
		dollars += count("$");
		tags += count("<");
		if (work + size * marks > MAX_WORK || dollars > MAX_DOLLARS || tags > MAX_TAGS) return false;
		if (DEEP.test(line)) return false;
	}
	return true;
}
