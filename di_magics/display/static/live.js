// @ts-check
// The live view of a reply: deltas in, formatted text out.
import { element, lockHeight, show } from "./dom.js";
import { whenGone } from "./kernel.js";
import { LIVE_STYLE, MATH_OFF, Painter } from "./painter.js";

/** @typedef {{ thought: string, text: string, calls: string[][] }} Round */

/** @param {string} summary @param {...HTMLElement} texts */
const fold = (summary, ...texts) =>
  element("details", { className: "di-thought" }, element("summary", { textContent: summary }), ...texts);

/**
 * Draw a tool-call or repair step: the model's message and the answers. Folds that are open stay open.
 * @param {HTMLElement} root
 * @param {Round} round
 * @param {any} renderer
 */
function drawRound(root, round, renderer) {
  if (!root.firstChild) {
    if (round.thought) root.append(fold("Reasoning", element("pre", { textContent: round.thought })));
    const text = root.appendChild(element("div", { className: `di-text ${MATH_OFF}` }));
    if (round.text) new Painter(text, renderer).draw(round.text);
    root.append(...round.calls.map(([line, ...texts]) => fold(line, ...texts.map(() => element("pre")))));
  }
  const folds = [...root.children].slice(-round.calls.length || root.children.length);
  for (const [at, texts] of round.calls.entries()) {
    for (const [part, text] of texts.entries()) {
      show(/** @type {HTMLElement} */ (folds[at].children[part]), text);
    }
  }
}

export default () => {
  const reply = {
    text: "",
    thought: "",
    before: /** @type {Round[]} */ ([]),
    round: 0,
    status: "",
    number: -1,
    missing: false,
    acknowledged: false,
    ended: false,
    stopping: false,
  };
  /** @type {Set<{ update: () => void, lock: () => void }>} */
  const views = new Set();
  const update = () => {
    for (const view of views) view.update();
  };

  /** @param {any} model @param {any} message */
  const take = (model, message) => {
    if (message.type === "delta") {
      if (message.n <= reply.number) return false;
      if (message.n > reply.number + 1) {
        const asked = reply.missing;
        reply.missing = true;
        return asked ? false : "again";
      }
      reply.number = message.n;
      reply.text += message.text ?? "";
      reply.thought += message.thought ?? "";
    } else if (message.type === "whole") {
      if (message.n < reply.number) return false;
      if (message.before.length !== reply.before.length) reply.round += 1; // its text begins anew
      Object.assign(reply, {
        number: message.n,
        text: message.text,
        thought: message.thought,
        before: message.before,
        missing: false,
      });
    } else if (message.type === "ack") reply.acknowledged = true;
    else if (message.type === "ended") reply.ended = true;
    else if (message.type === "end") {
      reply.ended = true;
      model.send({ type: "seen" }); // the final output is on its way to this page
    }
    if (message.status) reply.status = message.status;
    return true;
  };

  /** @param {any} model */
  const stop = (model) => {
    reply.stopping = true;
    const kernel = model.widget_manager?.kernel;
    if (kernel) kernel.hasPendingInput = false; // Stop answers a question, too; no cell runs before that
    model.send({ type: "stop" });
    // Where comm messages wait for the cell, only an interrupt gets through.
    setTimeout(() => {
      if (!reply.acknowledged && !reply.ended) kernel?.interrupt();
    }, 300);
  };

  return {
    /** @param {{ model: any }} props */
    initialize({ model }) {
      const forget = whenGone(model, () => {
        Object.assign(reply, {
          ended: true,
          status: "the kernel was restarted; %chat show has what had come",
        });
        update();
      });
      /** @param {any} message */
      const listen = (message) => {
        if (message.type === "lock") for (const view of views) view.lock();
        const news = take(model, message);
        if (news === "again") model.send({ type: "again" });
        if (news) update();
      };
      model.on("msg:custom", listen);
      reply.status = model.get("line"); // the rest, if some came before this, is sent again
      // What is sent before there is a subshell for it waits for the cell.
      setTimeout(() => reply.ended || model.send({ type: "here" }), 300);
      return () => {
        model.off("msg:custom", listen);
        forget();
      };
    },

    /** @param {{ model: any, el: HTMLElement }} props */
    render({ model, el }) {
      const thought = element("pre");
      const details = fold("Reasoning", thought);
      details.hidden = true;
      const before = element("div");
      const text = element("div", { className: `di-text ${MATH_OFF}` });
      const button = element("button", { className: "di-stop", type: "button", textContent: "Stop" });
      const status = element("span", { className: "di-status", role: "status" });
      const bar = element("div", { className: "di-bar" }, button, status);
      const style = element("style", { textContent: LIVE_STYLE });
      el.replaceChildren(element("div", { className: "di-live" }, style, before, details, text, bar));
      const renderer = model.get("plain") ? null : model.widget_manager?.rendermime;
      let painter = new Painter(text, renderer);
      let round = 0;

      const view = {
        update() {
          for (const [at, step] of reply.before.entries()) {
            const root = before.children[at] ?? before.appendChild(element("div"));
            drawRound(/** @type {HTMLElement} */ (root), step, renderer);
          }
          if (round !== reply.round) {
            round = reply.round;
            painter.gone = true;
            text.replaceChildren();
            thought.textContent = "";
            painter = new Painter(text, renderer);
          }
          const known = thought.textContent?.length ?? 0;
          if (reply.thought.length > known) thought.append(reply.thought.slice(known));
          details.hidden = !reply.thought;
          show(status, reply.stopping ? "stopping …" : reply.status);
          button.disabled = reply.stopping;
          button.hidden = reply.ended;
          if (reply.text && painter.text !== reply.text) painter.draw(reply.text);
        },
        lock: () => lockHeight(el),
      };
      button.addEventListener("click", () => {
        stop(model);
        view.update();
      });
      views.add(view);
      view.update();
      return () => {
        painter.gone = true;
        views.delete(view);
      };
    },
  };
};
