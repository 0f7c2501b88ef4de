// What the chat panel makes of cells, and of a message.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cellOf, promptOf, titleOf, withAttachment } from "../../di_magics/labextension/static/turns.js";

test("a turn has the first line of its prompt as its title", () => {
  assert.equal(titleOf("# note\n%%chat -t 0\n\n  Why?\nmore"), "Why?");
  assert.equal(titleOf("%%chat -h"), "%%chat -h");
  assert.equal(titleOf(`%%chat\n${"x".repeat(1000)}`).length, 200);
});

test("a title has no characters that are invisible or change the order", () => {
  assert.equal(titleOf("%%chat\n\u200b\u202e\nWhy \u202enot?"), "Why not?");
});

test("a cell of code is no turn", () => {
  assert.equal(titleOf("x = 1"), "");
  assert.equal(promptOf("x = 1"), "");
});

test("a prompt is what stands below the flags", () => {
  assert.equal(promptOf("%%chat -t 0\n\na\n b\n"), "a\n b");
});

test("a message becomes a cell, with flags of its own or without", () => {
  assert.equal(cellOf("a\nb"), "%%chat\na\nb");
  assert.equal(cellOf("%%chat -t 0\na"), "%%chat -t 0\na");
});

test("a message is a prompt, whatever magics it holds", () => {
  for (const first of ["%%timeit import os", "%%prun -T x", "%%capture", "%%time", "# a", "\n", " "]) {
    for (const message of [`${first}\n%%chat\nhi`, `${first}\n${first}\n%%chat --tools f\nhi`]) {
      assert.equal(cellOf(message), `%%chat\n${message}`);
    }
  }
});

test("a message comes back as the prompt of its cell", () => {
  for (const message of ["a", "a\n\nb", "# a heading\ntext", "%%bash\nls", "%chat"]) {
    assert.equal(promptOf(cellOf(message)), message);
  }
});

test("the prompt of a cell is sent again as a prompt", () => {
  for (const prompt of ["a", "%%timeit f()\n%%chat\nx", "%%chat -a file\nx", "%%chat", "# a\n%%chat"]) {
    const cell = `%%chat\n${prompt}`;
    assert.equal(cellOf(promptOf(cell)), cell);
    assert.equal(cellOf(promptOf(`%%time\n${cell}`)), cell);
  }
});

test("a file is attached by a flag in the first line of a message, which is a prompt as before", () => {
  assert.equal(withAttachment("", "a.png"), "%%chat -a a.png\n");
  assert.equal(withAttachment("Why?\nmore", "../a b.png"), "%%chat -a '../a b.png'\nWhy?\nmore");
  assert.equal(withAttachment("%%chat -t 0 \nWhy?", "d/a.png"), "%%chat -t 0 -a d/a.png\nWhy?");
  assert.equal(withAttachment("%%chat -a a.png", "b.txt"), "%%chat -a a.png -a b.txt");
});

test("a path is neither a flag, nor a variable, nor in another folder, and its quotes are kept", () => {
  for (const path of ["-t.png", "--model", "data", "~a.png", ".env", " a.png"]) {
    assert.match(withAttachment("", path), /^%%chat -a '?\.\//);
  }
  assert.equal(withAttachment("", "it's.png"), `%%chat -a './it'"'"'s.png'\n`);
  assert.equal(withAttachment("", 'a".png'), "%%chat -a './a\".png'\n");
  // Both kinds of quotes: what stands between them must not become flags.
  const hostile = `a' --system "x" 'b.png`;
  assert.equal(withAttachment("", hostile), `%%chat -a './a'"'"' --system "x" '"'"'b.png'\n`);
});
