// @ts-check
// What the live view must know of Markdown: which blocks are finished, and where formulas and code
// are. Model text is hostile: everything here is linear in the length of the text.
//
// The front end's parser may read a text in another way than this file does. So what it gets is
// harmless whatever it reads in it:
// * Code is taken out. An empty fence stands for it, so that nothing is drawn by its language.
// * A run of marks that might still open a fence is followed by NOTHING, so that no language is known.
// * `<` is LESS, so that there is no HTML but <br>, <sub> and <sup>; <https://…> is a link.
// * U+FEFF, which a parser takes for white space, ends a bare address before full-width punctuation. It
//   follows a single `~`, too: "5~7 and 8~9" is not struck through. `rebuild` takes it out.
// * What would take long to parse, or become much longer, is not parsed at all: `isReadable`.
import { countOf, formulaAt, MAX_FORMULAS, matchEnd } from "./formula.js";

// Characters for private use: E000, the number of a part that was taken out, E001; and these.
export const LESS = "\uE002";
export const NOTHING = "\uE003";
const STAND_INS = /[\uE000-\uE003]/g;

const ITEM = /^([-+*]|\d+[.)])(\s|$)/;
// The next character that `protect` must look at.
const SPECIAL = /[$\\`\n<]/g;
const TICKS = /`+/y;
const QUOTE = /[ \t]*>/y;
const SMALL_HTML = /<(?:br ?\/?|\/?su[bp]|https?:\/\/[^\s<>\\`$]+)>/y; // or an address
const CONTAINERS = /^(?:[ \t>]|(?:[-+*]|\d{1,9}[.)])[ \t])*/;
// A line that opens a fence, in quotes and items perhaps.
const FENCE = /((?:[ \t>]|(?:[-+*]|\d{1,9}[.)])[ \t])*)(`{3,}(?!`)(?![^\n]*`)|~{3,})([^\n]*)/y;
// The same for a fence that is indented or in a list item.
const INNER_FENCE = /^(?:[ \t]|(?:[-+*]|\d{1,9}[.)])[ \t])+(`{3,}(?!`)(?!.*`)|~{3,})/;
// A line of marks in a fence, and what follows them.
const MARKS = /^[ \t]*(`{3,}(?!`)|~{3,}(?!~))([^`]*)$/;
const MIGHT_OPEN = /(?:(?<!`)`{3,}|(?<!~)~{3,})(?![`~]|[ \t]*(?:\n|$))/g;
// Characters as in markdown_rules.ADDRESS_ENDS. An address in a link of Markdown is left alone.
const TO_END = /\]\(\S*|(?:https?:\/\/|www\.)[^\s|‘-‟…、。〈-】〔-〟！-／：-＠]*|(?<!~)~(?!~)/g;
// Within a fence of Markdown, a fence with a language opens an inner one; the next bare fence closes it.
const NESTS = /^[ \t]*(?:markdown|mdx?)[ \t]*$/i;
const MAX_SEARCHES = 100; // for the end of such a fence, in a text

// What a parser of Markdown is slow for, or recurses for: nested quotes and lists, and long runs. A
// browser is slow for 100 marks on one letter (display/long_text.py).
const SLOW = /^[ \t]*(?:(?:>|[-+*][ \t]|\d{1,9}[.)][ \t])[ \t]*){50}|`{20}|[\p{M}\p{Cf}]{100}/mu;
const MARK = /[*_~[\]!`\\&@()]/g;
const BULLET = /\n {0,3}[-*+] (?=\S)/; // ends a paragraph, wherever
const MAX_PARAGRAPH_CHARS = 20_000;
const MAX_WORK = 4_000_000; // marks (or ten lines) times characters of each paragraph
const MAX_TOKENS = 15_000; // marks and lines: the front end copies a list of all tokens at each token
const MAX_CELLS = 5000; // of tables: rows are filled up to the width of the longest one
const MAX_LINKED = 2_000_000; // brackets times definitions' characters, which are copied to each use

/** @param {string} text */
function isReadable(text) {
  let [work, cells, definitions] = [0, 0, 0];
  const tokens = text.match(/[*_~[\]!`\\&@()\n>+.-]/g)?.length ?? 0;
  for (const part of text.split(/\n[ \t]*\n/)) {
    if (part.length > MAX_PARAGRAPH_CHARS) return false;
    const widths = part.split("\n").map((line) => line.split("|").length);
    work += (part.length * widths.length) / 10;
    for (const piece of part.split(BULLET)) work += piece.length * (piece.match(MARK)?.length ?? 0);
    if (part.includes("|")) cells += widths.length * Math.max(...widths);
    if (part.includes("]:")) definitions += part.length;
  }
  const linked = definitions * text.split("[").length;
  return (
    tokens <= MAX_TOKENS && work <= MAX_WORK && cells <= MAX_CELLS && linked <= MAX_LINKED && !SLOW.test(text)
  );
}

/** @typedef {{ info: string, text: string }} Code */
/** @typedef {{ source: string, formula?: import("./formula.js").Formula, code?: Code }} Part */

/**
 * Return Markdown without formulas, code and HTML, the parts that were taken out, as how many formulas
 * they count, and whether the front end can parse the rest in a short time.
 * @param {string} source
 * @param {number} [most] no more formulas than this
 */
export function protect(source, most = MAX_FORMULAS) {
  const text = source.replace(/\r\n?/g, "\n").replace(STAND_INS, "\uFFFD");
  const ends = codeEnds(text);
  /** @type {Part[]} */
  const parts = [];
  /** @type {string[]} */
  const out = [];
  let searches = MAX_SEARCHES;
  let count = 0;
  // What comes before this is in `out`.
  let done = 0;
  let at = 0;
  /** @param {string} replacement @param {number} end */
  const put = (replacement, end) => {
    out.push(text.slice(done, at), replacement);
    done = at = end;
  };
  /** @param {Part} part */
  const standIn = (part) => `\uE000${parts.push(part) - 1}\uE001`;
  let atLineStart = true;
  while (at < text.length) {
    FENCE.lastIndex = at;
    const fence = atLineStart && FENCE.exec(text);
    atLineStart = false;
    if (fence) {
      const [line, prefix, marks, info] = fence;
      const begin = at + line.length;
      const outer = NESTS.test(info) && searches-- > 0 ? fenced(text, begin, prefix, marks, true) : null;
      const { end, code } = outer?.nested ? outer : fenced(text, begin, prefix, marks);
      const indent = prefix.replace(/[^\s>]/g, " ");
      const part = { source: code, code: { info: info.trim(), text: code } };
      put(`${prefix}${marks}\n${indent}${standIn(part)}\n${indent}${marks}`, end);
      continue;
    }
    SPECIAL.lastIndex = at;
    at = SPECIAL.exec(text)?.index ?? text.length;
    const char = text[at];
    if (char === "\n") {
      at += 1;
      atLineStart = true;
    } else if (char === "`") {
      const end = ends.get(at) ?? matchEnd(TICKS, text, at);
      put(text.slice(at, end).replaceAll("<", LESS), end);
    } else if (char === "<") {
      const end = matchEnd(SMALL_HTML, text, at);
      if (end) at = end;
      else put(LESS, at + 1);
    } else if (char) {
      const formula = count < most ? formulaAt(text, at) : null;
      const next = text[at + 1] ?? "";
      if (formula) {
        count += countOf(formula);
        put(
          standIn({ source: text.slice(at, formula.end), formula: unquote(formula, text, at) }),
          formula.end,
        );
      } else if (next === "<" && char === "\\") put(LESS, at + 2);
      else at += char === "\\" && /[!-/:-@[-`{-~]/.test(next) ? 2 : 1;
    }
  }
  put("", at);
  const safe = out.join("").replace(MIGHT_OPEN, `$&${NOTHING}`).replace(TO_END, "$&\uFEFF");
  return { text: safe, parts, count, readable: isReadable(safe) };
}

/**
 * Return a formula without the marks of the quote that it is in, at the beginning of its later lines.
 * @param {import("./formula.js").Formula} formula @param {string} text @param {number} at
 */
function unquote(formula, text, at) {
  if (!formula.latex.includes("\n")) return formula;
  const before = CONTAINERS.exec(text.slice(text.lastIndexOf("\n", at) + 1, at))?.[0] ?? "";
  const depth = Math.min(before.split(">").length - 1, 50);
  const marks = new RegExp(`\\n(?:[ \\t]*>){0,${depth}}`, "g");
  return { ...formula, latex: formula.latex.replace(marks, "\n") };
}

/**
 * Return the code of a fence, where it ends (after its closing line, or with its container), and
 * whether it is closed and contains others.
 * @param {string} text
 * @param {number} at the end of its first line
 * @param {string} prefix of its first line: quotes and items
 * @param {string} marks
 */
function fenced(text, at, prefix, marks, nests = false) {
  const quotes = prefix.split(">").length - 1;
  const own = prefix.slice(prefix.lastIndexOf(">") + 1);
  const item = /[^ \t]/.test(own);
  /** @type {string[]} */
  const lines = [];
  let end = at;
  let depth = 0; // fences within this one
  let nested = false;
  let margin = false; // whether the code is further left than its item: then the item does not end it
  while (end < text.length) {
    const start = end + 1;
    const next = text.indexOf("\n", start);
    const lineEnd = next < 0 ? text.length : next;
    let from = start;
    for (let quote = 0; quote < quotes && from; quote += 1) from = matchEnd(QUOTE, text, from);
    if (!from) break;
    let line = text.slice(from, lineEnd);
    const indent = line.search(/[^ \t]|$/);
    if (item && indent < own.length && indent < line.length) {
      margin ||= lines.every((before) => !before);
      if (!margin) break;
    }
    line = line.slice(Math.min(indent, own.length));
    end = lineEnd;
    const [, found = "", rest = ""] = MARKS.exec(line) ?? [];
    const info = /[^ \t]/.test(rest);
    if (nests && info) {
      depth += 1;
      nested = true;
    } else if (found && !info && depth) depth -= 1;
    else if (found.startsWith(marks) && !info) return { end, code: lines.join("\n"), nested };
    lines.push(line);
  }
  return { end, code: lines.join("\n"), nested: false };
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
  let inner = ""; // the marks that opened a fence in a list item, "" if none is open
  let nests = false;
  let depth = 0; // fences within the one that is open
  let list = false;
  let blank = false;
  while (at < text.length) {
    const end = text.indexOf("\n", at) + 1 || text.length;
    const line = text.slice(at, end);
    const whole = line.endsWith("\n");
    const marks = /^(`{3,}|~{3,})/.exec(line)?.[0] ?? "";
    if (inner) {
      const [, found = "", rest = ""] = MARKS.exec(line) ?? [];
      if (whole && found.startsWith(inner) && !rest.trim()) inner = "";
      at = end;
      continue;
    }
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
    if (whole && !fence) inner = INNER_FENCE.exec(line)?.[1] ?? "";
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
