// Markdown texts as a JSON list on stdin; on stdout what marked makes of each, as JSON: alone, and
// with formulas taken out before and put back afterwards, as notebook front ends do.
import { readFileSync } from "node:fs";
import { marked } from "marked";

const FORMULA =
  /(\$\$?)(?!\$)(?:(?!\n\s*\n)[^])+?\1|\\begin\{(\w+\*?)\}(?:(?!\n\s*\n)[^])*?\\end\{\2\}|@@\d+@@/g;
const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

function withFormulas(text) {
  const formulas = [];
  const rest = text.replace(FORMULA, (formula) => {
    formulas.push(formula.replace(/[&<>]/g, (character) => ESCAPES[character]));
    return `@@${formulas.length - 1}@@`;
  });
  return marked.parse(rest).replace(/@@(\d+)@@/g, (mark, number) => formulas[number] ?? mark);
}

const texts = JSON.parse(readFileSync(0, "utf8"));
const html = texts.map((text) => [marked.parse(text), withFormulas(text)]);
process.stdout.write(JSON.stringify(html));
