// @ts-check
// The live view of a reply: deltas in, formatted text out.
import { channel } from "./channel.js";
import { addText, element, show } from "./dom.js";
import { LIVE_STYLE, MATH_OFF, Painter } from "./painter.js";

/** @typedef {{ thought: string, text: string, calls: string[][] }} Round */

/** @param {string} summary @param {...HTMLElement} texts */
const collapsible = (summary, ...texts) =>
  element("details", { className: "di-thought" }, element("summary", { textContent: summary }), ...texts);

/**
 * Draw a tool-call or repair step: the model's message and the answers. Folds that are open stay open.
 * @param {HTMLElement} root
 * @param {Round} round
 * @param {any} renderer
 */
function drawRound(root, round, renderer) {
  if (!root.firstChild) {
    if (round.thought) root.append(collapsible("Reasoning", element("pre", { textContent: round.thought })));
    const text = root.appendChild(element("div", { className: `di-text ${MATH_OFF}` }));
    if (round.text) new Painter(text, renderer).draw(round.text);
    root.append(
      ...round.calls.map(([line, ...texts]) => collapsible(line, ...texts.map(() => element("pre")))),
    );
  }
  const folds = [...root.children].slice(-round.calls.length || root.children.length);
  for (const [at, texts] of round.calls.entries()) {
    for (const [part, text] of texts.entries()) {
      show(/** @type {HTMLElement} */ (folds[at].children[part]), text);
    }
  }
}

export default () => {
  const reply = { text: "", thought: "", rounds: /** @type {Round[]} */ ([]) };
  let restarts = 0; // how often the text has begun anew: once for each round
  const { state, listen, stopBar, watch } = channel(({ text = "", thought = "", rounds = [] }, whole) => {
    if (whole) {
      if (rounds.length !== reply.rounds.length) restarts += 1;
      Object.assign(reply, { text, thought, rounds });
    } else {
      reply.text += text;
      reply.thought += thought;
    }
  }, "the kernel was restarted; %chat show has the partial reply");

  return {
    /** @param {{ model: any }} props */
    initialize({ model }) {
      state.status = model.get("line"); // the rest, if some came before this, is sent again
      return listen(model);
    },

    /** @param {{ model: any, el: HTMLElement }} props */
    render({ model, el }) {
      const thought = element("pre");
      const details = collapsible("Reasoning", thought);
      details.hidden = true;
      const before = element("div");
      const text = element("div", { className: `di-text ${MATH_OFF}` });
      const { bar, draw } = stopBar(model, "Stop");
      const style = element("style", { textContent: LIVE_STYLE });
      el.replaceChildren(element("div", { className: "di-live" }, style, before, details, text, bar));
      const renderer = model.get("plain") ? null : model.widget_manager?.rendermime;
      let painter = new Painter(text, renderer);
      let drawn = restarts;

      const forget = watch(el, () => {
        for (const [at, step] of reply.rounds.entries()) {
          const root = before.children[at] ?? before.appendChild(element("div"));
          drawRound(/** @type {HTMLElement} */ (root), step, renderer);
        }
        if (drawn !== restarts) {
          drawn = restarts;
          painter.gone = true;
          text.replaceChildren();
          thought.textContent = "";
          painter = new Painter(text, renderer);
        }
        const known = thought.textContent?.length ?? 0;
        if (reply.thought.length > known) addText(thought, reply.thought.slice(known));
        details.hidden = !reply.thought;
        draw(state.status);
        if (reply.text && painter.text !== reply.text) painter.draw(reply.text);
      });
      return () => {
        painter.gone = true;
        forget();
      };
    },
  };
};
