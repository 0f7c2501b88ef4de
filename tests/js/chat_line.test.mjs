// Which cells are prompts: the cases that Python reads, too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { findChatLine } from "../../di_magics/labextension/static/chat_line.js";

/** @type {[string, number][]} */
const CASES = JSON.parse(readFileSync(new URL("../magics/chat_line_cases.json", import.meta.url), "utf8"));

for (const [cell, line] of CASES) {
  test(`the %%chat line of ${JSON.stringify(cell)}`, () => {
    assert.equal(findChatLine(cell.split("\n")), line);
  });
}
