// The front end's packages, found as webpack's module federation finds them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findPlugins, loadPackage } from "../../di_magics/labextension/static/extension.js";

/** @param {string} name */
const version = (name, loaded = false) => ({ get: async () => () => name, loaded });

test("the version in use comes before a newer one", async () => {
  const scope = { a: { "6.9.0": version("old", true), "6.10.0": version("new") } };
  assert.equal(await loadPackage(scope, "a"), "old");
});

test("else it is the newest", async () => {
  const scope = { a: { "6.9.0": version("old"), "6.10.0": version("new"), "6.2.1": version("oldest") } };
  assert.equal(await loadPackage(scope, "a"), "new");
});

test("a front end without the packages gets no plugins", async () => {
  await assert.rejects(loadPackage({}, "a"), /no a/);
  assert.deepEqual(await findPlugins({}), []);
});
