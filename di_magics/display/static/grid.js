// A grid of replies that stream side by side, or a bar and a sample where they are too many.
// markdown.js stands in front of it.

const GRID_STYLE = `
.di-grid .di-cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); gap: 10px; }
.di-grid .di-card { border: 1px solid #8886; border-radius: 4px; padding: 6px 10px; min-width: 0; overflow-wrap: anywhere; }
.di-grid .di-label { font-weight: 600; font-family: var(--jp-code-font-family, monospace); font-size: 92%; }
.di-grid .di-whole { height: 8px; border: 1px solid #8888; border-radius: 4px; overflow: hidden; margin: 4px 0 8px; }
.di-grid .di-whole div { height: 100%; background: var(--jp-brand-color1, #1976d2); }`;

export default () => {
  const grid = { cards: [], number: -1, missing: false, words: "", share: 0, sample: [], stopping: new Set(), ended: false };
  const views = new Set();

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
        const card = (grid.cards[i] ??= { text: "" });
        Object.assign(card, { text: whole ? text : card.text + text, status, done });
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
    initialize({ model }) {
      const listen = (message) => {
        if (message.type === "lock") views.forEach((view) => view.lock());
        else if (take(model, message)) views.forEach((view) => view.update());
      };
      model.on("msg:custom", listen);
      return () => model.off("msg:custom", listen);
    },

    render({ model, el }) {
      const labels = model.get("labels");
      const stop = (name, i) => {
        const button = element("button", { className: "di-stop", type: "button", textContent: name });
        button.setAttribute("aria-label", i === undefined ? name : `${name} ${labels[i]}`);
        button.addEventListener("click", () => {
          grid.stopping.add(i);
          model.send({ type: "stop", run: i ?? null });
          // One column must not interrupt the others; all of them may, where nothing else gets through.
          if (i === undefined) {
            setTimeout(() => grid.acknowledged || grid.ended || model.widget_manager?.kernel?.interrupt(), 300);
          }
          views.forEach((view) => view.update());
        });
        return button;
      };
      const cards = labels.map((label, i) => {
        const text = element("div", { className: `di-text ${MATH_OFF}` });
        const status = element("span", { className: "di-status" });
        const button = stop("Stop", i);
        const node = element("div", { className: "di-card" }, element("div", { className: "di-label", textContent: label }),
          text, element("div", { className: "di-bar" }, button, status));
        return { node, status, button, painter: new Painter(text, model.widget_manager?.rendermime) };
      });
      const all = stop("Stop all");
      const words = element("span", { className: "di-status" });
      words.setAttribute("role", "status");
      const bar = element("div", { className: "di-whole" }, element("div", {}));
      const sample = element("div", { className: "di-cards" });
      el.replaceChildren(element("div", { className: "di-live di-grid" }, element("style", { textContent: STYLE + GRID_STYLE }),
        element("div", { className: "di-bar" }, all, words), bar,
        element("div", { className: "di-cards" }, ...cards.map((card) => card.node)), sample));

      const view = {
        update() {
          const said = grid.stopping.has(undefined) ? "stopping …" : grid.words;
          if (words.textContent !== said) words.textContent = said;
          bar.firstChild.style.width = `${100 * grid.share}%`;
          all.disabled = grid.ended || grid.stopping.has(undefined);
          cards.forEach(({ status, button, painter }, i) => {
            const card = grid.cards[i] ?? { text: "", status: "waiting" };
            const line = grid.stopping.has(i) && !card.done ? "stopping …" : card.status;
            if (status.textContent !== line) status.textContent = line;
            button.hidden = !!card.done;
            button.disabled = grid.stopping.has(i);
            if (card.text && painter.text !== card.text) painter.draw(card.text);
          });
          if (!cards.length && sample.sample !== grid.sample) {
            sample.sample = grid.sample;
            sample.replaceChildren(...grid.sample.map(([label, text]) => element("div", { className: "di-card" },
              element("div", { className: "di-label", textContent: label }), plain(text))));
          }
        },
        lock() {
          lockHeight(el);
        },
      };
      views.add(view);
      view.update();
      return () => {
        cards.forEach(({ painter }) => (painter.gone = true));
        views.delete(view);
      };
    },
  };
};
