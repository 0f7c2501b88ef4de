// What a page sends of the cells above.
import assert from "node:assert/strict";
import { test } from "node:test";
import { shorten } from "../../di_magics/labextension/static/cells_above.js";

/** @param {object} cell */
const model = (cell) => ({ toJSON: () => cell });

test("cells are as in the file, of outputs their text and whether they are images", () => {
  const data = { "text/plain": "<Figure>", "image/png": "A".repeat(99), "text/html": "<b>", "a/b": {} };
  const outputs = [{ output_type: "display_data", data, metadata: {} }];
  const cell = { id: "a", source: "plot()", metadata: { tags: ["private"] }, outputs };
  const kept = { "text/plain": "<Figure>", "image/png": "" };
  assert.deepEqual(shorten([model(cell), model({ attachments: { "a.png": {} }, source: "# T" })]), [
    { ...cell, outputs: [{ ...outputs[0], data: kept }] },
    { source: "# T" },
  ]);
});

test("long outputs lose their middle; a source does not, by which the kernel knows an edit", () => {
  const outputs = [{ output_type: "stream", text: `1${"x".repeat(50_000)}y` }];
  const [cell] = shorten([model({ source: "s".repeat(50_000), outputs })]);
  assert.equal(cell.source.length, 50_000);
  assert.match(cell.outputs[0].text, /^1x{4999}\n…\nx{4999}y$/);
});

test("of many cells the nearest are kept, in their order", () => {
  const cells = Array.from({ length: 400 }, (_, id) => model({ id, source: "x".repeat(50_000) }));
  const shown = shorten(cells);
  assert.ok(shown.length < 400 && JSON.stringify(shown).length <= 2_000_000);
  assert.deepEqual([shown.at(-2).id, shown.at(-1).id], [398, 399]);
});
