// @ts-check
// The reply's text as a list of tokens: one tab stop, coloured by band, with its legend and the strip of
// surprise. Only the blocks of tokens in view are painted at once, the rest a little later.
import { addText, element, MAX_BLOCK_CHARS, show } from "./dom.js";
import { BAND_NAMES, COMPUTING, harmless, IMPOSSIBLE, label, NOT_KNOWN } from "./tokens.js";

const BLOCK = 40; // tokens
const MARGIN = "200px";
const UNLIKELY = Math.log(0.05);
const STRIP = 34; // pixels
const BITS = 13; // at the top of the strip
let views = 0; // for ids that are unique in the page

/**
 * Return what shows a token in the text; a line end is visible and breaks the line.
 * @param {string} text
 */
const tokenNodes = (text) =>
  harmless(text)
    .split(/([\n\t])/)
    .flatMap((part) =>
      /[\n\t]/.test(part)
        ? [element("span", { className: "mark", textContent: label(part) }), part]
        : part.length > MAX_BLOCK_CHARS
          ? addText(element("span"), part)
          : part,
    );

export class ReplyText {
  /**
   * @param {import("./tokens.js").Tokens} tokens
   * @param {(at: number) => void} choose called with the token to look at
   * @param {boolean} lab whether settings may cut tokens
   */
  constructor(tokens, choose, lab) {
    this.tokens = tokens;
    this.choose = choose;
    this.at = 0;
    this.pinned = false;
    this.bands = new Uint8Array(tokens.size);
    this.painted = new Uint8Array(tokens.size);
    /** @type {number | null} */
    this.only = null;
    /** @type {HTMLButtonElement[]} */
    this.keys = [];
    this.due = 0;
    this.id = `di-lens-${++views}`;
    this.box = element("div", {
      className: "text",
      dir: "auto",
      tabIndex: 0,
      role: "listbox",
      "aria-label": `The ${tokens.size} tokens of the reply`,
      "aria-describedby": `${this.id}-keys`,
      "data-lm-suppress-shortcuts": "true",
    });
    this.partial = new Set(tokens.head.partial);
    this.spans = Array.from({ length: tokens.size }, (_, at) => this.makeToken(at));
    /** @type {HTMLElement[]} */
    this.blocks = [];
    for (let at = 0; at < tokens.size; at += BLOCK) {
      this.blocks.push(element("span", { role: "presentation" }, ...this.spans.slice(at, at + BLOCK)));
    }
    this.addBlocks();
    this.strip = element("canvas", { className: "strip", height: STRIP, role: "img" });
    const peak = this.tokens.logprobs.reduce((best, value, i, all) => (value < all[best] ? i : best), 0);
    this.strip.setAttribute(
      "aria-label",
      `Surprise in the model along the reply: the highest, ${this.bits(peak).toFixed(1)} bit, is at token ${peak + 1}`,
    );
    this.legend = this.makeLegend(lab);
    this.node = element(
      "div",
      { className: "main" },
      this.box,
      this.strip,
      element(
        "div",
        { className: "under faint" },
        element("span", { textContent: "Surprise of each token in the model, in bits. Click to go there." }),
        element("span", {
          id: `${this.id}-keys`,
          textContent: "Keys: arrows, Home, End, N and P (unlikely tokens)",
        }),
      ),
    );
    this.listen();
    this.watch();
  }

  /** Add the tokens, in blocks for the browser's sake (dom.js) where there are not only ASCII texts. */
  addBlocks() {
    const isAscii = this.spans.every((_, at) => /^\p{ASCII}*$/u.test(this.tokens.text(at)));
    let [parent, size] = [this.box, 0];
    for (const block of this.blocks) {
      if (size > MAX_BLOCK_CHARS && !isAscii) {
        parent = this.box.appendChild(element("div", { role: "presentation" }));
        size = 0;
      }
      parent.append(block);
      size += block.textContent?.length ?? 0;
    }
  }

  /** @param {number} at */
  makeToken(at) {
    const { tokens } = this;
    const text = tokens.text(at);
    const [piece, count, character] = tokens.pieces.get(at) ?? [0, 1, text];
    const alone = count === 1 && text && !this.partial.has(tokens.drawn[at]);
    const span = element("span", {
      className: "t b0",
      id: `${this.id}-${at}`,
      role: "option",
      "aria-selected": "false",
    });
    if (alone) span.append(...tokenNodes(text));
    else if (count === 1) span.append(element("span", { className: "mark", textContent: label(text) }));
    else {
      if (piece === 0) span.append(harmless(character));
      span.append(element("span", { className: "mark", textContent: `${piece + 1}/${count}` }));
      span.setAttribute("aria-label", `${harmless(character)}, piece ${piece + 1} of ${count}`);
    }
    if (!text.trim()) span.setAttribute("aria-label", label(text));
    span.dataset.at = `${at}`;
    return span;
  }

  /** @param {boolean} lab */
  makeLegend(lab) {
    const names = [...BAND_NAMES, "not known", "could not have been drawn", "computing …"];
    this.keys = names.map((name, band) => {
      const count = element("b");
      const key = element(
        "button",
        { type: "button", "aria-pressed": "false", title: `Show only these tokens: ${name}` },
        element("span", { className: `t b${band} swatch`, textContent: "Aa", "aria-hidden": "true" }),
        ` ${name} `,
        count,
      );
      key.addEventListener("click", () => this.filter(this.only === band ? null : band));
      return key;
    });
    this.keys[IMPOSSIBLE].hidden = !lab;
    return element(
      "div",
      { className: "legend line", role: "group", "aria-label": "Tokens by probability" },
      ...this.keys,
    );
  }

  /** @param {number} at */
  bits(at) {
    return -this.tokens.logprobs[at] / Math.LN2;
  }

  /** @param {number | null} band the only one to show, or null for all */
  filter(band) {
    this.only = band;
    for (const [at, key] of this.keys.entries()) key.setAttribute("aria-pressed", `${at === band}`);
    this.box.classList.toggle("only", band !== null);
    this.painted.fill(255);
    this.paint(0, this.spans.length);
  }

  listen() {
    const { box, strip } = this;
    /** @param {Event} event */
    const tokenAt = (event) => {
      const span = /** @type {HTMLElement} */ (event.target).closest(".t");
      return span && box.contains(span) ? Number(/** @type {HTMLElement} */ (span).dataset.at) : -1;
    };
    box.addEventListener("pointerover", (event) => {
      const at = tokenAt(event);
      if (at >= 0 && !this.pinned && event.pointerType === "mouse") this.go(at, false);
    });
    box.addEventListener("click", (event) => {
      const at = tokenAt(event);
      if (at < 0) return;
      this.pinned = !(this.pinned && at === this.at);
      this.go(at, false);
    });
    // The keys go on from where the strip was clicked.
    strip.addEventListener("pointerup", () => this.box.focus({ preventScroll: true }));
    /** @param {PointerEvent} event */
    const slide = (event) => {
      this.pinned = true;
      this.go(Math.floor((event.offsetX / strip.clientWidth) * this.spans.length), true);
    };
    strip.addEventListener("pointerdown", (event) => {
      strip.setPointerCapture(event.pointerId);
      slide(event);
    });
    strip.addEventListener("pointermove", (event) => {
      if (event.buttons) slide(event);
    });
  }

  /**
   * Go where a key leads, if it is one of the list's.
   * @param {KeyboardEvent} event
   */
  press(event) {
    const to = this.target(event);
    if (to === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.pinned = true;
    this.go(to, true);
  }

  /**
   * Return the token that a key leads to, or null.
   * @param {KeyboardEvent} event
   */
  target({ key, altKey, ctrlKey, metaKey }) {
    if (altKey || ctrlKey || metaKey) return null;
    const { at } = this;
    switch (key) {
      case "ArrowRight":
        return at + 1;
      case "ArrowLeft":
        return at - 1;
      case "ArrowDown":
        return this.line(1);
      case "ArrowUp":
        return this.line(-1);
      case "Home":
        return 0;
      case "End":
        return this.spans.length - 1;
      case "PageDown":
        return at + 50;
      case "PageUp":
        return at - 50;
      case "n":
      case "N":
        return this.unlikely(1);
      case "p":
      case "P":
        return this.unlikely(-1);
      default:
        return null;
    }
  }

  /** @param {1 | -1} step */
  unlikely(step) {
    for (let at = this.at + step; at >= 0 && at < this.spans.length; at += step) {
      if (this.tokens.logprobs[at] < UNLIKELY) return at;
    }
    return this.at;
  }

  /**
   * Return the token of the next line that is nearest to this one's column.
   * @param {1 | -1} step
   */
  line(step) {
    const own = this.spans[this.at].getClientRects()[0];
    const middle = own.left + own.width / 2;
    let [best, distance] = [this.at, Infinity];
    /** @type {number | null} */
    let top = null;
    for (let at = this.at + step; at >= 0 && at < this.spans.length; at += step) {
      const place = this.spans[at].getClientRects()[0];
      if (!place || Math.abs(place.top - own.top) < 4) continue;
      top ??= place.top;
      if (Math.abs(place.top - top) > 4) break;
      const off = Math.abs(place.left + place.width / 2 - middle);
      if (off < distance) [best, distance] = [at, off];
    }
    return best;
  }

  /**
   * @param {number} to
   * @param {boolean} scroll
   */
  go(to, scroll) {
    const at = Math.max(0, Math.min(this.spans.length - 1, to));
    const before = this.spans[this.at];
    before.classList.remove("here");
    before.setAttribute("aria-selected", "false");
    this.at = at;
    const span = this.spans[at];
    span.classList.add("here");
    span.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", span.id);
    if (scroll) {
      const [place, box] = [span.getBoundingClientRect(), this.box.getBoundingClientRect()];
      if (place.top < box.top + 4 || place.bottom > box.bottom - 4) {
        this.box.scrollTop += place.top - box.top - box.height / 3;
      }
    }
    this.drawSoon();
    this.choose(at);
  }

  // Painting

  watch() {
    /** @type {[number, number]} the tokens in view, from and to */
    this.view = [0, Math.min(this.spans.length, 10 * BLOCK)];
    /** @type {Set<Element>} */
    const inView = new Set();
    this.observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) inView.add(target);
          else inView.delete(target);
        }
        const seen = this.blocks.flatMap((block, at) => (inView.has(block) ? [at] : []));
        if (!seen.length) return;
        this.view = [seen[0] * BLOCK, Math.min(this.spans.length, (seen[seen.length - 1] + 1) * BLOCK)];
        this.paint(...this.view);
      },
      { root: this.box, rootMargin: MARGIN },
    );
    for (const block of this.blocks) this.observer.observe(block);
    this.sizes = new ResizeObserver(() => this.drawSoon());
    this.sizes.observe(this.strip);
    // JupyterLab hides the page for a moment, in which the strip has no width.
    this.themes = new MutationObserver(() => requestAnimationFrame(() => this.drawSoon()));
    this.themes.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  }

  close() {
    this.observer?.disconnect();
    this.sizes?.disconnect();
    this.themes?.disconnect();
  }

  /**
   * Show the bands of these tokens.
   * @param {number} from
   * @param {number} to
   */
  paint(from, to) {
    const { bands, painted, spans, only } = this;
    for (let at = from; at < to; at++) {
      const band = bands[at];
      if (painted[at] === band) continue;
      painted[at] = band;
      spans[at].className = `t b${band}${band === only ? " chosen" : ""}${at === this.at ? " here" : ""}`;
    }
  }

  /** Show how many tokens each band has. */
  count() {
    const counts = new Array(COMPUTING + 1).fill(0);
    for (const band of this.bands) counts[band] += 1;
    for (const [band, key] of this.keys.entries()) {
      show(/** @type {HTMLElement} */ (key.lastChild), counts[band].toLocaleString("en"));
      key.toggleAttribute("data-none", counts[band] === 0);
    }
    for (const band of [NOT_KNOWN, COMPUTING]) this.keys[band].hidden = counts[band] === 0;
  }

  drawSoon() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      this.drawStrip();
    });
  }

  drawStrip() {
    const { strip } = this;
    const size = this.spans.length;
    const [width, ratio] = [strip.clientWidth, devicePixelRatio || 1];
    const context = strip.getContext("2d");
    if (!context || !width) return;
    strip.width = width * ratio;
    strip.height = STRIP * ratio;
    context.scale(ratio, ratio);
    const style = getComputedStyle(strip);
    context.fillStyle = style.color;
    const gap = width / size > 4 ? 1 : 0;
    const columns = Math.min(size, width);
    for (let column = 0; column < columns; column++) {
      const from = Math.floor((column / columns) * size);
      const to = Math.max(from + 1, Math.floor(((column + 1) / columns) * size));
      let bits = 0;
      for (let at = from; at < to; at++) bits = Math.max(bits, this.bits(at) || 0);
      const height = Math.min(STRIP, (bits / BITS) * STRIP);
      context.globalAlpha = 0.4 + Math.min(0.6, bits / BITS);
      context.fillRect((column / columns) * width, STRIP - height, width / columns - gap, height);
    }
    context.globalAlpha = 1;
    context.fillStyle = style.getPropertyValue("--accent");
    context.fillRect(((this.at + 0.5) / size) * width - 1, 0, 2, STRIP);
  }
}
