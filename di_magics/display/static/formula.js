// @ts-check
// Where formulas are in Markdown: the rule of core/shown/formula.py, which explains it. TEX comes
// from there when the widget's module is put together.

export const MAX_FORMULAS = TEX.most;
const COMMANDS = new Set([...TEX.commands.split(" "), " "]);

const SIZE = String.raw`[0-9]{0,2}(?:\.[0-9]{1,2})?(?:pt|px|mu|mm|ex|em|cm)`;
const NAME = /[A-Za-z]+|./sy;
const ENVIRONMENT = new RegExp(`\\{(?:${TEX.environments.replaceAll(" ", "|")})\\*?\\}`, "y");
const COLUMNS = /(?:\[[tbc]\])?\{[clr|: ]{1,99}\}/y;
const SPACE = new RegExp(`\\{${SIZE}\\}`, "y");
const ROW_GAP = /[^!-~]*(?:\*[^!-~]*)?(?=\[)/y;
const ROW_SPACE = new RegExp(`\\[${SIZE}\\]`, "y");
const BLANK_LINE = /[ \t\r\f\v]*\n/y;
const ONLY_WHITE = /^[ \t\n\r\f\v]*$/;
const NAME_OR_NUMBER = /(?!(?:st|nd|rd|th|s)(?![A-Za-z0-9_]))[A-Za-z0-9_{]/y;
const OUTER_WHITE = /^[ \t\n\r\f\v]|[ \t\n\r\f\v]$/;
/** @type {Record<string, string>} */
const CLOSINGS = { "\\(": "\\)", "\\[": "\\]", $$: "$$", $: "$" };

/** @typedef {{ latex: string, display: boolean, end: number }} Formula */

/**
 * Return as how many formulas this one counts.
 * @param {Formula} formula
 */
export const countOf = ({ latex }) => 1 + Math.floor([...latex].length / TEX.usual);

/**
 * Return the formula that begins at this position, or null.
 * @param {string} text
 * @param {number} start
 * @returns {Formula | null}
 */
export function formulaAt(text, start) {
  let begin = start + 2;
  if (!CLOSINGS[text.slice(start, begin)]) begin -= 1;
  const closing = CLOSINGS[text.slice(start, begin)];
  if (!closing) return null;
  const latex = text.slice(begin, closingAt(text, begin, closing));
  if (ONLY_WHITE.test(latex)) return null;
  const end = begin + latex.length + closing.length;
  if (closing === "$" && (OUTER_WHITE.test(latex) || matchEnd(NAME_OR_NUMBER, text, end))) return null;
  return { latex, display: closing === "$$" || closing === "\\]", end };
}

/**
 * Return where the closing is, or 0 if what comes before it is not allowed in a formula.
 * @param {string} text
 * @param {number} begin
 * @param {string} closing
 */
function closingAt(text, begin, closing) {
  // What ends each open group; "" for a style.
  /** @type {string[]} */
  const groups = [];
  let limit = begin + TEX.longest;
  let at = begin;
  while (at && at <= limit && at < text.length && groups.length <= TEX.deepest) {
    if (text.startsWith(closing, at)) return groups.some(Boolean) ? 0 : at;
    const char = text[at];
    at += 1;
    if (char === "\\") at = commandEnd(text, at, groups);
    else if (char === "{") groups.push("}");
    else if (char === "&") endStyles(groups);
    else if (
      char === "%" ||
      (char === "}" && !ends(groups, char)) ||
      (char === "$" && !groups.some(Boolean)) ||
      ((char === '"' || char === "`") && closing[0] === "$" && !groups.some(Boolean)) ||
      (char === "\n" && matchEnd(BLANK_LINE, text, at))
    )
      return 0;
    // The second half of a character that Python counts as one.
    else if (char >= "\uDC00" && char <= "\uDFFF") limit += 1;
  }
  return 0;
}

/**
 * Return the end of the command whose name begins here, or 0 if it is not allowed.
 * @param {string} text
 * @param {number} at
 * @param {string[]} groups
 */
function commandEnd(text, at, groups) {
  const end = matchEnd(NAME, text, at);
  const name = text.slice(at, end);
  if (name === "begin" || name === "end") {
    const after = matchEnd(ENVIRONMENT, text, end);
    if (!after) return 0;
    const environment = text.slice(end + 1, after - 1);
    if (name === "end") return ends(groups, environment) ? after : 0;
    groups.push(environment);
    return environment === "array" ? matchEnd(COLUMNS, text, after) : after;
  }
  if (name === "\\") {
    endStyles(groups);
    const gap = matchEnd(ROW_GAP, text, end);
    return gap ? matchEnd(ROW_SPACE, text, gap) : end;
  }
  if (name === "hspace") return matchEnd(SPACE, text, end);
  if (name === "left") groups.push("right");
  else if (!COMMANDS.has(name) && !(name === "right" && ends(groups, name))) return 0;
  else if (name.endsWith("style")) groups.push("");
  return end;
}

/**
 * Return where this pattern ends if it begins here, or 0.
 * @param {RegExp} pattern
 * @param {string} text
 * @param {number} at
 */
export function matchEnd(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : 0;
}

/** @param {string[]} groups */
function endStyles(groups) {
  while (groups.at(-1) === "") groups.pop();
}

/**
 * End the innermost group and return whether this is what ends it.
 * @param {string[]} groups
 * @param {string} name
 */
function ends(groups, name) {
  endStyles(groups);
  return groups.pop() === name;
}
