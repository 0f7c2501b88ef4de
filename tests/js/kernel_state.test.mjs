// What a kernel says of itself, as the status bar shows it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeState, readState } from "../../di_magics/labextension/static/kernel_state.js";

const STATE = {
  model: "a/b",
  cost: "$0.01",
  costs: "$0.01 (an estimate)",
  answering: false,
  panel: "a-1_B",
  failed: "c-1",
  above: true,
};

test("a state is read as it is", () => {
  assert.deepEqual(readState(STATE), STATE);
  assert.deepEqual(readState({ ...STATE, answering: true }), { ...STATE, answering: true });
});

test("anything may come from a kernel: what is not a text is none, and a long text is cut", () => {
  for (const data of [null, undefined, 1, "a", [], {}, { cost: 1 }, { cost: {} }]) {
    assert.equal(readState(data), null);
  }
  const wrong = {
    cost: "x".repeat(10_000),
    model: { toString: 1 },
    costs: [1],
    answering: "yes",
    panel: "../x",
    failed: ["c"],
    above: 1,
  };
  assert.deepEqual(readState(wrong), {
    cost: "x".repeat(200),
    model: "",
    costs: "",
    answering: false,
    panel: "",
    failed: "",
    above: false,
  });
});

test("the status bar has the end of the model's name, the cost, and a mark while a reply streams", () => {
  assert.equal(describeState(STATE).text, "b · $0.01");
  assert.equal(describeState({ ...STATE, answering: true }).text, "● b · $0.01");
  assert.equal(describeState({ ...STATE, model: "", cost: "—" }).text, "Chat · —");
  assert.match(describeState(STATE).title, /a\/b.*an estimate/);
});
