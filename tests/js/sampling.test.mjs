import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { reshape } from "../../di_magics/display/static/sampling.js";
import { answer } from "./positions.mjs";

const CASES = JSON.parse(readFileSync(new URL("../core/sampling_cases.json", import.meta.url), "utf8"));

/** @param {number[]} actual @param {number[]} expected */
function assertClose(actual, expected) {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of actual.entries()) assert.ok(Math.abs(value - expected[i]) < 1e-6, `${actual}`);
}

for (const [name, shares, vocabulary, settings, window, zero, probs, rest, cut, survivors] of CASES) {
  test(name, () => {
    const logprobs = shares.map(Math.log);
    const result = answer({ logprobs, vocabulary, settings, window, zero });
    assertClose(result.probs.flat(), probs.flat());
    assertClose(result.rest, rest);
    assert.deepEqual([result.cut, result.survivors], [cut, survivors]);
  });
}

/** @param {number} seed */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test("a token of the reply that is not among the best has an interval that holds the truth", () => {
  const random = randomNumbers(15);
  for (let run = 0; run < 2000; run++) {
    const size = 12 + Math.floor(random() * 60);
    const logits = Array.from({ length: size }, () => 6 * random() + (random() < 0.2 ? 4 : 0));
    logits.sort((a, b) => b - a);
    const norm = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const all = logits.map((logit) => logit - norm);
    const best = 1 + Math.floor(random() * 10);
    const own = best + Math.floor(random() * (size - best));
    const settings = {
      temperature: [0, 0.5, 1, 1.5][Math.floor(random() * 4)],
      top_k: [0, 3, 20][Math.floor(random() * 3)],
      top_p: [1, 0.95, 0.5][Math.floor(random() * 3)],
      min_p: [0, 0.02, 0.2][Math.floor(random() * 3)],
    };
    const order = ["top_k", "top_p", "min_p", "temperature"].sort(() => random() - 0.5);
    const truth = reshape({ logprobs: all, best: size, vocabulary: size }, settings, order);
    const logprobs = [...all.slice(0, best), all[own]];
    const { low, high, cut } = reshape({ logprobs, best, vocabulary: size }, settings, order);
    const shown = JSON.stringify({ size, best, own, settings, order });
    assert.ok(low[best] <= truth.high[own] + 1e-9 && truth.low[own] <= high[best] + 1e-9, shown);
    if (cut[best]) assert.equal(truth.low[own], 0, shown);
  }
});
