// @ts-check
// The list of models below the panel's field: searched as the user types, chosen by mouse or by keyboard.
// It may have 20,000 rows, so that only those in view are elements. Names are foreign text.
import { element, show } from "./dom.js";

/** @typedef {string[]} ModelRow id, the same for display, context, price in and out, abilities, date */

const FACTS = ["context", "in", "out", "can", "since"];
const TITLES = ["context", "$ in", "$ out", "can", "since"]; // dollars per million tokens
const AROUND = 6; // rows drawn above and below those in view
const PAGE_STEP = 8;

export const MODEL_LIST_STYLE = `
.di-panel .picker { display: flex; gap: 4px; }
.di-panel .models { --row: 25px; border: 1px solid #8886; border-radius: 3px; margin: 3px 0; }
.di-panel .models .status { padding: 3px 8px; border-top: 1px solid #8886; }
.di-panel .models .scroll { max-height: calc(250px + var(--row)); overflow-y: auto; overscroll-behavior: contain; position: relative; }
.di-panel .models .model { display: grid; grid-template-columns: minmax(0, 1fr) 80px 62px 62px 190px 80px; gap: 0 10px;
  padding: 0 8px; height: var(--row); line-height: var(--row); box-sizing: border-box; cursor: pointer; }
.di-panel .models .rows { position: relative; }
.di-panel .models .scroll .model { position: absolute; left: 0; right: 0; }
.di-panel .models .model span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.di-panel .models .context, .di-panel .models .in, .di-panel .models .out { text-align: right; font-variant-numeric: tabular-nums; }
.di-panel .models .model:hover { background: var(--jp-layout-color2, #8882); }
.di-panel .models .model.active { background: var(--jp-brand-color1, #1976d2); color: var(--jp-ui-inverse-font-color1, #fff); }
.di-panel .models .model[aria-selected=true] .id { font-weight: 600; }
.di-panel .models .model.titles { position: sticky; top: 0; z-index: 1; cursor: default;
  background: var(--jp-layout-color1, Canvas); box-shadow: 0 1px #8886; }
@container (max-width: 619px) {
  .di-panel .models { --row: 42px; }
  .di-panel .models .scroll { max-height: 252px; }
  .di-panel .models .model { display: block; line-height: 20px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .di-panel .models .model.titles { display: none; }
  .di-panel .models .model .id { display: block; }
  .di-panel .models .model span:not(.id) { font-size: 0.86em; margin-right: 8px; }
  .di-panel .models .context:not(:empty)::after { content: " tokens"; }
  .di-panel .models .in:not(:empty)::before { content: "in $"; }
  .di-panel .models .out:not(:empty)::before { content: "out $"; }
}
@container (min-width: 620px) {
  .di-panel .pair .models { grid-column: 1 / -1; grid-row: 2; }
}`;

/**
 * Return the places of the rows that have each word of a text in their name or abilities.
 * @param {string[]} texts what is searched, in lower case
 * @param {string} typed
 */
export function findRows(texts, typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (let at = 0; at < texts.length; at++) {
    if (words.every((word) => texts[at].includes(word))) found.push(at);
  }
  return found;
}

/**
 * Return which rows are drawn: the first, and the one after the last.
 * @param {{ top: number, height: number, row: number, count: number }} view in pixels, but for the count
 */
export function rowsInView({ top, height, row, count }) {
  const first = Math.max(0, Math.floor(top / row) - AROUND);
  return [Math.min(first, count), Math.min(count, Math.ceil((top + height) / row) + AROUND)];
}

/** @param {ModelRow} row */
function describeRow([, name, context, sent, written, can, since]) {
  const facts = [
    context && `${context} tokens of context`,
    sent && `$${sent} in, $${written} out per million tokens`,
    can,
    since && `since ${since}`,
  ];
  return [name, ...facts.filter(Boolean)].join(", ");
}

export class ModelList {
  /**
   * @param {HTMLInputElement} field where the user types; Enter there without a chosen row keeps what is typed
   * @param {() => void} onOpen is called when the list is opened
   */
  constructor(field, onOpen) {
    this.field = field;
    this.onOpen = onOpen;
    /** @type {ModelRow[]} */
    this.rows = [];
    /** @type {string[]} */
    this.texts = [];
    /** @type {number[]} */
    this.found = [];
    this.active = -1; // an index of `found`
    this.typed = false;
    this.due = 0;
    this.space = element("div", { className: "rows" });
    this.scroll = element(
      "div",
      { className: "scroll", role: "listbox", id: `${field.id}-list`, "aria-label": "Models", tabIndex: -1 },
      element(
        "div",
        { className: "model titles", "aria-hidden": "true" },
        element("span", { textContent: "model" }),
        ...TITLES.map((title, at) => element("span", { className: FACTS[at], textContent: title })),
      ),
      this.space,
    );
    this.status = element("div", { className: "status faint", role: "status" });
    this.node = element("div", { className: "models", hidden: true }, this.scroll, this.status);
    this.button = element("button", {
      type: "button",
      textContent: "▾",
      "aria-label": "Show the models",
      title: "Show the models",
      tabIndex: -1,
    });
    this.picker = element("div", { className: "picker" }, field, this.button);
    for (const [name, value] of Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.scroll.id,
    }))
      field.setAttribute(name, value);
    field.addEventListener("input", () => {
      this.typed = true;
      this.open();
    });
    field.addEventListener("click", () => this.open());
    field.addEventListener("blur", () => this.close());
    field.addEventListener("keydown", (event) => this.onKey(event));
    this.button.addEventListener("click", () => {
      field.focus();
      if (this.node.hidden) this.open();
      else this.close();
    });
    for (const node of [this.node, this.button]) {
      node.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    }
    this.scroll.addEventListener("scroll", () => this.drawSoon());
    this.scroll.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("[data-at]");
      if (row instanceof HTMLElement) this.choose(Number(row.dataset.at));
    });
  }

  /** @param {ModelRow[]} rows */
  setRows(rows) {
    this.rows = rows;
    this.texts = rows.map((row) => `${row[0]} ${row[5]}`.toLowerCase());
    if (!this.node.hidden) this.search();
  }

  open() {
    const begins = this.node.hidden;
    if (begins) {
      this.node.hidden = false;
      this.field.setAttribute("aria-expanded", "true");
      if (!this.typed) this.field.select(); // what is typed now is searched, in place of the model's name
      this.onOpen();
    }
    if (begins || this.typed) this.search();
  }

  close() {
    this.node.hidden = true;
    this.typed = false;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }

  /** Find the rows again. Until something is typed, all of them are there, at the model in use. */
  search() {
    this.found = findRows(this.texts, this.typed ? this.field.value : "");
    this.active = this.typed ? -1 : this.found.findIndex((at) => this.rows[at][0] === this.field.value);
    const [count, all] = [this.found.length, this.rows.length].map((number) => number.toLocaleString("en"));
    show(
      this.status,
      !this.rows.length
        ? `This endpoint lists no models. Type a name; without one it is: ${this.field.placeholder}.`
        : `${count} of ${all} models, the newest first. Type to search; ↑ ↓ and Enter choose.`,
    );
    this.scroll.scrollTop = 0;
    this.reveal();
  }

  /** Bring the active row into view, and draw. */
  reveal() {
    const { row, height } = this.sizes();
    this.space.style.height = `${row * this.found.length}px`;
    const top = row * this.active;
    if (this.active >= 0 && top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    if (this.active >= 0 && top + row > this.scroll.scrollTop + height)
      this.scroll.scrollTop = top + row - height;
    this.draw();
  }

  sizes() {
    const row = Number.parseFloat(getComputedStyle(this.node).getPropertyValue("--row")) || 25;
    return { row, height: Math.min(250, row * this.found.length) };
  }

  drawSoon() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      this.draw();
    });
  }

  draw() {
    const { row, height } = this.sizes();
    const [first, end] = rowsInView({ top: this.scroll.scrollTop, height, row, count: this.found.length });
    const drawn = this.found
      .slice(first, end)
      .map((at, index) => this.drawRow(first + index, this.rows[at], row));
    this.space.replaceChildren(...drawn);
    const active = this.active >= first && this.active < end;
    if (active) this.field.setAttribute("aria-activedescendant", `${this.scroll.id}-${this.active}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  /**
   * @param {number} index
   * @param {ModelRow} row
   * @param {number} height
   */
  drawRow(index, row, height) {
    const facts = FACTS.map((name, at) => element("span", { className: name, textContent: row[at + 2] }));
    return element(
      "div",
      {
        className: index === this.active ? "model active" : "model",
        role: "option",
        id: `${this.scroll.id}-${index}`,
        style: `top: ${index * height}px`,
        title: row[1],
        "data-at": index,
        "aria-label": describeRow(row),
        "aria-selected": row[0] === this.field.value,
        "aria-setsize": this.found.length,
        "aria-posinset": index + 1,
      },
      element("span", { className: "id", textContent: row[1] }),
      ...facts,
    );
  }

  /** @param {number} index of `found` */
  choose(index) {
    this.field.value = this.rows[this.found[index]][0];
    this.close();
    this.field.dispatchEvent(new Event("change"));
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE_STEP, PageUp: -PAGE_STEP };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      if (this.node.hidden) return this.open();
      const last = this.found.length - 1;
      this.active = Math.max(Math.min(0, last), Math.min(last, this.active + step));
      this.reveal();
    } else if (this.node.hidden) {
      return;
    } else if (event.key === "Enter") {
      if (this.active < 0) return this.close();
      event.preventDefault();
      this.choose(this.active);
    } else if (event.key === "Escape") {
      if (!this.typed) event.stopPropagation(); // else the panel takes back what was typed
      this.close();
    }
  }
}
