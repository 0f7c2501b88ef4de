import "./tex.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";

const { finished, protect, settled } = await import("../../di_magics/display/static/blocks.js");

const F = (/** @type {number} */ i) => `\uE000${i}\uE001`;
const DOLLAR = "\uE002";
const BACKSLASH = "\uE003";

/** @type {[string, string, string[]][]} */
const PROTECTED = [
  ["a $x$ b \\(y\\) c", `a ${F(0)} b ${F(1)} c`, ["x", "y"]],
  ["$5 and $10", `${DOLLAR}5 and ${DOLLAR}10`, []],
  ["\\$x$", `${DOLLAR}x${DOLLAR}`, []],
  ["\\\\(x\\\\)", `${BACKSLASH}(x${BACKSLASH})`, []],
  ["\\begin{align}x\\end{align}", `${BACKSLASH}begin{align}x${BACKSLASH}end{align}`, []],
  ["$\\evil$", `${DOLLAR}\\evil${DOLLAR}`, []],
  ["a \uE0000\uE001 b", "a \uFFFD0\uFFFD b", []],
  ["`$x$` $y$", `\`$x$\` ${F(0)}`, ["y"]],
  ["``$x$ ` $y$`` $z$", `\`\`$x$ \` $y$\`\` ${F(0)}`, ["z"]],
  ["` $x$ `` $y$", `\` ${F(0)} \`\` ${F(1)}`, ["x", "y"]],
  ["`a\n\n$x$ `", `\`a\n\n${F(0)} \``, ["x"]],
  ["\\`$x$`", `\\\`${F(0)}\``, ["x"]],
  ["\\```$x$``", "\\```$x$``", []],
  ["```\n$x$\n```\n$y$", `\`\`\`\n$x$\n\`\`\`\n${F(0)}`, ["y"]],
  ["> ~~~~ a\n> $x$\n> ~~~\n> ~~~~\n$y$", `> ~~~~ a\n> $x$\n> ~~~\n> ~~~~\n${F(0)}`, ["y"]],
  ["1. ```\n$x$", "1. ```\n$x$", []],
  ["a ```\n$x$", `a \`\`\`\n${F(0)}`, ["x"]],
  ["```mermaid\na\n```", "```text\na\n```", []],
  ["```md\n```py\n$x$\n```\n```\n$y$", `\`\`\`\`md\n\`\`\`py\n$x$\n\`\`\`\n\`\`\`\`\n${F(0)}`, ["y"]],
  ["```md\n```py\n```\n$y$", `\`\`\`md\n\`\`\`py\n\`\`\`\n${F(0)}`, ["y"]],
  ["```md\n$x$\n```\n$y$", `\`\`\`md\n$x$\n\`\`\`\n${F(0)}`, ["y"]],
];

for (const [source, text, latex] of PROTECTED) {
  test(`${JSON.stringify(source)} is protected`, () => {
    const result = protect(source);
    assert.deepEqual([result.text, result.formulas.map((formula) => formula.latex)], [text, latex]);
  });
}

test("what follows so many formulas is shown as its source", () => {
  assert.deepEqual(protect("$x$ $y$", 1).text, `${F(0)} ${DOLLAR}y${DOLLAR}`);
  assert.equal(protect("$x$ ".repeat(9999)).formulas.length, 500);
  assert.equal(protect(`$x${"+x".repeat(2450)}$ `.repeat(99)).formulas.length, 10); // a long one counts as 50
});

/** @type {[string, boolean][]} */
const READABLE = [
  ["**a** _b_\n\n".repeat(9999), true],
  [`\`\`\`\n${"a_b * c\n".repeat(9999)}\`\`\`\n`, true],
  [`${"-".repeat(99)}\n`, true],
  ["*a ".repeat(999), false],
  ["_a*\n".repeat(999), false],
  ["[a](".repeat(999), false],
  ["a ".repeat(19_999), false],
  [`a\n${"> ".repeat(50)}b`, false],
  [`a\n${">".repeat(50)}b`, false],
  [`${"- ".repeat(50)}b`, false],
  [`${"1. > ".repeat(25)}b`, false],
];

for (const [text, readable] of READABLE) {
  test(`${JSON.stringify(text.slice(0, 12))} … is ${readable ? "" : "not "}read by the front end`, () => {
    assert.equal(protect(text).readable, readable);
  });
}

/** @type {[string, number, string][]} */
const FINISHED = [
  ["", 0, ""],
  ["a\n\nb", 0, ""],
  ["a\n\nlonger", 3, ""],
  ["a\n\nb\n", 3, ""],
  ["a\n\n- b\n", 3, ""],
  ["- a\n\n- b\n", 0, ""],
  ["- a\n\n  b\n", 0, ""],
  ["a\n```py\nb\n\nc", 2, "```"],
  ["```\nb\n```\nc", 10, ""],
  ["````\nb\n```\nc", 0, "````"],
  ["~~~\nb\n```\n~~~ \n", 15, ""],
  ["```markdown\n```py\nb\n```\n\nc", 0, "```"],
  ["```markdown\n```py\nb\n```\n\nc\n```\nd", 31, ""],
];

for (const [text, done, fence] of FINISHED) {
  test(`of ${JSON.stringify(text)}, ${done} characters are finished`, () => {
    assert.deepEqual(finished(text), { done, fence });
  });
}

test("a last line that may become something else is held back", () => {
  assert.equal(settled("a\n--"), "a\n");
  assert.equal(settled("a\n| -"), "a\n");
  assert.equal(settled("a\nb"), "a\nb");
  assert.equal(settled("--"), "--");
});

const UNITS = [
  "```md\n",
  "```md\n```a\n```\n",
  "$",
  "$a",
  "$$",
  "$$a",
  "\\(",
  "\\(a",
  "\\[",
  "\\(\\[",
  "\\",
  "\\\\",
  "\\\\(a",
  "\\[{$a",
  "$$\\(",
  "\\(\\\\ ",
  "`",
  "` ",
  "` `` ",
  "`` ` ",
  "`\n\n",
  "\\`",
  "\\``",
  "~",
  "[",
  "![",
  "](",
  "<",
  "*a ",
  "_",
  "|",
  ">",
  "> ",
  "\n>",
  "\n",
  "\n ",
  " ",
  "\t",
  " >",
  "a",
  "a\n",
  "a\n\n",
  "-",
  "- ",
  "- a\n\n",
  "\n-",
  "-\n",
  "1",
  "1. ",
  "1\n",
  "12) ",
  "```\n",
  "~~~\n",
  "```a",
  "\n``` a",
  "> ```\n",
  "```\n````\n",
  "\n```````````",
  "=",
  "\n=",
  "mermaid",
  "\uE000",
];

/** @param {() => void} run */
function milliseconds(run) {
  const begin = performance.now();
  run();
  return performance.now() - begin;
}

// Twice the text takes at most three times as long, once the machine is quiet enough to see it.
for (const [name, run] of Object.entries({ protect, finished, settled })) {
  for (const unit of [...UNITS, ...UNITS.map((unit) => `\`\`\`\n${unit}`)]) {
    test(`${name} is linear for ${JSON.stringify(unit)} again and again`, () => {
      const [half, whole] = [150_000, 300_000].map((length) => unit.repeat(length / unit.length));
      let [fast, slow] = [Infinity, Infinity];
      for (let round = 0; round < 10 && slow > Math.max(3 * fast, 20); round += 1) {
        fast = Math.min(
          fast,
          milliseconds(() => run(half)),
        );
        slow = Math.min(
          slow,
          milliseconds(() => run(whole)),
        );
      }
      assert.ok(slow <= Math.max(3 * fast, 20), `${slow} ms after ${fast} ms for half of it`);
    });
  }
}
