import "./tex.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";
import { marked } from "marked";

const { finished, protect, settled } = await import("../../di_magics/display/static/blocks.js");

const F = (/** @type {number} */ i) => `\uE000${i}\uE001`;
const LESS = "\uE002";
const NOTHING = "\uE003";

/** @type {[string, string, string[]][]} */
const PROTECTED = [
  ["a $x$ b \\(y\\) c", `a ${F(0)} b ${F(1)} c`, ["$x$", "\\(y\\)"]],
  ["$5 and $10", "$5 and $10", []],
  ["\\$x$", "\\$x$", []],
  ["\\\\(x\\\\)", "\\\\(x\\\\)", []],
  ["$\\evil$", "$\\evil$", []],
  ["https://a.b/c~d（e，www.f。", "https://a.b/c~d\uFEFF（e，www.f\uFEFF。", []],
  ["[~a](https://b/~c（d）) e", "[~\uFEFFa](https://b/~c（d）)\uFEFF e", []],
  ["5~7 `8~9` ~~x~~", "5~\uFEFF7 `8~\uFEFF9` ~~x~~", []],
  ["a \uE0000\uE001 b", "a \uFFFD0\uFFFD b", []],
  ["`$x$` $y$", `\`$x$\` ${F(0)}`, ["$y$"]],
  ["``$x$ ` $y$`` $z$", `\`\`$x$ \` $y$\`\` ${F(0)}`, ["$z$"]],
  ["` $x$ `` $y$", `\` ${F(0)} \`\` ${F(1)}`, ["$x$", "$y$"]],
  ["`a\n\n$x$ `", `\`a\n\n${F(0)} \``, ["$x$"]],
  ["\\`$x$`", `\\\`${F(0)}\``, ["$x$"]],
  ["\\```$x$``", `\\\`\`\`${NOTHING}$x$\`\``, []],
  ["a <b> <b`<i>` \\<", `a ${LESS}b> ${LESS}b\`${LESS}i>\` ${LESS}`, []],
  [
    "<https://a.b/c> <http://x y> <ftp://a>",
    `<https://a.b/c>\uFEFF ${LESS}http://x\uFEFF y> ${LESS}ftp://a>`,
    [],
  ],
  ["a<br>b<br />x<sub>2</sub> <sub >", `a<br>b<br />x<sub>2</sub> ${LESS}sub >`, []],
  ["```\n$x$\n```\n$y$", `\`\`\`\n${F(0)}\n\`\`\`\n${F(1)}`, ["$x$", "$y$"]],
  ["> ~~~~ a\n> $x$\n> ~~~\n> ~~~~\n$y$", `> ~~~~\n> ${F(0)}\n> ~~~~\n${F(1)}`, ["$x$\n~~~", "$y$"]],
  ["1. ```\n   $x$\n\n    y", `1. \`\`\`\n   ${F(0)}\n   \`\`\``, ["$x$\n\n y"]],
  ["- ```\n  x\ny", `- \`\`\`\n  ${F(0)}\n  \`\`\`\ny`, ["x"]],
  ["- ```py\n\nx\n  y\n```\nz", `- \`\`\`\n  ${F(0)}\n  \`\`\`\nz`, ["\nx\ny"]],
  ["1. a\n   ```py\nx\n```\nz", `1. a\n   \`\`\`\n   ${F(0)}\n   \`\`\`\nz`, ["x"]],
  ["> ```\n> x\ny", `> \`\`\`\n> ${F(0)}\n> \`\`\`\ny`, ["x"]],
  ["- - ```mermaid\n    A\n    ```\n\nb", `- - \`\`\`\n    ${F(0)}\n    \`\`\`\n\nb`, ["A"]],
  ["* > 1. ~~~a `\n  >    A", `* > 1. ~~~\n  >    ${F(0)}\n  >    ~~~`, ["A"]],
  ["a ```\n$x$", `a \`\`\`\n${F(0)}`, ["$x$"]],
  ["- [ ] ```mermaid\na", `- [ ] \`\`\`${NOTHING}mermaid\na`, []],
  ["a ~~~\u00A0mermaid", `a ~~~${NOTHING}\u00A0mermaid`, []],
  ["```\r\na\r\n```\r\n", `\`\`\`\n${F(0)}\n\`\`\`\n`, ["a"]],
  ["```md\n```py\n$x$\n```\n```\n$y$", `\`\`\`\n${F(0)}\n\`\`\`\n${F(1)}`, ["```py\n$x$\n```", "$y$"]],
  ["```md\n```py\n```\n$y$", `\`\`\`\n${F(0)}\n\`\`\`\n${F(1)}`, ["```py", "$y$"]],
  ["```md\n$x$\n```\n$y$", `\`\`\`\n${F(0)}\n\`\`\`\n${F(1)}`, ["$x$", "$y$"]],
];

for (const [source, text, parts] of PROTECTED) {
  test(`${JSON.stringify(source)} is protected`, () => {
    const result = protect(source);
    assert.deepEqual([result.text, result.parts.map((part) => part.source)], [text, parts]);
  });
}

test("what follows so many formulas is shown as its source", () => {
  assert.deepEqual(protect("$x$ $y$", 1).text, `${F(0)} $y$`);
  assert.equal(protect("$x$ ".repeat(9999)).parts.length, 500);
  assert.equal(protect(`$x${"+x".repeat(2450)}$ `.repeat(99)).parts.length, 10); // a long one counts as 50
});

test("a formula in a quote has no marks of the quote at its later lines", () => {
  for (const [source, latex] of [
    ["> $$\n> a > b\n> > c\n> $$", "\n a > b\n > c\n "],
    ["> > $x\n>>> y$", "x\n> y"],
    ["- > $x\n  > y$", "x\n y"],
    ["$x\n> y$", "x\n> y"],
    ["> $x\ny$", "x\ny"],
  ])
    assert.equal(protect(source).parts[0].formula?.latex, latex);
});

// Programs that read Markdown differ in where a fence is; so does marked from `protect` here.
const CONTAINERS = [
  "- ",
  "* ",
  "> ",
  ">",
  "1. ",
  "  ",
  "\t",
  "- [ ] ",
  "a ",
  "# ",
  "| ",
  "[^1]: ",
  "\n",
  "\u00A0",
];
const OPENINGS = ["```", "~~~", "``````", "```\u00A0", "~~~ ", "```\\"];

test("no language of a fence reaches the parser, in whatever it is", () => {
  /** @type {string[]} */
  const languages = [];
  marked.use({ walkTokens: (token) => void (token.type === "code" && languages.push(token.lang ?? "")) });
  let number = 1;
  const random = (/** @type {number} */ below) => {
    number = (number * 48271) % 2147483647;
    return number % below;
  };
  for (let round = 0; round < 5000; round += 1) {
    const prefix = Array.from({ length: random(5) }, () => CONTAINERS[random(CONTAINERS.length)]).join("");
    const indent = random(2) ? prefix.replace(/[^\s>]/g, " ") : "";
    const opening = OPENINGS[random(OPENINGS.length)];
    const before = ["", "a\n", "```\n", "- a\n", "`", "$x$", "~~~md\n"][random(7)];
    marked.parse(
      protect(`${before}${prefix}${opening}mermaid\n${indent}graph TD\n${indent}${opening}\nb`).text,
    );
  }
  assert.ok(languages.length > 1000);
  assert.deepEqual(
    [...new Set(languages)].filter((language) => /^\s*\w/.test(language)),
    [],
  );
});

/** @type {[string, boolean][]} */
const READABLE = [
  ["**a** _b_\n\n".repeat(1500), true],
  ["**a** _b_\n\n".repeat(9999), false],
  [`\`\`\`\n${"a_b * c\n".repeat(9999)}\`\`\`\n`, true],
  [`${"-".repeat(99)}\n`, true],
  [`| a | b |\n|---|---|\n${"| `c` | **d** |\n".repeat(150)}`, true],
  [`${"- **a**: the `b` of [c](d)\n".repeat(200)}`, true],
  ["*a ".repeat(1999), false],
  ["_a*\n".repeat(1999), false],
  ["[a](".repeat(1999), false],
  ["a ".repeat(19_999), false],
  [`a\n${"> ".repeat(50)}b`, false],
  [`a\n${">".repeat(50)}b`, false],
  [`${"- ".repeat(50)}b`, false],
  [`${"1. > ".repeat(25)}b`, false],
  [`${"|".repeat(501)}\n${"|-".repeat(500)}|\n${"|a\n".repeat(1500)}`, false],
  [`> ${"a|".repeat(99)}\n> ${"-|".repeat(99)}\n${"> a\n".repeat(99)}`, false],
  [Array.from({ length: 180 }, (_, i) => "`".repeat(i)).join(" "), false],
  [`[a]: ${"b".repeat(9999)}\n\n${"[a]\n\n".repeat(500)}`, false],
  [`a${"\u0301".repeat(100)}`, false],
  ["กิ่".repeat(1000), true],
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
  ["1. a\n   ```py\nb\n\nc\n", 0, ""],
  ["1. a\n   ```py\nb\n\nc\n```\n\nd\n", 24, ""],
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

// Where marked is quadratic, recurses, or writes much for little.
const CONSTRUCTS = [
  ...UNITS,
  ...["*a\n", "**a ", "~~a ", "_a*", "a**b", "[a]", "[a][b]", "![a](", "[a](<", "[](", "[[", "![["],
  ...[
    "[a]: b\n",
    "[a]: b\n\n[a]\n\n",
    "[a]: b '",
    "[^a]: b\n",
    "&",
    "&a;",
    "&#1;",
    "!",
    "a\\\n",
    "\\|",
    "|\\|",
  ],
  ...["http://a.b.", "www.a ", "a@b.", "a@b-c.", "ftp://a(", "<a b='", "<!--", "<br>", "<sub>", "<http:"],
  ...[
    "-\t\n",
    "-\n-\n",
    "+\n\n",
    "- a\n",
    "- a\n  b\n",
    "* a\n- b\n",
    "1. a\n",
    "1) ",
    "- [ ] a\n",
    "  - a\n",
  ],
  ...[
    "> a\nb\n",
    "> - a\n",
    "- > a\n",
    "# a\n",
    "# #",
    "a\n=\n",
    "a\n-\n",
    "- - ",
    "_ _ ",
    "a  \n",
    "    a\n",
  ],
  ...["|\n|-\n", "a|b\n-|-\n", "|-", "a|\n", "|-:|\n", "`|`", "。**", "é*", "\u00A0", "'", '"', "(", "](b '"],
];

/** @type {Record<string, (length: number) => string>} */
const GROWING = {
  "different runs of backticks": (n) => runs("`", n),
  "different runs of stars": (n) => runs("*", n),
  "a wide table": (n) => `${"|".repeat(n / 4)}\n${"|-".repeat(n / 4)}|\n${"|a\n".repeat(n / 8)}`,
  "a definition that is used": (n) => `[a]: ${"b".repeat(n / 2)}\n\n${"[a] ".repeat(n / 8)}`,
  "definitions that are used": (n) => `${numbered("[a#]: b\n", n / 2)}\n${numbered("[a#]\n\n", n / 2)}`,
  "a nested list": (n) => numbered("#- a\n", n).replace(/\d+/g, (i) => "  ".repeat(Math.min(Number(i), 500))),
  "nested links": (n) => `${"[".repeat(n / 5)}a${"](b)".repeat(n / 5)}`,
  "nested emphasis": (n) => `${"*a ".repeat(n / 6)}b${"* a".repeat(n / 6)}`,
};

/** @param {string} mark @param {number} length */
const runs = (mark, length) =>
  Array.from({ length: Math.sqrt(2 * length) }, (_, i) => mark.repeat(i)).join(" a");

/** @param {string} text @param {number} length */
const numbered = (text, length) =>
  Array.from({ length: length / text.length }, (_, i) => text.replaceAll("#", String(i))).join("");

for (const [at, unit] of CONSTRUCTS.entries()) {
  const other = CONSTRUCTS[(at * 7 + 3) % CONSTRUCTS.length];
  for (const kind of [unit, unit + other, `${unit.repeat(40)}${other}`, `${unit.repeat(30)}\n\n`]) {
    GROWING[JSON.stringify(kind.slice(0, 99))] = (n) => kind.repeat(Math.ceil(n / kind.length));
  }
}

test("the front end's parser reads the longest text it gets in a short time, and writes not much", () => {
  for (const [name, make] of Object.entries(GROWING)) {
    let length = 120_000;
    let safe = protect(make(length));
    for (; !safe.readable && length > 100; safe = protect(make(length))) length = Math.floor(length / 2);
    const html = /** @type {string} */ (marked.parse(safe.text));
    let fastest = Infinity;
    for (let round = 0; round < 5 && fastest > 1500; round += 1) {
      fastest = Math.min(
        fastest,
        milliseconds(() => marked.parse(safe.text)),
      );
    }
    assert.ok(fastest <= 1500, `${name}: ${length} characters take ${fastest} ms`);
    assert.ok(html.length < 30 * 120_000, `${name}: ${length} characters became ${html.length}`);
  }
});

/**
 * Return the processor's time for a call: what else the machine does counts little.
 * @param {() => void} run
 */
function milliseconds(run) {
  const begin = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1000;
}

// Twice the text takes at most three times as long, once the machine is quiet enough to see it.
for (const [name, run] of Object.entries({ protect, finished, settled })) {
  const kinds = UNITS.flatMap((unit) => [
    ["", unit, ""],
    ["", `\`\`\`\n${unit}`, ""],
    ["```\n```", unit, "`"],
  ]);
  for (const [before, unit, after] of kinds) {
    test(`${name} is linear for ${JSON.stringify([before, unit, after])} again and again`, () => {
      const [half, whole] = [150_000, 300_000].map(
        (length) => before + unit.repeat(length / unit.length) + after,
      );
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
