// Whether a reply answers what its notebook has now, by the records of the outputs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { asksAgain, isEdited, Replies, readReplies } from "../../di_magics/labextension/static/replies.js";

/** @param {unknown[]} records */
const outputs = (...records) => ({
  length: records.length,
  get: (/** @type {number} */ at) => ({ metadata: { di_magics: records[at] } }),
});

/** @param {string} turn @param {string} [parent] @param {string} [cell] of the parent */
const reply = (turn, parent, cell) => ({ turn, parent, parent_cell: cell });

test("only what has the id of a turn is a reply", () => {
  const good = { turn: "0123456789abcdef" };
  const bad = [undefined, null, 1, "a", [], {}, { turn: 1 }, { turn: "" }, { turn: "a\n!rm -r *" }];
  assert.deepEqual(readReplies(outputs(...bad, good, { turn: ["01234567"] }, { grid: 3 })), [good]);
});

test("another prompt than the one answered is an edit, other flags are none", () => {
  const answered = { turn: "t", prompt: "Why?\n" };
  for (const source of ["%%chat\nWhy?", "# note\n%%chat -t 0\n\nWhy?\n"]) {
    assert.equal(isEdited(answered, source), false);
  }
  for (const source of ["%%chat\nWhy not?", "%%chat\n", "%%chat\nWhy?\nmore"]) {
    assert.equal(isEdited(answered, source), true);
  }
});

test("what was asked is not known of a template, of a long prompt and of other cells", () => {
  assert.equal(isEdited({ turn: "t", prompt: "Is 7 odd?" }, "%%chat\nIs {{n}} odd?"), false);
  assert.equal(isEdited({ turn: "t", prompt: "", too_long: true }, "%%chat\nWhy?"), false);
  assert.equal(isEdited({ turn: "t", prompt: ["Why?"] }, "%%chat\nWhy?"), false);
  assert.equal(isEdited({ turn: "t", prompt: "Why?" }, "%chat ask Why?"), false);
});

test("cells that ask only are run again", () => {
  for (const source of ["%%chat -t 0\nhi", "%chat ask hi", "%chat fix", " %chat retry\n"]) {
    assert.equal(asksAgain(source), true);
  }
  for (const source of ["x = 1", "%chat show 1", "%chat fork a", "%chat ask hi\nx = 1", "%chat fixed"]) {
    assert.equal(asksAgain(source), false);
  }
});

test("the cell of a hostile notebook is read in linear time", () => {
  const read = (/** @type {number} */ size) => {
    const start = performance.now();
    for (const blank of [" ", "\t", "\n"]) asksAgain(`%chat ask${blank.repeat(size)}\nx`);
    return Math.max(1, performance.now() - start);
  };
  read(1000);
  assert.ok(read(400_000) / read(100_000) < 12); // 16 where it is quadratic
});

test("the replies of a hostile notebook are read in linear time", () => {
  const read = (/** @type {number} */ size) => {
    const shown = Array.from({ length: size }, (_, at) => reply(`a${at}`, at ? `a${at - 1}` : "gone", "A"));
    const below = Array.from({ length: size }, (_, at) => reply(`b${at}`, `gone${at}`, "A"));
    const start = performance.now();
    const replies = new Replies([
      ["A", shown],
      ["B", below],
    ]);
    assert.ok(below.every((at) => replies.isOutdated(at)));
    return performance.now() - start;
  };
  const fastest = (/** @type {number} */ size) => Math.min(...[1, 2, 3, 4, 5].map(() => read(size)));
  const fast = fastest(20_000);
  assert.ok(fastest(80_000) < Math.max(12 * fast, 100)); // 16 times where it is quadratic
});

test("a reply is outdated when a cell above it, near or far, has another turn now", () => {
  const [b1, c1] = [reply("b1", "a1", "A"), reply("c1", "b1", "B")];
  const before = new Replies([
    ["A", [reply("a1")]],
    ["B", [b1]],
    ["C", [c1]],
  ]);
  assert.deepEqual(
    [b1, c1].map((at) => before.isOutdated(at)),
    [false, false],
  );
  const after = new Replies([
    ["A", [reply("a2")]],
    ["B", [b1]],
    ["C", [c1]],
  ]);
  assert.deepEqual(
    [b1, c1].map((at) => after.isOutdated(at)),
    [true, true],
  );
  assert.equal(after.isOutdated(reply("a2")), false);
});

test("a turn above that is nowhere to be seen has not changed", () => {
  const b1 = reply("b1", "a1", "A");
  assert.equal(new Replies([["B", [b1]]]).isOutdated(b1), false); // its cell is deleted
  assert.equal(
    new Replies([
      ["A", []], // cleared, or quiet
      ["B", [b1]],
    ]).isOutdated(b1),
    false,
  );
});

test("a retry elsewhere, and a turn appended to its cell, change nothing above", () => {
  const b1 = reply("b1", "a1", "A");
  const shown = (/** @type {ReturnType<typeof reply>[]} */ ...inA) =>
    new Replies([
      ["A", inA],
      ["B", [b1]],
      ["R", [reply("r1", "a0", "Z")]],
    ]);
  assert.equal(shown(reply("a2", "b1", "B")).isOutdated(b1), false);
  assert.equal(shown(reply("a1")).isOutdated(b1), false);
  assert.equal(shown(reply("a2")).isOutdated(reply("x", "r1", "A")), false);
});

test("records that follow one another in a circle end", () => {
  const [a, b] = [reply("a", "b", "B"), reply("b", "a", "A")];
  const replies = new Replies([
    ["A", [a]],
    ["B", [b]],
  ]);
  assert.equal(replies.isOutdated(a), false);
});
