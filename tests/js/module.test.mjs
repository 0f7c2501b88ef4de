// What display/widgets.py leaves out of the scripts changes nothing: the syntax tree is the same.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STATIC = `${ROOT}/di_magics/display/static`;
const CUT =
  "from di_magics.display.widgets import _LEFT_OUT as cut; import sys; print(cut.sub('', sys.stdin.read()))";
const python = process.env.PYTHON ?? "python3";

/**
 * Return a script's tokens; white space within a template is one space.
 * @param {string} source
 */
function tokens(source) {
  const file = ts.createSourceFile("a.js", source, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
  /** @param {ts.Node} node @returns {string[]} */
  const tokensOf = (node) => {
    const { kind } = node;
    if (ts.isImportDeclaration(node) || ts.isJSDoc(node) || kind === ts.SyntaxKind.ExportKeyword) return [];
    const children = [...node.getChildren(file)];
    if (children.at(-1)?.kind === ts.SyntaxKind.CommaToken) children.pop();
    if (children.length) return children.flatMap(tokensOf);
    const text = node.getText(file);
    return [ts.isTemplateLiteralToken(node) ? text.replace(/\s+/g, "") : text];
  };
  return tokensOf(file).filter(Boolean);
}

for (const name of readdirSync(STATIC).filter((file) => file.endsWith(".js"))) {
  test(`${name} means the same after the cut`, () => {
    const source = readFileSync(`${STATIC}/${name}`, "utf8");
    const cut = execFileSync(python, ["-c", CUT], { cwd: ROOT, encoding: "utf8", input: source });
    assert.ok(cut.length < source.length);
    assert.deepEqual(tokens(cut), tokens(source));
  });
}
