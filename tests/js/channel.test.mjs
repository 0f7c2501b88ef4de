import assert from "node:assert/strict";
import { test } from "node:test";

const { channel, fold } = await import("../../di_magics/display/static/channel.js");

/** @typedef {import("../../di_magics/display/static/channel.js").Message} Message */

class Page {
  /** @type {Message} */
  state = { n: -1, missed: 0, status: "" };
  text = "";

  /** @param {Message} message @returns whether it asks for the whole */
  receive(message) {
    return fold(this.state, message, ({ text = "" }, whole) => {
      this.text = whole ? text : this.text + text;
    });
  }
}

/** The kernel's end: every message has the next number. */
class Kernel {
  n = -1;
  text = "";

  /** @param {string} text */
  delta(text) {
    this.text += text;
    this.n += 1;
    return { type: "delta", n: this.n, text };
  }

  whole() {
    this.n += 1;
    return { type: "whole", n: this.n, text: this.text };
  }
}

test("deltas add up, and a whole replaces what was there", () => {
  const [kernel, page] = [new Kernel(), new Page()];
  for (const message of [kernel.whole(), kernel.delta("a"), kernel.delta("b"), kernel.whole()]) {
    assert.equal(page.receive(message), false);
  }
  assert.equal(page.text, "ab");
});

test("a message that was there already is ignored", () => {
  const [kernel, page] = [new Kernel(), new Page()];
  const messages = [kernel.delta("a"), kernel.whole(), kernel.delta("b")];
  for (const message of [...messages, ...messages, messages[0]]) assert.equal(page.receive(message), false);
  assert.equal(page.text, "ab");
});

test("the whole is asked for once where a delta is lost, and again if no answer comes", () => {
  const [kernel, page] = [new Kernel(), new Page()];
  page.receive(kernel.delta("a"));
  kernel.delta("lost");
  const asked = Array.from({ length: 100 }, () => page.receive(kernel.delta("b")));
  assert.equal(page.text, "a");
  assert.deepEqual(
    asked.flatMap((again, i) => (again ? [i] : [])),
    [0, 60],
  );
  assert.equal(page.receive(kernel.whole()), false);
  assert.equal(page.receive(kernel.delta("c")), false);
  assert.equal(page.text, kernel.text);
});

test("a delta that comes after a later whole is ignored", () => {
  const [kernel, page] = [new Kernel(), new Page()];
  const [late, whole] = [kernel.delta("a"), kernel.whole()];
  assert.deepEqual([page.receive(whole), page.receive(late)], [false, false]);
  assert.equal(page.text, "a");
});

test("a message without a number changes no text", () => {
  const [kernel, page] = [new Kernel(), new Page()];
  page.receive({ ...kernel.delta("a"), status: "m" });
  page.receive({ type: "ack" });
  page.receive({ type: "end" });
  page.receive({ type: "of a later version", text: "x" });
  const { acknowledged, ended, status, n } = page.state;
  assert.deepEqual([page.text, acknowledged, ended, status, n], ["a", true, true, "m", 0]);
});

test("a whole of an ended stream ends it", () => {
  const page = new Page();
  page.receive({ type: "whole", n: 7, text: "all", ended: true, status: "away" });
  assert.deepEqual([page.text, page.state.ended, page.state.status], ["all", true, "away"]);
});

/** @param {number} seed a generator of numbers from 0 to 1 that can be repeated */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (1664525 * state + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

for (let seed = 0; seed < 200; seed += 1) {
  test(`what is lost, repeated or out of order is made good by one whole (${seed})`, () => {
    const [kernel, page, random] = [new Kernel(), new Page(), randomOf(seed)];
    /** @type {Message[]} */
    let underway = [];
    for (let step = 0; step < 80; step += 1) {
      underway.push(random() < 0.1 ? kernel.whole() : kernel.delta(`${step} `));
      if (random() < 0.3) continue;
      const before = page.state.n;
      const asks = underway
        .filter(() => random() > 0.2)
        .flatMap((message) => (random() < 0.2 ? [message, message] : [message]))
        .sort(() => (random() < 0.8 ? 0 : random() - 0.5))
        .map((message) => page.receive(message));
      underway = [];
      assert.ok(page.state.n >= before);
      if (page.state.n === kernel.n) assert.equal(page.text, kernel.text);
      if (asks.includes(true) && random() < 0.7) page.receive(kernel.whole());
    }
    page.receive(kernel.delta("the last"));
    if (page.state.missed) page.receive(kernel.whole());
    assert.equal(page.text, kernel.text);
  });
}

/** A signal of a kernel, as Lumino has them. */
class Signal {
  /** @type {Set<(sender: any, value: string) => void>} */
  slots = new Set();
  /** @param {any} slot */
  connect = (slot) => this.slots.add(slot);
  /** @param {any} slot */
  disconnect = (slot) => this.slots.delete(slot);
  /** @param {string} value */
  emit = (value) => {
    for (const slot of [...this.slots]) slot(null, value);
  };
}

/** A model of a widget; returns it, what it has sent, and how the kernel sends to it. */
function connectModel() {
  /** @type {string[]} */
  const sent = [];
  /** @type {any} */
  let receive;
  const kernel = { connectionStatusChanged: new Signal(), statusChanged: new Signal() };
  const model = {
    widget_manager: { kernel },
    /** @param {Message} message */
    send: ({ type }) => sent.push(String(type)),
    /** @param {string} _ @param {any} slot */
    on: (_, slot) => {
      receive = slot;
    },
    off: () => {},
  };
  return { model, kernel, sent, receive: (/** @type {Message} */ message) => receive(message) };
}

/** @type {Record<string, (page: any) => void>} */
const ENDS = {
  "the end comes": ({ receive }) => receive({ type: "end" }), // no view is left
  "a whole comes": ({ receive }) => receive({ type: "whole", n: 1 }),
  "the widget is closed": ({ close }) => close(),
  "the kernel is restarted": ({ kernel }) => kernel.statusChanged.emit("restarting"),
};
for (const [name, end] of Object.entries(ENDS)) {
  test(`a page that is connected again asks more and more rarely, until ${name}`, (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { model, kernel, sent, receive } = connectModel();
    const close = channel(() => {}, "restarted").listen(model);
    t.mock.timers.tick(300);
    assert.deepEqual(sent.splice(0), ["here"]);
    for (const status of ["connecting", "connected"]) kernel.connectionStatusChanged.emit(status);
    receive({ type: "delta", n: 0 }); // sent before
    for (let ms = 0; ms < 2000; ms += 100) t.mock.timers.tick(100); // after 300, 900 and 2,100 ms
    assert.deepEqual(sent.splice(0), ["again", "again"]);
    end({ receive, close, kernel });
    sent.length = 0;
    t.mock.timers.tick(60_000);
    assert.deepEqual(sent, []);
  });
}

test("the end is seen when the final output has replaced the views, and asked for until then", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { model, sent, receive } = connectModel();
  const { listen, watch } = channel(() => {}, "restarted");
  listen(model);
  t.mock.timers.tick(300);
  sent.length = 0;
  const el = /** @type {any} */ ({ parentElement: null, style: {}, closest: () => null });
  const replace = watch(el, () => {});
  receive({ type: "end" });
  t.mock.timers.tick(1000);
  receive({ type: "whole", n: 9, ended: true });
  assert.deepEqual(sent.splice(0), ["again"]);
  replace();
  t.mock.timers.tick(60_000);
  assert.deepEqual(sent, ["seen"]);
});

test("a page without an output to replace has seen the end at the third one", () => {
  const { model, sent, receive } = connectModel();
  const { listen, watch } = channel(() => {}, "restarted");
  const close = listen(model);
  watch(/** @type {any} */ ({ parentElement: null, style: {}, closest: () => null }), () => {});
  for (let end = 0; end < 3; end += 1) receive({ type: "end" });
  close();
  assert.deepEqual(sent, ["seen"]);
});
