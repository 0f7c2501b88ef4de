import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cutTexts, describeRemovals, entropyBounds } from "../../di_magics/display/static/alternatives.js";
import { FILTER_NAMES, reshape } from "../../di_magics/display/static/reshape.js";
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

/**
 * Return a random position twice, with its whole vocabulary and with its best tokens, and settings.
 * @param {() => number} random
 */
function randomPosition(random) {
  const size = 12 + Math.floor(random() * 60);
  const spread = [1, 3, 6][Math.floor(random() * 3)];
  const logits = Array.from({ length: size }, () => spread * random() + (random() < 0.2 ? 4 : 0));
  logits.sort((a, b) => b - a);
  const norm = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  const logprobs = logits.map((logit) => logit - norm);
  const best = 1 + Math.floor(random() * 10);
  const times = logprobs.map(() => (random() < 0.2 ? 1 + Math.floor(random() * 3) : 0));
  const penalised = random() < 0.5;
  const settings = {
    temperature: [0, 0.5, 1, 1, 1.5][Math.floor(random() * 5)],
    top_k: [0, 3, 20, 40][Math.floor(random() * 4)],
    top_p: [1, 0.95, 0.5][Math.floor(random() * 3)],
    min_p: [0, 0.02, 0.2][Math.floor(random() * 3)],
    presence_penalty: penalised ? [0.5, -0.5][Math.floor(random() * 2)] : 0,
    frequency_penalty: penalised ? 0.5 : 0,
  };
  const order = ["penalties", "top_k", "top_p", "min_p", "temperature"].sort(() => random() - 0.5);
  const others = times.slice(best).filter((count) => count > 0);
  const whole = { logprobs, best: size, vocabulary: size, counts: times, others: [] };
  const known = { logprobs: logprobs.slice(0, best), best, vocabulary: size, counts: times, others };
  return { whole, known, settings, order };
}

test("what each filter removed is in its interval, and no other filter is named", () => {
  const random = randomNumbers(7);
  let [open, closed, certain] = [0, 0, 0];
  for (let run = 0; run < 4000; run++) {
    const { whole, known, settings, order } = randomPosition(random);
    const truth = reshape(whole, settings, order);
    const now = reshape(known, settings, order);
    const shown = JSON.stringify({ whole, best: known.best, settings, order });
    if (truth.unsure.some(Boolean)) continue; // closer to a limit than the arithmetic
    const removed = FILTER_NAMES.map(() => 0);
    for (const [i, filter] of truth.cut.entries()) {
      const possible = i < known.best ? now.unsure[i] | (now.cut[i] && 1 << now.cut[i]) : now.restCut;
      if (filter) assert.ok(possible & (1 << filter), `${i} ${shown}`);
      if (i >= known.best) removed[filter] += Math.exp(whole.logprobs[i]);
    }
    for (const [filter, [low, high]] of now.removed.entries()) {
      if (!filter) continue;
      assert.ok(low - 4e-4 <= removed[filter] && removed[filter] <= high + 1e-5, `${filter} ${shown}`);
      certain += Number(low > 0.01);
    }
    assert.ok(now.atMost >= (truth.survivors ?? 0), shown);
    if (now.rest[1] === 0) closed += 1;
    else open += 1;
  }
  assert.ok(open > 500 && closed > 500 && certain > 300, `${open} ${closed} ${certain}`);
});

test("the entropy is in its interval, which the number of tokens that can be left bounds", () => {
  const random = randomNumbers(8);
  for (let run = 0; run < 4000; run++) {
    const { whole, known, settings, order } = randomPosition(random);
    const truth = reshape(whole, settings, order);
    const now = reshape(known, settings, order);
    if (!truth.exact) continue; // closer to a limit than the arithmetic
    let bits = 0;
    for (const share of truth.high) if (share > 0) bits -= share * Math.log2(share);
    const [least, most] = entropyBounds(now);
    const shown = `${bits} ${least} ${most} ${JSON.stringify({ whole, best: known.best, settings, order })}`;
    assert.ok(least <= bits + 0.01 && bits <= most + 0.01, shown);
    assert.ok(most <= Math.log2(now.atMost), shown);
  }
  const flat = { logprobs: Array(20).fill(Math.log(0.01)), best: 20, vocabulary: null };
  const [, most] = entropyBounds(reshape(flat, { top_k: 40 }, ["top_k"]));
  assert.equal(most, Math.log2(40));
});

test("top_k comes first: min_p is not named as the filter that cut all others", () => {
  const logprobs = [0.223, ...Array(19).fill(0.0331)].map(Math.log);
  const position = { logprobs, best: 20, vocabulary: 32000 };
  const settings = { temperature: 1, top_k: 40, top_p: 0.95, min_p: 0.2 };
  const now = reshape(position, settings, ["top_k", "top_p", "min_p"]);
  assert.deepEqual(now.rest, [0, 0]);
  const model = reshape(position, {}, []);
  assert.equal(
    describeRemovals(model, now, ["top_k", "top_p", "min_p"]),
    " Removed in this order, of the model's probability: at most 14.8 % by top_k, at most 8.31 % by top_p, 59.6–77.7 % by min_p.",
  );
});

test("a flat position says what is removed at least, though tokens may be left that are not known", () => {
  const position = { logprobs: Array(20).fill(Math.log(0.01)), best: 20, vocabulary: 32000 };
  const settings = { temperature: 1, top_k: 40, top_p: 0.95, min_p: 0.05 };
  const now = reshape(position, settings, ["top_k", "top_p", "min_p"]);
  assert.equal(now.atMost, 40);
  assert.match(
    describeRemovals(reshape(position, {}, []), now, ["top_k", "top_p", "min_p"]),
    /: 60\.0–80\.0 % by top_k, at most /,
  );
});

test("a token that a penalty lowered and a filter cut names both", () => {
  const position = { logprobs: [0.9, 0.1].map(Math.log), best: 2, vocabulary: 2, counts: [1, 0] };
  const settings = { temperature: 1, top_k: 0, top_p: 1, min_p: 0.5, presence_penalty: 5 };
  const now = reshape(position, settings, ["penalties", "min_p"]);
  assert.equal(
    describeRemovals(reshape(position, {}, []), now, ["min_p"]),
    " Removed, of the model's probability: 90.0 % by min_p after the penalty.",
  );
});

test("a filter for which the ones before it left nothing to remove is named as such", () => {
  const position = { logprobs: [0.6, 0.3, 0.07, 0.03].map(Math.log), best: 4, vocabulary: 4 };
  const model = reshape(position, {}, []);
  /** @param {string[]} order @param {string[]} [filters] */
  const removals = (order, filters = order) => {
    const settings = { temperature: 1, top_k: 2, top_p: 0.99, min_p: 0.2 };
    return describeRemovals(model, reshape(position, settings, order), filters).split(": ")[1];
  };
  assert.equal(removals(["top_k", "min_p"]), "10.0 % by top_k, nothing more by min_p.");
  assert.equal(removals(["min_p", "top_k"]), "10.0 % by min_p, nothing more by top_k.");
  assert.equal(removals(["top_p", "top_k"]), "nothing by top_p, 10.0 % by top_k.");
  assert.equal(removals(["min_p"], []), undefined);
});

test("the reason beside a bar is short, and whole as its title", () => {
  const [top_k, top_p, min_p] = [2, 4, 8];
  assert.deepEqual(cutTexts(top_k), { short: "cut by top_k", full: "cut by top_k" });
  assert.deepEqual(cutTexts(top_p | min_p), { short: "top_p/min_p", full: "cut by top_p or min_p" });
  assert.deepEqual(cutTexts(min_p, 1), { short: "penalty, min_p", full: "cut by min_p after the penalty" });
});
