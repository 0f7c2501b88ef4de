// Whether CodeMirror reads a prompt as Markdown quickly. Its time grows with the square of a paragraph's
// marks, of its dollars above all, and of the depth of quotes and lists, at each key.

const LONGEST = 100_000;
const MOST_WORK = 8_000_000; // marks times characters of each paragraph
const MOST_DOLLARS = 200; // in a paragraph
const DEEP = /^(?:[ \t]*(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t]))){15}/;
const MARK = /[*_~[\]!`\\&@()<|$:^]/g;

/** @param {number} length of the text @param {Iterable<string>} lines */
export function isQuick(length, lines) {
	if (length > LONGEST) return false;
	let [work, characters, marks, dollars] = [0, 0, 0, 0];
	for (const line of lines) {
		if (!line.trim()) {
			work += characters * marks;
			[characters, marks, dollars] = [0, 0, 0];
		}
		characters += line.length + 1;
		marks += line.match(MARK)?.length ?? 0;
		dollars += line.split("$").length - 1;
		if (work + characters * marks > MOST_WORK || dollars > MOST_DOLLARS || DEEP.test(line)) return false;
	}
	return true;
}
