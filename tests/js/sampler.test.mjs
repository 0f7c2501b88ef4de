import assert from "node:assert/strict";
import { test } from "node:test";
import { describeDraws, describeSettings, filtersOn, OFF } from "../../di_magics/display/static/sampler.js";

const ORDER = ["penalties", "top_k", "top_p", "min_p", "temperature"];

/** @param {[number, number][]} shares @param {[number, number]} rest */
const position = (shares, rest) => ({
  low: Float64Array.from(shares, ([low]) => low),
  high: Float64Array.from(shares, ([, high]) => high),
  rest,
});

test("the filters that are on have their order, and temperature 0 is one of them", () => {
  assert.deepEqual(filtersOn(OFF, ORDER), []);
  const values = { ...OFF, min_p: 0.1, top_k: 3, temperature: 0, presence_penalty: 1 };
  assert.deepEqual(filtersOn(values, ORDER), ["top_k", "min_p", "temperature 0"]);
  assert.deepEqual(filtersOn(values, ["temperature", "min_p"]), ["temperature 0", "min_p"]);
});

test("continued replies say with which settings, and in which order where it was sent", () => {
  const values = { ...OFF, temperature: 1.5, repeat_penalty: 1.1 };
  assert.equal(
    describeSettings(values, ["temperature", "top_k"], true),
    "Continued with temperature 1.5, repetition_penalty 1.1, in the order temperature, top_k.",
  );
  assert.equal(describeSettings(OFF, ORDER, false), "Continued with temperature 1.");
});

test("where only the likeliest token can be drawn, the replies are alike", () => {
  for (const name of ["temperature", "top_k"]) {
    const text = describeSettings({ ...OFF, [name]: name === "top_k" ? 1 : 0 }, ORDER, true);
    assert.match(text, /Only the likeliest token can be drawn, so all are alike\.$/);
  }
  assert.match(describeSettings({ ...OFF, temperature: 0 }, ORDER, false), /so they may all be alike\.$/);
  assert.doesNotMatch(describeSettings({ ...OFF, top_k: 1 }, ["temperature"], true), /alike/);
});

test("drawn tokens are compared with what is known, and not with a range", () => {
  const draws = {
    counts: new Map([
      [0, 700],
      [-1, 300],
    ]),
    total: 1000,
  };
  assert.equal(
    describeDraws(position([[0.6, 0.6]], [0.4, 0.4]), draws),
    "1,000 drawn: 10.0 % away from the theory",
  );
  assert.equal(
    describeDraws(position([[0.5999, 0.6001]], [0.3999, 0.4001]), draws),
    "1,000 drawn: 10.0 % away from the theory",
  );
  assert.equal(
    describeDraws(position([[0.58, 0.62]], [0.38, 0.42]), draws),
    "1,000 drawn: 10.0 % away from the theory, which is known to 4.0 %",
  );
  assert.equal(
    describeDraws(position([[0.2, 0.7]], [0.3, 0.8]), draws),
    "1,000 drawn from the middle of the ranges: not comparable, because the theory is only known as ranges",
  );
});
