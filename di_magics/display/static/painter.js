// @ts-check
// Markdown that grows: rendered by the front end's own renderer behind a stricter sanitizer. Finished
// blocks are rendered once; only the last one is rendered again. Model text is hostile: nothing of it
// runs, and nothing is loaded.
import { BACKSLASH, DOLLAR, finished, protect, STAND_INS, settled } from "./blocks.js";
import { element } from "./dom.js";
import { MOST_FORMULAS } from "./formula.js";

const MATH_ON = "mathjax_process tex2jax_process";
export const MATH_OFF = "mathjax_ignore tex2jax_ignore";
const FORMULA = /\uE000(\d+)\uE001/g;

// A tail longer than this is shown as plain text until it ends.
const LONGEST_TAIL = 6000;
const FRAME = 80; // ms between two paints at least

/**
 * Put formulas and dollars back, now that the front end has rendered; return whether any formula.
 * @param {HTMLElement} root
 * @param {import("./formula.js").Formula[]} formulas
 */
function restore(root, formulas) {
  /** @param {string} text */
  const back = (text) =>
    text
      .replace(FORMULA, (_, i) => formulas[i]?.latex ?? "")
      .replaceAll(DOLLAR, "$")
      .replaceAll(BACKSLASH, "\\");
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  /** @type {Text[]} */
  const texts = [];
  while (walker.nextNode()) {
    const node = /** @type {Text} */ (walker.currentNode);
    if (node.data.search(STAND_INS) >= 0) texts.push(node);
  }
  for (const node of texts) {
    const parts = node.data.split(FORMULA).map((part, i) => {
      if (i % 2 === 0) return back(part);
      const { latex, display } = formulas[Number(part)] ?? { latex: "" };
      return element("span", {
        className: MATH_ON,
        textContent: display ? `\\[${latex}\\]` : `\\(${latex}\\)`,
      });
    });
    node.replaceWith(...parts);
  }
  for (const node of root.querySelectorAll("[href],[title],[id]")) {
    for (const { name, value } of [...node.attributes]) {
      const plain = value.replace(/%EE%80%8([0-3])/g, (_, i) => String.fromCharCode(0xe000 + Number(i)));
      if (plain.search(STAND_INS) >= 0) node.setAttribute(name, back(plain));
    }
  }
  return formulas.length > 0;
}

const BANNED =
  "script,style,link,meta,base,iframe,object,embed,video,audio,source,track,picture," +
  "form,input,button,select,textarea,svg,math,canvas,dialog";

/**
 * Return the front end's renderer, which loads nothing from elsewhere and keeps no control or style.
 * @param {any} rendermime
 */
function quiet(rendermime) {
  const theirs = rendermime.sanitizer;
  /** @param {string} dirty @param {any} options */
  const sanitize = (dirty, options) => {
    // An inert document: nothing in it is fetched.
    const page = new DOMParser().parseFromString(theirs.sanitize(dirty, options), "text/html");
    for (const image of page.querySelectorAll("img")) {
      const link = page.createElement("a");
      const source = image.getAttribute("src") ?? "";
      link.setAttribute("href", source);
      link.textContent = `[image: ${image.alt || source}]`;
      image.replaceWith(image.closest("a") ? link.textContent : link);
    }
    for (const node of page.querySelectorAll(BANNED)) node.remove();
    for (const node of page.querySelectorAll("[style]")) node.removeAttribute("style");
    for (const link of page.querySelectorAll("[href]")) {
      if (!/^(https?:\/\/|mailto:|#)/i.test(link.getAttribute("href") ?? "")) link.removeAttribute("href");
      else {
        link.setAttribute("rel", "noopener noreferrer nofollow");
        link.setAttribute("target", "_blank");
      }
    }
    return page.body.innerHTML;
  };
  return rendermime.clone({ sanitizer: { sanitize, getAutolink: () => true, allowNamedProperties: false } });
}

// Draws one reply into one element.
export class Painter {
  /**
   * @param {HTMLElement} root
   * @param {any} rendermime none: all is plain text
   */
  constructor(root, rendermime) {
    this.text = "";
    this.tail = root.appendChild(element("div"));
    this.registry = rendermime && quiet(rendermime);
    this.offset = 0; // what comes before is frozen
    this.formulas = 0; // in what is frozen
    /** @type {Text | null} */
    this.plain = null;
    this.cost = 0;
    this.busy = this.stale = this.gone = false;
  }

  /** @param {string} source */
  async block(source) {
    if (!this.registry || source.length > 20 * LONGEST_TAIL) return { block: plain(source), count: 0 };
    const { text, formulas, count, readable } = protect(source, MOST_FORMULAS - this.formulas);
    if (!readable) return { block: plain(source), count: 0 };
    const renderer = this.registry.createRenderer("text/markdown");
    const model = this.registry.createModel({ data: { "text/markdown": text }, trusted: false });
    await renderer.renderModel(model);
    // The typesetter looks at the classes within what it is given, and only once that is shown.
    const block = element("div", {}, element("div", { className: MATH_OFF }, renderer.node));
    if (restore(block, formulas)) setTimeout(() => this.registry.latexTypesetter?.typeset(block), 0);
    return { block, count };
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
      const { block, count } = await this.block(text.slice(this.offset, this.offset + done));
      this.tail.before(block);
      this.offset += done;
      this.formulas += count;
      this.plain = null;
    }
    const tail = text.slice(this.offset);
    if (fence || tail.length > LONGEST_TAIL || !this.registry) this.append(tail, fence);
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
    if (!this.plain || !shown.startsWith(this.plain.data.slice(0, 20))) {
      const node = plain("", fence);
      this.plain = node.appendChild(document.createTextNode(""));
      this.tail.replaceChildren(node);
    }
    if (shown.length > this.plain.length) this.plain.appendData(shown.slice(this.plain.length));
  }
}

/**
 * Return text as it is.
 * @param {string} text
 * @param {string} [fence] it is code
 */
export function plain(text, fence) {
  return element("pre", { className: fence ? "di-code" : "di-plain", textContent: text });
}

export const LIVE_STYLE = `
.di-live { font-family: var(--jp-content-font-family, sans-serif); }
.di-live .di-plain { white-space: pre-wrap; font: inherit; }
.di-live .di-text pre:not(.di-plain) { margin: 8px 0; padding: 8px 12px; white-space: pre-wrap;
  border: 1px solid #8886; border-radius: 3px; font-size: var(--jp-code-font-size, 13px);
  font-family: var(--jp-code-font-family, monospace); line-height: var(--jp-code-line-height, 1.3); }
.di-live .di-text pre.di-code { margin-right: 20px; }
.di-live table { margin-left: 0; margin-right: auto; }
.di-live [align=left] { text-align: left; }
.di-live [align=center] { text-align: center; }
.di-live .di-bar { display: flex; gap: 8px; align-items: center; margin-top: 4px; font-size: 85%; }
.di-live .di-status { opacity: 0.7; }
.di-live .di-stop { font: inherit; color: inherit; background: transparent; cursor: pointer;
  border: 1px solid currentColor; border-radius: 3px; padding: 1px 10px; opacity: 0.85; }
.di-live .di-stop:disabled { opacity: 0.5; cursor: default; }
.di-live .di-thought pre { white-space: pre-wrap; margin: 4px 0 6px 4px; padding-left: 10px;
  border-left: 2px solid #8886; }`;
