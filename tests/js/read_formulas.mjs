// Texts on stdin; on stdout, for each of them, each opening's position and the formula there, in
// Python's terms: a formula is a list, and a position counts characters and not UTF-16 units.
import "./tex.mjs";
import { readFileSync } from "node:fs";

const { formulaAt } = await import("../../di_magics/display/static/formula.js");

/** @param {string} text */
function formulas(text) {
  const found = [];
  let at = 0; // in characters
  let unit = 0;
  const positions = new Map();
  for (const char of text) {
    positions.set(unit, at);
    unit += char.length;
    at += 1;
  }
  positions.set(unit, at);
  for (const [start, position] of positions) {
    if (text[start] !== "$" && text[start] !== "\\") continue;
    const formula = formulaAt(text, start);
    found.push([position, formula && [formula.latex, formula.display, positions.get(formula.end)]]);
  }
  return found;
}

/** @type {string[]} */
const texts = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(texts.map(formulas)));
