// Markdown that grows: rendered by the front end's own renderer behind a stricter sanitizer. Finished
// blocks are rendered once; only the last one is rendered again. Put in front of what draws replies.
// A model's words are hostile: nothing of them runs, and nothing is loaded.

// Formulas, by the same rule as core/formula.py.
const LINE = String.raw`(?:[^\n]|\n(?![ \t]*\n))`;
const MATH = new RegExp(
  String.raw`\\\((${LINE}+?)\\\)|\\\[(${LINE}+?)\\\]` +
    String.raw`|\$\$((?:(?!\$\$)${LINE})+?)\$\$` +
    String.raw`|\$(?![\s$])((?:\\${LINE}|(?![$\\])${LINE})+?)(?<!\s)\$(?!\d)`,
  "y",
);
const UNSAFE = new RegExp(
  String.raw`\\(?:href|url|style|class|cssId|data|html\w*|require|(?:re)?newcommand` +
    String.raw`|newenvironment|[gex]?def|let|csname|mmlToken|bbox|unicode|includegraphics|img|tip` +
    String.raw`|texttip|mathtip|toggle)(?![A-Za-z])`,
);
const LONGEST_FORMULA = 5000;
const MATH_ON = "mathjax_process tex2jax_process";
const MATH_OFF = "mathjax_ignore tex2jax_ignore";

// A tail longer than this is shown as plain text until it ends.
const LONGEST_TAIL = 6000;
const FRAME = 80; // ms between two paints at least

// Characters for private use stand in for what the front end would read by its own math rule.
const OPEN = "\uE000", CLOSE = "\uE001", DOLLAR = "\uE002", BACKSLASH = "\uE003";
const STAND_INS = /[\uE000-\uE003]/g;
const PIECE =
  /(?<fence>(?<=^|\n)[ >]*(?:[-+*] |\d+[.)] )?[ ]*(?:`{3,}|~{3,})[^\n]*)|(?<ticks>(?<!`)`+)|\\\\|\\(?=begin|end)|\\[!-/:-@[-`{-~]|\$/g;

// Return Markdown without formulas and dollars, and the formulas taken out.
function protect(source) {
  const text = source.replace(STAND_INS, "\uFFFD");
  const formulas = [];
  let out = "", at = 0;
  PIECE.lastIndex = 0;
  for (let found; (found = PIECE.exec(text)); PIECE.lastIndex = at) {
    out += text.slice(at, found.index);
    at = found.index + found[0].length;
    const formula = /^[$\\]/.test(found[0]) ? formulaAt(text, found.index) : null;
    if (formula) {
      out += OPEN + (formulas.push(formula) - 1) + CLOSE;
      at = formula.end;
    } else if (found.groups.fence) {
      const end = fenceEnd(text, at, found[0]);
      out += found[0].replace(/mermaid/i, "text") + text.slice(at, end); // that would be drawn
      at = end;
    } else if (found.groups.ticks) {
      const end = codeEnd(text, at, found[0].length);
      out += text.slice(found.index, end);
      at = end;
    } else if (found[0] === "$" || found[0] === "\\$") {
      out += DOLLAR;
    } else {
      out += found[0] === "\\\\" || found[0] === "\\" ? BACKSLASH : found[0];
    }
  }
  return { text: out + text.slice(at), formulas };
}

function formulaAt(text, start) {
  const near = text.slice(start, start + LONGEST_FORMULA);
  // Openings alone would take long.
  if (!near.includes({ "\\(": "\\)", "\\[": "\\]", $$: "$$" }[near.slice(0, 2)] ?? "$", 1)) return null;
  MATH.lastIndex = 0;
  const found = MATH.exec(near);
  if (!found) return null;
  const latex = found[1] ?? found[2] ?? found[3] ?? found[4];
  if (!latex.trim() || UNSAFE.test(latex)) return null;
  return { latex, display: found[1] === undefined && found[4] === undefined, end: start + MATH.lastIndex };
}

function fenceEnd(text, at, opening) {
  const marks = opening.match(/`{3,}|~{3,}/)[0];
  const closing = new RegExp(String.raw`\n[ >]*${marks[0]}{${marks.length},}[ \t]*(?=\n|$)`, "g");
  closing.lastIndex = at;
  return closing.exec(text) ? closing.lastIndex : text.length;
}

function codeEnd(text, at, length) {
  const paragraph = text.slice(at).search(/\n[ \t]*\n/);
  const limit = paragraph < 0 ? text.length : at + paragraph;
  const closing = new RegExp("(?<!`)`{" + length + "}(?!`)", "g");
  closing.lastIndex = at;
  return closing.exec(text.slice(0, limit)) ? closing.lastIndex : at;
}

// Put formulas and dollars back, now that the front end has rendered; return whether any formula.
function restore(root, formulas) {
  const back = (text) =>
    text.replace(/\uE000(\d+)\uE001/g, (_, i) => formulas[i]?.latex ?? "")
      .replaceAll(DOLLAR, "$").replaceAll(BACKSLASH, "\\");
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (walker.currentNode.data.search(STAND_INS) >= 0) texts.push(walker.currentNode);
  for (const node of texts) {
    const parts = node.data.split(/\uE000(\d+)\uE001/).map((part, i) => {
      if (i % 2 === 0) return back(part);
      const { latex, display } = formulas[part] ?? { latex: "" };
      const span = document.createElement("span");
      span.className = MATH_ON;
      span.textContent = display ? `\\[${latex}\\]` : `\\(${latex}\\)`;
      return span;
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

// The front end's renderer, which loads nothing from elsewhere and keeps no control or style.
function quiet(rendermime) {
  const theirs = rendermime.sanitizer;
  const sanitize = (dirty, options) => {
    // An inert document: nothing in it is fetched.
    const page = new DOMParser().parseFromString(theirs.sanitize(dirty, options), "text/html");
    for (const image of page.querySelectorAll("img")) {
      const link = page.createElement("a");
      link.setAttribute("href", image.getAttribute("src") ?? "");
      link.textContent = `[image: ${image.alt || link.getAttribute("href")}]`;
      image.replaceWith(image.closest("a") ? link.textContent : link);
    }
    const banned = "script,style,link,meta,base,iframe,object,embed,video,audio,source,track,picture," +
      "form,input,button,select,textarea,svg,math,canvas,dialog";
    page.querySelectorAll(banned).forEach((node) => node.remove());
    page.querySelectorAll("[style]").forEach((node) => node.removeAttribute("style"));
    for (const link of page.querySelectorAll("[href]")) {
      if (!/^(https?:\/\/|mailto:|#)/i.test(link.getAttribute("href"))) link.removeAttribute("href");
      else {
        link.setAttribute("rel", "noopener noreferrer nofollow");
        link.setAttribute("target", "_blank");
      }
    }
    return page.body.innerHTML;
  };
  return rendermime.clone({ sanitizer: { sanitize, getAutolink: () => true, allowNamedProperties: false } });
}

// Return how much of a text is finished blocks, and whether what follows is an open fence.
function finished(text) {
  let done = 0, at = 0, fence = null, list = false, blank = false;
  for (const line of text.split(/(?<=\n)/)) {
    const whole = line.endsWith("\n");
    const marks = /^(`{3,}|~{3,})/.exec(line);
    if (fence) {
      if (whole && marks && marks[1].startsWith(fence) && /^[`~]+\s*$/.test(line)) {
        fence = null;
        done = at + line.length;
      }
    } else if (marks && whole) {
      fence = marks[1];
      done = at;
    } else if (line.trim() === "") {
      blank = whole;
    } else if (blank) {
      const item = /^([-+*]|\d+[.)])(\s|$)/.test(line);
      const certain = whole || line.length > 4; // "-" may become a list item, "`" a fence
      if (/^\S/.test(line) && certain && !(list && item)) {
        done = at;
        list = item;
      }
      blank = false;
    } else if (at === done) list = /^([-+*]|\d+[.)])(\s|$)/.test(line);
    at += line.length;
  }
  return { done, fence };
}

// Hold back a last line that may become a rule, a table or a heading's underline.
const settled = (text) => text.replace(/(?<=\n)[-=|*_#:> \t]+$/, "");

// Draws one reply into one element.
class Painter {
  constructor(root, rendermime) {
    this.root = root;
    this.tail = root.appendChild(document.createElement("div"));
    this.registry = rendermime && quiet(rendermime);
    this.offset = 0; // what comes before is frozen
    this.cost = 0;
    this.busy = this.stale = this.gone = false;
  }

  async block(source) {
    if (!this.registry || source.length > 20 * LONGEST_TAIL) return plain(source);
    const { text, formulas } = protect(source);
    const renderer = this.registry.createRenderer("text/markdown");
    const model = this.registry.createModel({ data: { "text/markdown": text }, trusted: false });
    await renderer.renderModel(model);
    // The typesetter looks at the classes within what it is given, and only once that is shown.
    const block = element("div", {}, element("div", { className: MATH_OFF }, renderer.node));
    if (restore(block, formulas)) setTimeout(() => this.registry.latexTypesetter?.typeset(block), 0);
    return block;
  }

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
      const block = await this.block(text.slice(this.offset, this.offset + done));
      this.tail.before(block);
      this.offset += done;
      this.plain = null;
    }
    const tail = text.slice(this.offset);
    if (fence || tail.length > LONGEST_TAIL || !this.registry) this.append(tail, fence);
    else {
      this.plain = null;
      this.tail.replaceChildren(await this.block(settled(tail)));
    }
    this.cost = performance.now() - start;
    setTimeout(() => {
      this.busy = false;
      if (this.stale && !this.gone) {
        this.stale = false;
        this.draw(this.text);
      }
    }, Math.max(FRAME, 3 * this.cost));
  }

  // Add to a text that is shown as it is: what was there is not touched.
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

function plain(text, code) {
  const node = document.createElement("pre");
  node.className = code ? "di-code" : "di-plain";
  node.textContent = text;
  return node;
}

const STYLE = `
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

function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// The output that replaces this one is drawn a moment later: the page must not jump.
function lockHeight(el) {
  const area = el.closest(".jp-OutputArea");
  if (!area) return;
  area.style.minHeight = `${area.offsetHeight}px`;
  setTimeout(() => (area.style.minHeight = ""), 1000);
}
