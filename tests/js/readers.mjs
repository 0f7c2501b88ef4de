// Markdown texts as a JSON list on stdin; on stdout what marked makes of each, as JSON: alone, and
// with formulas taken out before and put back afterwards, as notebook front ends do.
import { readFileSync } from "node:fs";
import { marked } from "marked";

const FORMULA =
  /(\$\$?)(?!\$)(?:(?!\n\s*\n)[\s\S])+?\1|\\begin\{(\w+\*?)\}(?:(?!\n\s*\n)[\s\S])*?\\end\{\2\}|@@\d+@@/g;
/** @type {Record<string, string>} */
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** @param {string} text */
function withFormulas(text) {
  /** @type {string[]} */
  const formulas = [];
  const rest = text.replace(FORMULA, (/** @type {string} */ formula) => {
    formulas.push(formula.replace(/[&<>]/g, (character) => ESCAPES[character] ?? character));
    return `@@${formulas.length - 1}@@`;
  });
  return parse(rest).replace(/@@(\d+)@@/g, (mark, number) => formulas[Number(number)] ?? mark);
}

/** @param {string} text */
const parse = (text) => /** @type {string} */ (marked.parse(text));

/** @type {string[]} */
const texts = JSON.parse(readFileSync(0, "utf8"));
const html = texts.map((text) => [parse(text), withFormulas(text)]);
process.stdout.write(JSON.stringify(html));
