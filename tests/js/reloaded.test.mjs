// A page that is loaded while a reply streams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { followReloaded } from "../../di_magics/labextension/static/reloaded.js";

const ID = "0123456789-_";
const WIDGET = "application/vnd.jupyter.widget-view+json";

/** Return a signal: `emit` calls who listens. @returns {any} */
function signal() {
  /** @type {((sender: any, value: any) => void)[]} */
  const slots = [];
  return {
    connect: (/** @type {any} */ slot) => slots.push(slot),
    emit: (/** @type {any} */ value) => {
      for (const slot of slots) slot(null, value);
    },
  };
}

/** @param {string} msg_type @param {object} [content] @returns {any} */
const message = (msg_type, content = {}) => ({ header: { msg_type }, channel: "shell", content });

/** Return the kernel of a notebook with this output, and what was sent to it. @param {object} data */
function open(data) {
  /** @type {any[]} */
  const outputs = [{ data }];
  /** @type {any[]} */
  const sent = [];
  const send = (/** @type {any} */ sending) => sent.push(sending);
  /** @type {any} */
  const kernel = {
    sendShellMessage: send,
    _sendMessage: send,
    anyMessage: signal(),
    statusChanged: signal(),
  };
  const list = {
    length: outputs.length,
    get: (/** @type {number} */ at) => outputs[at],
    set: (/** @type {number} */ at, /** @type {any} */ output) => {
      outputs[at] = output;
    },
  };
  /** @type {any} */
  const tracker = { widgetAdded: signal() };
  const sessionContext = { kernelChanged: signal() };
  followReloaded(tracker, (/** @type {any} */ options) => message(options.msgType));
  tracker.widgetAdded.emit({ content: { model: { cells: [{ outputs: list }, {}] } }, sessionContext });
  sessionContext.kernelChanged.emit({ newValue: kernel });
  const receive = (/** @type {any} */ msg) => kernel.anyMessage.emit({ msg });
  return { kernel, send, sent, outputs, receive };
}

test("a notebook without the widget of a reply is left alone", () => {
  for (const data of [{}, { "text/plain": "x" }, { [WIDGET]: { model_id: "0".repeat(32) } }]) {
    const { kernel, send } = open(data);
    assert.equal(kernel.sendShellMessage, send);
  }
});

test("the first questions go on the control channel, what widgets send to a subshell", () => {
  const { kernel, sent, receive } = open({ [WIDGET]: { model_id: ID } });
  const [info, early, late, above, run] = ["kernel_info_request", "comm_open", "comm_msg", "comm_msg"]
    .map((type) => message(type))
    .concat(message("execute_request"));
  above.content = { data: { above: [] } };
  kernel.sendShellMessage(info);
  kernel.sendShellMessage(early);
  receive(message("create_subshell_reply", { subshell_id: "s" }));
  for (const each of [late, above, run]) kernel.sendShellMessage(each);
  assert.deepEqual(
    sent.map(({ header, channel }) => [header.msg_type, channel, header.subshell_id]),
    [
      ["create_subshell_request", "shell", undefined],
      ["kernel_info_request", "control", undefined],
      ["comm_open", "shell", "s"],
      ["comm_msg", "shell", "s"],
      ["comm_msg", "shell", undefined],
      ["execute_request", "shell", undefined],
    ],
  );
});

test("a kernel that is restarted has no such subshell", () => {
  const { kernel, send } = open({ [WIDGET]: { model_id: ID } });
  assert.notEqual(kernel.sendShellMessage, send);
  kernel.statusChanged.emit("busy");
  assert.notEqual(kernel.sendShellMessage, send);
  kernel.statusChanged.emit("restarting");
  assert.equal(kernel.sendShellMessage, send);
});

test("the final output takes the place of the widget with its id, and of no other", () => {
  const { outputs, receive } = open({ [WIDGET]: { model_id: ID } });
  const final = { data: { "text/plain": "all" }, metadata: { di_magics: {} } };
  for (const transient of [undefined, {}, { display_id: "other" }]) {
    receive(message("update_display_data", { ...final, transient }));
  }
  assert.ok(outputs[0].data[WIDGET]);
  receive(message("update_display_data", { ...final, transient: { display_id: ID } }));
  assert.deepEqual(outputs, [{ output_type: "display_data", ...final }]);
});
