// @ts-check
// The lens: a reply's tokens by probability, and what else could have been there. The lab adds settings,
// which reshape every position. All that is shown is text: tokens are a model's words, and hostile.
import { Alternatives } from "./alternatives.js";
import { Continuing } from "./continuing.js";
import { element } from "./dom.js";
import { LENS_STYLE } from "./lens_style.js";
import { offerPosition } from "./looked.js";
import { Preview } from "./preview.js";
import { ReplyText } from "./reply_text.js";
import { FILTER_NAMES, reshape } from "./reshape.js";
import { Drawing, filtersOn, Sampler } from "./sampler.js";
import { bandOf, COMPUTING, IMPOSSIBLE, NOT_KNOWN, unpackTokens } from "./tokens.js";
import { keepOutOfFile } from "./unsaved.js";
import { Zeros } from "./zeros.js";

const SLICE = 4; // ms of work at a time for the tokens out of view
const SETTLED = 30; // ms after a change before the tokens out of view follow

/**
 * Return what the model itself gives at a position.
 * @param {import("./tokens.js").Tokens} tokens
 * @param {number} at
 */
const unshaped = (tokens, at) => reshape(tokens.position(at), {}, []);

/**
 * The lines above: the model, and what is known of the reply.
 * @param {import("./tokens.js").Tokens} tokens
 */
function titleLines({ head, size, perplexity }) {
  const bits = Math.log2(perplexity);
  const facts = [
    [size.toLocaleString("en"), size === 1 ? "token" : "tokens"],
    ...(bits >= 0
      ? [
          [perplexity.toFixed(2), "perplexity"],
          [bits.toFixed(2), "bits a token"],
        ]
      : []),
  ];
  return element(
    "div",
    {},
    element(
      "div",
      { className: "title" },
      element("b", { textContent: head.model }),
      ...(head.name ? [element("span", { className: "fact", textContent: head.name })] : []),
      ...facts.map(([value, name]) =>
        element("span", { className: "fact" }, element("b", { textContent: value }), ` ${name}`),
      ),
    ),
    element("div", { className: "faint", textContent: head.about.join(" ") }),
  );
}

export default {
  /** @param {{ model: any }} props */
  initialize({ model }) {
    keepOutOfFile(model.widget_manager, model.get("own_id"));
  },
  /** @param {{ model: any, el: HTMLElement }} props */
  async render({ model, el }) {
    const tokens = await unpackTokens(model.get("packed"));
    const { head } = tokens;
    const text = new ReplyText(tokens, look, head.lab);
    const sampler = head.lab ? new Sampler(head, change) : null;
    const continuing = sampler && head.continuing ? new Continuing(model, sampler, head.ordered) : null;
    const pick = continuing ? pickToken : null;
    const zeros = head.zeros ? new Zeros(tokens, model, showZeros, () => follow(version, 0)) : null;
    const alternatives = new Alternatives(tokens, head.lab, pick);
    const drawing = new Drawing(drawPosition);
    drawing.position = () => shaped(text.at);
    let version = 0;
    let due = false;

    /** @param {number} at */
    function shaped(at) {
      if (!sampler) return unshaped(tokens, at);
      return reshape(tokens.position(at, sampler.penalised), sampler.values, sampler.order);
    }

    /** @param {number} at */
    function findBand(at) {
      const { own } = tokens.position(at);
      if (own < 0 || !sampler) return bandOf(tokens.probability(at));
      const { low, high, cut, notes } = shaped(at);
      if (notes.length) return zeros?.isPending(at) ? COMPUTING : NOT_KNOWN;
      return FILTER_NAMES[cut[own]] ? IMPOSSIBLE : bandOf((low[own] + high[own]) / 2);
    }

    function drawPosition() {
      const filters = sampler ? filtersOn(sampler.values, sampler.order) : [];
      alternatives.draw(text.at, unshaped(tokens, text.at), shaped(text.at), drawing.draws, filters);
    }

    /** @param {number} index */
    function pickToken(index) {
      continuing?.choose(text.at, head.texts[tokens.position(text.at).tokens[index]]);
    }

    function askZeros() {
      if (sampler && sampler.values.repeat_penalty !== 1) zeros?.ask(text.at);
    }

    /** @param {number[]} positions */
    function showZeros(positions) {
      for (const at of sampler ? positions : []) {
        text.bands[at] = findBand(at);
        text.paint(at, at + 1);
      }
      if (positions.includes(text.at)) {
        drawPosition();
        offer();
      }
      text.count();
      askZeros();
    }

    function offer() {
      const readZero = zeros && ((/** @type {number} */ at) => zeros.askOne(at));
      offerPosition(model, { at: text.at, tokens, readZero, makePreview: () => new Preview() });
    }

    function look() {
      drawing.forget();
      continuing?.choose(text.at, tokens.text(text.at));
      drawPosition();
      askZeros();
      offer();
    }

    function change() {
      drawing.forget();
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        sampler?.update();
        askZeros();
        const [from, to] = text.view ?? [0, 0];
        for (let at = from; at < to; at++) text.bands[at] = findBand(at);
        text.paint(from, to);
        drawPosition();
        version += 1;
        setTimeout(follow, SETTLED, version, 0);
      });
    }

    /**
     * Find the bands of all tokens, a few milliseconds at a time, unless something changes meanwhile.
     * @param {number} run
     * @param {number} from
     */
    function follow(run, from) {
      if (run !== version) return;
      const start = performance.now();
      let at = from;
      while (at < tokens.size && performance.now() - start < SLICE) text.bands[at] = findBand(at++);
      if (at < tokens.size) return void setTimeout(follow, 0, run, at);
      text.paint(0, tokens.size);
      text.count();
    }

    if (zeros && sampler) sampler.node.append(zeros.note);
    const side = element(
      "div",
      { className: "side" },
      alternatives.node,
      ...(sampler ? [drawing.node] : []),
      ...(continuing ? [continuing.line] : []),
    );
    // Wherever in the lens the focus is, keys are not JupyterLab's, and the arrows choose a token. A click
    // beside the buttons gives it the focus as well. JupyterLab asks the element with the focus only.
    const root = element(
      "div",
      { className: "di-lens", tabIndex: -1, "data-lm-suppress-shortcuts": "true" },
      element("style", { textContent: LENS_STYLE }),
      element(
        "div",
        { className: head.lab ? "lab" : "" },
        titleLines(tokens),
        text.legend,
        element("div", { className: "both" }, text.node, side, ...(sampler ? [sampler.node] : [])),
        ...(continuing ? [continuing.replies] : []),
      ),
    );
    root.addEventListener("keydown", (event) => {
      if (!(/** @type {HTMLElement} */ (event.target).matches("input, .scroll"))) text.press(event);
    });
    el.replaceChildren(root);
    for (let at = 0; at < tokens.size; at++) text.bands[at] = bandOf(tokens.probability(at));
    text.paint(0, tokens.size);
    text.count();
    text.go(head.start, false);
    requestAnimationFrame(() => text.go(head.start, true)); // in the page, it can be scrolled to
    if (sampler) change();
    return () => {
      version += 1;
      text.close();
      continuing?.close();
      zeros?.close();
      drawing.forget();
    };
  },
};
