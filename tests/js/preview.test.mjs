import assert from "node:assert/strict";
import { test } from "node:test";
import { lastPosition, offerPosition, watchPositions } from "../../di_magics/display/static/looked.js";
import { leftOut, previewSettings } from "../../di_magics/display/static/preview.js";
import { OFF } from "../../di_magics/display/static/sampler.js";

/** @param {number} at @returns {any} */
const looked = (at) => ({ at });

test("a notebook's panels see the last position of its own lenses", () => {
  const [one, other] = [{}, {}];
  const lens = { widget_manager: one };
  assert.equal(lastPosition({ widget_manager: one }), undefined);
  offerPosition(lens, looked(1));
  offerPosition({ widget_manager: other }, looked(9));
  offerPosition(lens, looked(2));
  assert.equal(lastPosition({ widget_manager: one })?.at, 2);
  assert.equal(lastPosition({ widget_manager: other })?.at, 9);
});

test("a panel is told of a new position until it is closed", () => {
  let times = 0;
  const model = { widget_manager: {} };
  const stop = watchPositions(() => times++);
  offerPosition(model, looked(1));
  assert.equal(times, 1);
  stop();
  offerPosition(model, looked(2));
  assert.equal(times, 1);
});

test("a widget without a notebook neither offers nor sees a position", () => {
  offerPosition({}, looked(1));
  assert.equal(lastPosition({}), undefined);
});

test("the panel's settings have the sampler's names, and what is not a number is off", () => {
  const panel = { temperature: 0.5, repetition_penalty: 1.3, top_k: Number.NaN, seed: 4, max_tokens: 9 };
  assert.deepEqual(previewSettings(panel, {}), { ...OFF, temperature: 0.5, repeat_penalty: 1.3 });
});

test("a default that is not known is named", () => {
  const panel = { temperature: 1, top_p: Number.NaN, min_p: Number.NaN, seed: Number.NaN };
  assert.deepEqual(leftOut(panel, {}), [
    "Off here, because the server's default is not known: top_p, min_p.",
  ]);
});

test("a setting that cannot be shown is off, with its reason where the panel has it on", () => {
  const disabled = { repeat_penalty: "It needs the logits.", top_p: "It is applied." };
  const panel = { temperature: 2, repetition_penalty: 1.3, top_p: 1 };
  assert.deepEqual(previewSettings(panel, disabled), { ...OFF, temperature: 2 });
  assert.deepEqual(leftOut(panel, disabled), ["repetition_penalty is left out here. It needs the logits."]);
});
