// The code of a reply that goes into a cell, or to the clipboard.
import assert from "node:assert/strict";
import { test } from "node:test";
import { visibleCode } from "../../di_magics/labextension/static/code_blocks.js";

test("code stays as it is, but for the line end behind it", () => {
  for (const code of [
    "",
    "x = 1",
    "%%bash\nls\n",
    "\tif x:\n\n\t\ty\n\n",
    "é = '👩🏽‍💻 ❤️ 中文'",
    "a\\u200b",
  ]) {
    assert.equal(visibleCode(`${code}\n`), code);
  }
});

test("what nobody sees is left out, and spaces and line ends are plain", () => {
  for (const hidden of [
    "\u200b",
    "\u202e",
    "\u2066",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\ufe0f",
    "\u001b",
    "\ue000",
  ]) {
    assert.equal(visibleCode(`a${hidden}b`), "ab");
  }
  assert.equal(visibleCode("a\u{e0041}\u3164b"), "ab");
  assert.equal(visibleCode("a\u00a0b\r\nc\rd"), "a b\nc\nd");
});
