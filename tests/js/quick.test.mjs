// Which prompts an editor may read as Markdown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isQuick } from "../../di_magics/labextension/static/quick.js";

/** @param {string} text */
const quick = (text) => isQuick(text.length, text.split("\n"));

const CODE = '    total[row["name"]] += float(row["price"]) * (1 - rate)  # in USD\n';

for (const text of [
  "",
  "Write a *short* story about `x`, [y](https://z.org) and $a+b$.\n".repeat(40),
  `Explain:\n\n\`\`\`python\n${CODE.repeat(60)}\`\`\`\n`,
  `${"A sentence of no particular content. ".repeat(50)}\n\n`.repeat(40),
  "<p>A <b>short</b> page.</p>\n\n".repeat(200),
  `- one\n  - two\n    - three\n> quoted\n`.repeat(100),
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is read as Markdown`, () => assert.ok(quick(text)));
}

for (const text of [
  `${">".repeat(4000)}a`,
  "- ".repeat(4000),
  "1. > ".repeat(1000),
  "[a](b)".repeat(4000),
  "![a](".repeat(4000),
  "[a](\n".repeat(4000),
  "$a".repeat(1000),
  "$a\n".repeat(1000),
  "a ".repeat(60_000),
  "<a>\n\n".repeat(15_000),
  "<a>\n".repeat(3000),
]) {
  test(`${JSON.stringify(text.slice(0, 20))} is not`, () => assert.ok(!quick(text)));
}
