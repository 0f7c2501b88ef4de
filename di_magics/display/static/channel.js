// @ts-check
// The page's end of the stream protocol, which display/channel.py explains.
import { element, lockHeight, show } from "./dom.js";
import { whenBack, whenGone } from "./kernel.js";

const ANSWER_MS = 300;
/** How long Stop waits for an answer; a busy machine needs its time. */
const STOP_MS = 1000;
/** How long the final output may take to replace the views. */
const REPLACE_MS = 1000;
/** After so many a page assumes that it was reloaded, and has no output to replace. */
const ENDS = 3;
const ASK_AGAIN = 60; // after so many deltas that do not fit

/** @typedef {{ type?: string, n?: any, [field: string]: any }} Message */

/**
 * Fold a message into the state: `n` is the last number, `missed` counts deltas that did not fit.
 * @param {Message} state
 * @param {Message} message
 * @param {(fields: Message, whole: boolean) => void} add takes in what a whole or a delta holds
 * @returns {boolean} whether the whole must be asked for
 */
export function fold(state, message, add) {
  const { type, n, status } = message;
  const whole = type === "whole";
  if (whole || type === "delta") {
    if (n <= state.n) return false;
    if (!whole && n > state.n + 1) return state.missed++ % ASK_AGAIN === 0;
    state.n = n;
    state.missed = 0;
    add(message, whole);
  }
  state.acknowledged ||= type === "ack";
  state.ended ||= type === "end" || message.ended;
  state.status = status ?? state.status;
  return false;
}

/**
 * Return a channel: its `state`, and what connects it to a model and to the views of it.
 * @param {(fields: Message, whole: boolean) => void} add
 * @param {string} restarted the status when the kernel was restarted
 */
export function channel(add, restarted) {
  /** @type {Message} */
  const state = { n: -1, missed: 0, status: "", stopping: new Set() };
  /** @type {Map<HTMLElement, () => void>} */
  const views = new Map();
  let ends = 0;
  let confirmEnd = () => {};
  const update = () => {
    for (const draw of views.values()) draw();
  };
  return {
    state,

    /** @param {any} model */
    listen(model) {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let asking;
      /** @param {number} wait milliseconds, twice as many each time */
      const ask = (wait) => {
        clearTimeout(asking);
        asking = setTimeout(() => {
          model.send({ type: "again" });
          ask(2 * wait);
        }, wait);
      };
      /** @param {Message} message */
      const receive = (message) => {
        if (fold(state, message, add)) model.send({ type: "again" });
        // A delta is no answer: Jupyter Server may have stored it while the page was away. After the end
        // only the final output counts.
        if (message.type === "whole" && !ends) clearTimeout(asking);
        if (message.type === "end") {
          for (const el of views.keys()) lockHeight(el);
          ends += 1;
          if (views.size && ends < ENDS) ask(REPLACE_MS);
          else confirmEnd();
        }
        update();
      };
      model.on("msg:custom", receive);
      const forgetConnection = whenBack(model, () => ask(ANSWER_MS));
      const stopAsking = () => {
        clearTimeout(asking);
        forgetConnection();
        confirmEnd = () => {};
      };
      confirmEnd = () => {
        stopAsking();
        model.send({ type: "seen" });
      };
      const forget = whenGone(model, () => {
        stopAsking();
        Object.assign(state, { ended: true, status: restarted });
        update();
      });
      // What is sent before there is a subshell for it waits for the cell.
      setTimeout(() => state.ended || model.send({ type: "here" }), ANSWER_MS);
      return () => {
        model.off("msg:custom", receive);
        stopAsking();
        forget();
      };
    },

    /**
     * Return a bar with a status line and a button that stops one run of a grid, or everything.
     * @param {any} model @param {string} name @param {number} [run] @param {string} [label] of the run
     */
    stopBar(model, name, run, label = "") {
      const button = element("button", { className: "di-stop", type: "button", textContent: name });
      const line = element("span", { className: "di-status" });
      if (label) button.setAttribute("aria-label", `${name} ${label}`);
      else line.role = "status";
      button.addEventListener("click", () => {
        const kernel = model.widget_manager?.kernel;
        if (kernel) kernel.hasPendingInput = false; // Stop answers a question, too; no cell runs before that
        model.send({ type: "stop", run });
        state.stopping.add(run);
        update();
        // Where comm messages wait for the cell, only an interrupt gets through. It would stop all runs.
        if (run !== undefined) return;
        setTimeout(() => state.acknowledged || state.ended || kernel?.interrupt(), STOP_MS);
        // The button goes, and its cell has the keys again.
        /** @type {HTMLElement | null} */ (button.closest("[tabindex]"))?.focus({ preventScroll: true });
      });
      return {
        bar: element("div", { className: "di-bar" }, button, line),
        /** @param {string} status @param {boolean} [ended] */
        draw(status, ended = state.ended) {
          button.hidden = !!ended;
          button.disabled = state.stopping.has(run);
          show(line, button.disabled && !ended ? "stopping …" : status);
        },
      };
    },

    /** @param {HTMLElement} el @param {() => void} draw called now and whenever there is news */
    watch(el, draw) {
      views.set(el, draw);
      draw();
      return () => {
        views.delete(el);
        if (state.ended && !views.size) confirmEnd();
      };
    },
  };
}
