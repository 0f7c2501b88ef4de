import "./tex.mjs";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const { formulaAt } = await import("../../di_magics/display/static/formula.js");

const CASES = JSON.parse(readFileSync(new URL("../core/shown/formula_cases.json", import.meta.url), "utf8"));

/** @param {string} text @param {number} count how many UTF-16 units so many characters are */
const units = (text, count) => [...text].slice(0, count).join("").length;

for (const [text, start, latex, display, end] of CASES) {
  test(`the formula in ${JSON.stringify(text)} is ${JSON.stringify(latex)}`, () => {
    const expected = latex === null ? null : { latex, display, end: units(text, end) };
    assert.deepEqual(formulaAt(text, units(text, start)), expected);
  });
}
