// @ts-check
// Markdown that grows. The front end's parser reads what `blocks.js` lets through, and `rebuild.js`
// makes elements of the result. Finished blocks are made once; only the last one is made again.
import { finished, protect, settled } from "./blocks.js";
import { addText, element } from "./dom.js";
import { MAX_FORMULAS } from "./formula.js";
import { parseInert, rebuild, showCode } from "./rebuild.js";

export const MATH_OFF = "mathjax_ignore tex2jax_ignore";

// A tail longer than this is shown as plain text until it ends.
const MAX_TAIL_CHARS = 6000;
const FRAME = 80; // ms between two paints at least
const MAX_ELEMENTS = 30_000; // of a reply
const MAX_HTML_CHARS = 2_000_000; // of a block
const COLOURING = 500; // ms for the code of a reply

// Draws one reply into one element.
export class Painter {
  /**
   * @param {HTMLElement} root
   * @param {any} rendermime none: all is plain text
   */
  constructor(root, rendermime) {
    this.text = "";
    this.tail = root.appendChild(element("div"));
    this.parser = rendermime?.markdownParser;
    this.typesetter = rendermime?.latexTypesetter;
    this.offset = 0; // what comes before is frozen
    this.formulas = this.elements = 0; // in what is frozen
    this.colouring = COLOURING;
    /** @type {HTMLElement | null} */
    this.plain = null; // the tail as it is
    this.begin = "";
    this.known = 0; // characters of it
    this.cost = 0;
    this.busy = this.stale = this.gone = false;
  }

  /**
   * Return Markdown as an element, and as how many formulas it counts.
   * @param {string} source
   */
  async block(source) {
    const shown = { block: plain(source), count: 0, elements: 0 };
    if (!this.parser || source.length > 20 * MAX_TAIL_CHARS) return shown;
    const { text, parts, count, readable } = protect(source, MAX_FORMULAS - this.formulas);
    if (!readable) return shown;
    try {
      const html = await this.parser.render(text);
      const parsed = html.length <= MAX_HTML_CHARS && parseInert(html);
      const elements = parsed ? parsed.querySelectorAll("*").length : MAX_ELEMENTS;
      if (!parsed || this.elements + elements > MAX_ELEMENTS) return shown;
      const codes = [];
      for (const { code } of parts) codes.push(code && (await this.code(code)));
      const { root, formulas } = rebuild(parsed, parts, codes);
      const block = element("div", { className: MATH_OFF }, root);
      // Only formulas have the class that turns this on again. What is not shown yet cannot be measured.
      if (formulas) setTimeout(() => this.typesetter?.typeset(block), 0);
      return { block, count, elements };
    } catch {
      return shown; // the parser recurses
    }
  }

  /** @param {import("./blocks.js").Code} code */
  async code(code) {
    const start = performance.now();
    const shown = await showCode(code, this.colouring > 0 ? (text) => this.parser.render(text) : null);
    this.colouring -= performance.now() - start;
    return shown;
  }

  /** @param {string} text */
  async draw(text) {
    this.text = text;
    if (this.busy) {
      this.stale = true;
      return;
    }
    this.busy = true;
    const start = performance.now();
    const { done, fence } = finished(text.slice(this.offset));
    if (done > 0) {
      const { block, count, elements } = await this.block(text.slice(this.offset, this.offset + done));
      this.tail.before(block);
      this.offset += done;
      this.formulas += count;
      this.elements += elements;
      this.plain = null;
    }
    const tail = text.slice(this.offset);
    if (fence || tail.length > MAX_TAIL_CHARS || !this.parser) this.append(tail, fence);
    else {
      this.plain = null;
      this.tail.replaceChildren((await this.block(settled(tail))).block);
    }
    this.cost = performance.now() - start;
    setTimeout(
      () => {
        this.busy = false;
        if (this.stale && !this.gone) {
          this.stale = false;
          this.draw(this.text);
        }
      },
      Math.max(FRAME, 3 * this.cost),
    );
  }

  /**
   * Add to a text that is shown as it is: what was there is not touched.
   * @param {string} tail
   * @param {string} fence
   */
  append(tail, fence) {
    const shown = fence ? tail.slice(tail.indexOf("\n") + 1) : tail;
    if (!this.plain || !shown.startsWith(this.begin)) {
      this.plain = plain("", fence);
      this.begin = shown.slice(0, 20);
      this.known = 0;
      this.tail.replaceChildren(this.plain);
    }
    addText(this.plain, shown.slice(this.known));
    this.known = Math.max(this.known, shown.length);
  }
}

/**
 * Return text as it is.
 * @param {string} text
 * @param {string} [fence] it is code
 */
export function plain(text, fence) {
  return addText(element("pre", { className: fence ? "di-code" : "di-plain" }), text);
}

export const LIVE_STYLE = `
.di-live { font-family: var(--jp-content-font-family, sans-serif); }
.di-live .di-plain { white-space: pre-wrap; font: inherit; }
.di-live .di-text pre:not(.di-plain) { margin: 8px 0; padding: 8px 12px; white-space: pre-wrap;
  border: 1px solid #8886; border-radius: 3px; font-size: var(--jp-code-font-size, 13px);
  font-family: var(--jp-code-font-family, monospace); line-height: var(--jp-code-line-height, 1.3); }
.di-live .di-text pre.di-code { margin-right: 20px; }
.di-live table { margin-left: 0; margin-right: auto; }
.di-live [dir=rtl], .di-live [dir=rtl] :is(p, td, th) { text-align: right; }
.di-live :is(code, pre) { direction: ltr; unicode-bidi: isolate; text-align: left; }
.di-live [align=left] { text-align: left; }
.di-live [align=center] { text-align: center; }
.di-live .di-bar { display: flex; gap: 8px; align-items: center; margin-top: 4px; font-size: 85%; }
.di-live .di-status { opacity: 0.7; }
.di-live .di-stop { font: inherit; color: inherit; background: transparent; cursor: pointer;
  border: 1px solid currentColor; border-radius: 3px; padding: 1px 10px; opacity: 0.85; }
.di-live .di-stop:disabled { opacity: 0.5; cursor: default; }
.di-live .di-thought pre { white-space: pre-wrap; margin: 4px 0 6px 4px; padding-left: 10px;
  border-left: 2px solid #8886; }`;
