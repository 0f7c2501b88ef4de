// @ts-check
// A grid of replies that stream side by side, or a bar and a sample where they are too many.
import { element, lockHeight, show } from "./dom.js";
import { LIVE_STYLE, MATH_OFF, Painter, plain } from "./painter.js";

const GRID_STYLE = `
.di-grid .di-cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 10px; }
.di-grid .di-card { border: 1px solid #8886; border-radius: 4px; padding: 6px 10px; min-width: 0; overflow-wrap: anywhere; }
.di-grid .di-label { font-weight: 600; font-family: var(--jp-code-font-family, monospace); font-size: 92%; }
.di-grid .di-whole { height: 8px; border: 1px solid #8888; border-radius: 4px; overflow: hidden; margin: 4px 0 8px; }
.di-grid .di-whole div { height: 100%; background: var(--jp-brand-color1, #1976d2); }`;

/** @typedef {{ text: string, status: string, done?: boolean }} Card */

export default () => {
  const grid = {
    cards: /** @type {Card[]} */ ([]),
    number: -1,
    missing: false,
    words: "",
    share: 0,
    sample: /** @type {[string, string][]} */ ([]),
    stopping: /** @type {Set<number | undefined>} */ (new Set()),
    acknowledged: false,
    ended: false,
  };
  /** @type {Set<{ update: () => void, lock: () => void }>} */
  const views = new Set();
  const update = () => {
    for (const view of views) view.update();
  };

  /** @param {any} model @param {any} message */
  const take = (model, message) => {
    if (message.type === "delta" || message.type === "whole") {
      const whole = message.type === "whole";
      if (message.n <= grid.number && !(whole && message.n === grid.number)) return false;
      if (!whole && message.n > grid.number + 1) {
        if (!grid.missing) model.send({ type: "again" });
        grid.missing = true;
        return false;
      }
      grid.number = message.n;
      if (whole) grid.missing = false;
      for (const [i, text, status, done] of message.cards) {
        const before = whole ? "" : (grid.cards[i]?.text ?? "");
        grid.cards[i] = { text: before + text, status, done };
      }
    } else if (message.type === "progress") Object.assign(grid, message);
    else if (message.type === "ack") grid.acknowledged = true;
    else if (message.type === "end") {
      grid.ended = true;
      model.send({ type: "seen" });
    }
    return true;
  };

  return {
    /** @param {{ model: any }} props */
    initialize({ model }) {
      /** @param {any} message */
      const listen = (message) => {
        if (message.type === "lock") for (const view of views) view.lock();
        else if (take(model, message)) update();
      };
      model.on("msg:custom", listen);
      return () => model.off("msg:custom", listen);
    },

    /** @param {{ model: any, el: HTMLElement }} props */
    render({ model, el }) {
      /** @type {string[]} */
      const labels = model.get("labels");
      /** @param {string} name @param {number} [i] all, if there is none */
      const stop = (name, i) => {
        const button = element("button", { className: "di-stop", type: "button", textContent: name });
        button.setAttribute("aria-label", i === undefined ? name : `${name} ${labels[i]}`);
        button.addEventListener("click", () => {
          grid.stopping.add(i);
          model.send({ type: "stop", run: i ?? null });
          // One column must not interrupt the others; all of them may, where nothing else gets through.
          if (i === undefined) {
            setTimeout(() => {
              if (!grid.acknowledged && !grid.ended) model.widget_manager?.kernel?.interrupt();
            }, 300);
          }
          update();
        });
        return button;
      };
      /** @param {string} label @param {...HTMLElement} rest */
      const card = (label, ...rest) =>
        element(
          "div",
          { className: "di-card" },
          element("div", { className: "di-label", textContent: label }),
          ...rest,
        );
      const cards = labels.map((label, i) => {
        const text = element("div", { className: `di-text ${MATH_OFF}` });
        const status = element("span", { className: "di-status" });
        const button = stop("Stop", i);
        const node = card(label, text, element("div", { className: "di-bar" }, button, status));
        return { node, status, button, painter: new Painter(text, model.widget_manager?.rendermime) };
      });
      const all = stop("Stop all");
      const words = element("span", { className: "di-status", role: "status" });
      const share = element("div");
      const sample = element("div", { className: "di-cards" });
      /** @type {unknown} */
      let shown;
      el.replaceChildren(
        element(
          "div",
          { className: "di-live di-grid" },
          element("style", { textContent: LIVE_STYLE + GRID_STYLE }),
          element("div", { className: "di-bar" }, all, words),
          element("div", { className: "di-whole" }, share),
          element("div", { className: "di-cards" }, ...cards.map(({ node }) => node)),
          sample,
        ),
      );

      const view = {
        update() {
          show(words, grid.stopping.has(undefined) ? "stopping …" : grid.words);
          share.style.width = `${100 * grid.share}%`;
          all.disabled = grid.ended || grid.stopping.has(undefined);
          for (const [i, { status, button, painter }] of cards.entries()) {
            const card = grid.cards[i] ?? { text: "", status: "waiting" };
            show(status, grid.stopping.has(i) && !card.done ? "stopping …" : card.status);
            button.hidden = !!card.done;
            button.disabled = grid.stopping.has(i);
            if (card.text && painter.text !== card.text) painter.draw(card.text);
          }
          if (!cards.length && shown !== grid.sample) {
            shown = grid.sample;
            sample.replaceChildren(...grid.sample.map(([label, text]) => card(label, plain(text))));
          }
        },
        lock: () => lockHeight(el),
      };
      views.add(view);
      view.update();
      return () => {
        for (const { painter } of cards) painter.gone = true;
        views.delete(view);
      };
    },
  };
};
