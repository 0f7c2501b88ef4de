// @ts-check
// A grid of replies that stream side by side, or a bar and a sample where they are too many.
import { channel } from "./channel.js";
import { element } from "./dom.js";
import { LIVE_STYLE, MATH_OFF, Painter, plain } from "./painter.js";

const GRID_STYLE = `
.di-grid .di-cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 10px; }
.di-grid .di-card { border: 1px solid #8886; border-radius: 4px; padding: 6px 10px; min-width: 0; overflow-wrap: anywhere; }
.di-grid .di-label { font-weight: 600; font-family: var(--jp-code-font-family, monospace); font-size: 92%; }
.di-grid .di-whole { height: 8px; border: 1px solid #8888; border-radius: 4px; overflow: hidden; margin: 4px 0 8px; }
.di-grid .di-whole div { height: 100%; background: var(--jp-brand-color1, #1976d2); }`;

/** @typedef {{ text: string, status: string, done?: boolean }} Card */

export default () => {
  const cards = /** @type {Card[]} */ ([]);
  let progress = { share: 0, sample: /** @type {[string, string][]} */ ([]) };
  const { state, listen, stopBar, watch } = channel((fields, whole) => {
    for (const [i, text, status, done] of fields.cards ?? []) {
      const before = (!whole && cards[i]) || { text: "", status: "" };
      cards[i] = { text: before.text + text, status: status ?? before.status, done: done ?? before.done };
    }
    const { share = progress.share, sample = progress.sample } = fields;
    progress = { share, sample };
  }, "the kernel was restarted; run the cell again for the rest");

  return {
    /** @param {{ model: any }} props */
    initialize: ({ model }) => listen(model),

    /** @param {{ model: any, el: HTMLElement }} props */
    render({ model, el }) {
      /** @type {string[]} */
      const labels = model.get("labels");
      /** @param {string} label @param {...HTMLElement} rest */
      const card = (label, ...rest) =>
        element(
          "div",
          { className: "di-card" },
          element("div", { className: "di-label", textContent: label }),
          ...rest,
        );
      const columns = labels.map((label, i) => {
        const text = element("div", { className: `di-text ${MATH_OFF}` });
        const { bar, draw } = stopBar(model, "Stop", i, label);
        const painter = new Painter(text, model.widget_manager?.rendermime);
        return { node: card(label, text, bar), draw, painter };
      });
      const all = stopBar(model, "Stop all");
      const share = element("div");
      const sample = element("div", { className: "di-cards" });
      /** @type {unknown} */
      let shown;
      el.replaceChildren(
        element(
          "div",
          { className: "di-live di-grid" },
          element("style", { textContent: LIVE_STYLE + GRID_STYLE }),
          all.bar,
          element("div", { className: "di-whole" }, share),
          element("div", { className: "di-cards" }, ...columns.map(({ node }) => node)),
          sample,
        ),
      );

      const forget = watch(el, () => {
        all.draw(state.status);
        share.style.width = `${100 * progress.share}%`;
        for (const [i, { draw, painter }] of columns.entries()) {
          const card = cards[i] ?? { text: "", status: "waiting" };
          draw(card.status, card.done || state.ended);
          if (card.text && painter.text !== card.text) painter.draw(card.text);
        }
        if (!columns.length && shown !== progress.sample) {
          shown = progress.sample;
          sample.replaceChildren(...progress.sample.map(([label, text]) => card(label, plain(text))));
        }
      });
      return () => {
        for (const { painter } of columns) painter.gone = true;
        forget();
      };
    },
  };
};
