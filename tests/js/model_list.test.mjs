// The panel's list of models: which rows a text finds, and which of them are drawn.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findRows, rowsInView } from "../../di_magics/display/static/model_list.js";

test("each word must be in the name or the abilities, in any order and case", () => {
  const texts = ["qwen/qwen3-32b tools, reasoning", "qwen/qwen3-vl tools, images", "meta/llama-3"];
  assert.deepEqual(findRows(texts, "  IMAGES qwen "), [1]);
  assert.deepEqual(findRows(texts, ""), [0, 1, 2]);
  assert.deepEqual(findRows(texts, "qwen.*"), []);
});

test("of 20,000 rows only those around the view are drawn", () => {
  const size = { height: 250, row: 25, count: 20000 };
  assert.deepEqual(rowsInView({ ...size, top: 0 }), [0, 16]);
  assert.deepEqual(rowsInView({ ...size, top: 25 * 10000 }), [9994, 10016]);
  assert.deepEqual(rowsInView({ ...size, top: 25 * 19990 }), [19984, 20000]);
  assert.deepEqual(rowsInView({ ...size, top: 25 * 19990, count: 3 }), [3, 3]);
});
