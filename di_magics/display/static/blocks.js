// @ts-check
// What the live view must know of Markdown: which blocks are finished, and where formulas, dollars
// and code are. Model text is hostile: everything here is linear in the length of the text.
import { countOf, formulaAt, MOST_FORMULAS, matchEnd } from "./formula.js";

// Characters for private use stand in for what the front end would read by its own math rule: E000,
// the number of a formula, E001; a dollar; a backslash.
export const DOLLAR = "\uE002";
export const BACKSLASH = "\uE003";
export const STAND_INS = /[\uE000-\uE003]/g;

const ITEM = /^([-+*]|\d+[.)])(\s|$)/;
// The next character that `protect` must look at.
const SPECIAL = /[$\\`\n]/g;
const TICKS = /`+/y;
// A line that opens a fence, in a quote or an item perhaps, and one that closes it.
const FENCE = /[ >]*(?:(?:[-+*]|\d+[.)]) +)?(`{3,}|~{3,})[^\n]*/y;
const FENCE_END = /\n[ >]*(`{3,}|~{3,})[ \t]*(?![^\n])/g;
const FENCE_LINE = /\n[ >]*(`{3,}|~{3,})[ \t]*([^\n`]*)(?![^\n])/g;
// Within a fence of Markdown, a fence with a language opens an inner one; the next bare fence closes it.
const NESTS = /^[ \t]*(?:markdown|mdx?)[ \t]*$/i;
const MOST_SEARCHES = 100; // for the end of such a fence, in a text

// What a parser of Markdown is slow for, or recurses for: quotes and lists nested in one line.
const NESTED = /^[ \t]*(?:(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])[ \t]*){50}/m;
const LONGEST_PARAGRAPH = 20_000;
const MOST_MARKS = 500; // in a paragraph; the front end's time is quadratic in them

/** @param {string} text what is not in fences */
const isReadable = (text) =>
  !NESTED.test(text) &&
  text
    .split(/\n[ \t]*\n/)
    .every((part) => part.length <= LONGEST_PARAGRAPH && part.split(/[*_~[]/).length <= MOST_MARKS);

/**
 * Return Markdown without formulas and dollars, the formulas that were taken out and as how many they
 * count, and whether the front end can read the rest in a short time.
 * @param {string} source
 * @param {number} [most] no more formulas than this
 */
export function protect(source, most = MOST_FORMULAS) {
  const text = source.replace(STAND_INS, "\uFFFD");
  const ends = codeEnds(text);
  /** @type {import("./formula.js").Formula[]} */
  const formulas = [];
  /** @type {string[]} */
  const out = [];
  /** @type {string[]} */
  const prose = []; // the same without fences
  let searches = MOST_SEARCHES;
  let count = 0;
  // What comes before this is in `out`.
  let done = 0;
  let at = 0;
  /** @param {string} replacement @param {number} end @param {string} [inProse] */
  const put = (replacement, end, inProse = replacement) => {
    out.push(text.slice(done, at), replacement);
    prose.push(text.slice(done, at), inProse);
    done = at = end;
  };
  let atLineStart = true;
  while (at < text.length) {
    FENCE.lastIndex = at;
    const fence = atLineStart && FENCE.exec(text);
    atLineStart = false;
    if (fence) {
      const lineEnd = FENCE.lastIndex;
      const [marks, info] = [fence[1], fence[0].slice(fence[0].indexOf(fence[1]) + fence[1].length)];
      const outer = NESTS.test(info) && searches-- > 0 ? outerFence(text, lineEnd, marks) : null;
      const end = outer?.end ?? fenceEnd(text, lineEnd, marks);
      let code = text.slice(lineEnd, end);
      // The front end has CommonMark's rule, by which longer marks contain others.
      if (outer) code = code.replace(/(`+|~+)[ \t]*$/, outer.marks);
      // The front end would draw what is called mermaid.
      const opening = fence[0].replace(/mermaid/i, "text").replace(marks, outer?.marks ?? marks);
      put(opening + code, end, "\n\n");
      continue;
    }
    SPECIAL.lastIndex = at;
    at = SPECIAL.exec(text)?.index ?? text.length;
    const char = text[at];
    if (char === "\n") {
      at += 1;
      atLineStart = true;
    } else if (char === "`") at = ends.get(at) ?? matchEnd(TICKS, text, at);
    else if (char) {
      const formula = count < most ? formulaAt(text, at) : null;
      if (formula) count += countOf(formula);
      const next = text[at + 1] ?? "";
      if (formula) put(`\uE000${formulas.push(formula) - 1}\uE001`, formula.end);
      else if (char === "$") put(DOLLAR, at + 1);
      else if (next === "$") put(DOLLAR, at + 2);
      else if (next === "\\") put(BACKSLASH, at + 2);
      else if (text.startsWith("begin", at + 1) || text.startsWith("end", at + 1)) put(BACKSLASH, at + 1);
      else at += /[!-/:-@[-`{-~]/.test(next) ? 2 : 1;
    }
  }
  put("", at);
  return { text: out.join(""), formulas, count, readable: isReadable(prose.join("")) };
}

/**
 * Return where the fence that these marks open is closed, from the end of its first line on.
 * @param {string} text
 * @param {number} lineEnd
 * @param {string} marks
 */
function fenceEnd(text, lineEnd, marks) {
  FENCE_END.lastIndex = lineEnd;
  let closing = FENCE_END.exec(text);
  while (closing && !closing[1].startsWith(marks)) closing = FENCE_END.exec(text);
  return closing ? FENCE_END.lastIndex : text.length;
}

/**
 * Return where a fence with others in it is closed, and marks that are longer than theirs.
 * @param {string} text
 * @param {number} lineEnd
 * @param {string} marks
 */
function outerFence(text, lineEnd, marks) {
  let depth = 0;
  let longest = "";
  FENCE_LINE.lastIndex = lineEnd;
  for (let line = FENCE_LINE.exec(text); line; line = FENCE_LINE.exec(text)) {
    if (line[2].trim()) {
      depth += 1;
      if (line[1].length > longest.length) longest = line[1];
    } else if (depth) depth -= 1;
    else if (line[1].startsWith(marks)) {
      return longest ? { end: FENCE_LINE.lastIndex, marks: marks[0].repeat(longest.length + 1) } : null;
    }
  }
  return null;
}

/**
 * Return where code in backticks ends, by where it begins.
 * @param {string} text
 */
function codeEnds(text) {
  /** @type {Map<number, number | undefined>} */
  const ends = new Map();
  // Where the next run of so many backticks in the paragraph ends.
  /** @type {Map<number, number>} */
  const next = new Map();
  for (const { 0: run, index } of [...text.matchAll(/`+|\n[ \t]*(?=\n)/g)].reverse()) {
    if (run.startsWith("\n")) next.clear();
    else {
      ends.set(index, next.get(run.length));
      ends.set(index + 1, next.get(run.length - 1)); // where a backslash escapes the first one
      next.set(run.length, index + run.length);
    }
  }
  return ends;
}

/**
 * Return how much of a text is finished blocks, and the mark of a fence that is open after it.
 * @param {string} text
 */
export function finished(text) {
  let done = 0;
  let at = 0;
  let fence = "";
  let nests = false;
  let depth = 0; // fences within the one that is open
  let list = false;
  let blank = false;
  while (at < text.length) {
    const end = text.indexOf("\n", at) + 1 || text.length;
    const line = text.slice(at, end);
    const whole = line.endsWith("\n");
    const marks = /^(`{3,}|~{3,})/.exec(line)?.[0] ?? "";
    if (fence) {
      const bare = /^[`~]+\s*$/.test(line);
      if (whole && marks && nests && !bare) depth += 1;
      else if (whole && marks && bare && depth) depth -= 1;
      else if (whole && marks.startsWith(fence) && bare) {
        fence = "";
        done = end;
      }
    } else if (marks && whole) {
      fence = marks;
      nests = NESTS.test(line.slice(marks.length).trimEnd());
      depth = 0;
      done = at;
    } else if (line.trim() === "") {
      blank = whole;
    } else if (blank) {
      const item = ITEM.test(line);
      // "-" may become a list item, "`" a fence.
      const certain = whole || line.length > 4;
      if (/^\S/.test(line) && certain && !(list && item)) {
        done = at;
        list = item;
      }
      blank = false;
    } else if (at === done) list = ITEM.test(line);
    at = end;
  }
  return { done, fence };
}

/**
 * Hold back a last line that may become a rule, a table or a heading's underline.
 * @param {string} text
 */
export function settled(text) {
  const last = text.lastIndexOf("\n") + 1;
  return last && /^[-=|*_#:> \t]+$/.test(text.slice(last)) ? text.slice(0, last) : text;
}
