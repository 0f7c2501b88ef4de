// @ts-check
// One position: the tokens that could stand there, as bars and numbers, before and after the settings.
import { element, show } from "./dom.js";
import { FILTER_NAMES } from "./reshape.js";
import { label, percent, percentRange } from "./tokens.js";
import { NO_ZERO } from "./zeros.js";

const MAX_ROWS = 100;
const ROUNDED = 5e-4; // less of the other tokens' probability is what 32 bits lose
const SHORT = 10; // characters of a reason that "cut by" has room beside
const MIN_SCALE = 0.05; // a bar is full at the greatest probability, and never at less than this

/** @typedef {{ counts: Map<number, number>, total: number }} Draws how often a token was drawn; -1: another */

// A row of the table.
class AlternativeRow {
  /**
   * @param {boolean} lab
   * @param {((index: number) => void) | null} pick
   */
  constructor(lab, pick) {
    this.index = -1;
    this.name = element("code");
    this.model = element("i", { className: "model" });
    this.least = element("i", { className: "least" });
    this.most = element("i", { className: "most" });
    this.tick = element("i", { className: "tick" });
    this.why = element("em");
    this.now = element("td", { className: "number now" });
    this.raw = element("td", { className: lab ? "number faint" : "number" });
    const bar = element("div", { className: "bar" }, this.model, this.most, this.least, this.tick, this.why);
    this.button = element(
      "button",
      {
        type: "button",
        tabIndex: -1,
        title: "Choose it for Continue from here. Arrow keys go to the others.",
      },
      this.name,
    );
    this.button.addEventListener("click", () => pick?.(this.index));
    this.node = element(
      "tr",
      {},
      element("th", { className: "token", scope: "row" }, pick ? this.button : this.name),
      element("td", {}, bar),
      ...(lab ? [this.now] : []),
      this.raw,
    );
  }

  /**
   * @param {string} name
   * @param {string} kind
   * @param {{ raw: [number, number], now: [number, number], tick: number | null }} values
   * @param {{ short: string, full: string }} why it is cut
   * @param {number} scale the probability of a full bar
   */
  fill(name, kind, { raw, now, tick }, why, scale) {
    show(this.name, name);
    if (this.node.className !== kind) this.node.className = kind;
    /** @param {HTMLElement} bar @param {number} value */
    const stretch = (bar, value) => {
      bar.style.transform = `scaleX(${value / scale})`;
    };
    stretch(this.model, raw[1]);
    stretch(this.least, now[0]);
    stretch(this.most, now[1]);
    this.most.hidden = now[1] - now[0] < 0.002;
    this.tick.hidden = tick === null;
    if (tick !== null) this.tick.style.transform = `translateX(${Math.min(1, tick / scale) * 100}%)`;
    show(this.why, why.short);
    if (this.why.title !== why.full) this.why.title = why.full;
    show(this.now, percentRange(...now));
    show(this.raw, percentRange(...raw));
  }
}

/**
 * Return what cut a token, in full and as short as a bar is: the filters, and the penalty that lowered it.
 * @param {number} filters 1 << number each; which of them it was is not known
 * @param {number} lowered
 */
export function cutTexts(filters, lowered = 0) {
  const names = FILTER_NAMES.filter((_, filter) => filters & (1 << filter));
  const full = `cut by ${names.join(" or ")}${lowered ? " after the penalty" : ""}`;
  const short = `${lowered ? "penalty, " : ""}${names.join("/")}`;
  return { full, short: short.length > SHORT ? short : `cut by ${short}` };
}

/**
 * Return how much of the model's probability each filter removes, as a sentence. It is a range where the
 * other tokens, or one that may be cut, belong to one filter or another.
 * @param {import("./reshape.js").Reshaped} model
 * @param {import("./reshape.js").Reshaped} now
 * @param {string[]} filters those that are on, in their order
 */
export function describeRemovals(model, now, filters) {
  /** @type {Map<string, [number, number]>} */
  const shares = new Map();
  /** @param {string} name @param {number} low @param {number} high */
  const add = (name, low, high) => {
    const [least, most] = shares.get(name) ?? [0, 0];
    shares.set(name, [least + low, most + high]);
  };
  for (const [filter, [low, high]] of now.removed.entries()) add(FILTER_NAMES[filter], low, high);
  for (const [index, cut] of now.cut.entries()) {
    const share = model.high[index];
    const cutters = now.unsure[index] | (cut && 1 << cut);
    if (cut && !now.unsure[index])
      add(`${FILTER_NAMES[cut]}${now.lowered[index] ? " after the penalty" : ""}`, share, share);
    else
      for (const [filter, name] of FILTER_NAMES.entries()) if (cutters & (1 << filter)) add(name, 0, share);
  }
  const removing = [...shares].filter(([, [low, high]]) => low > 0 || high > ROUNDED);
  let more = "";
  const parts = filters.flatMap((filter) => {
    const own = removing.filter(([name]) => name.startsWith(filter));
    if (!own.length) return [`nothing${more} by ${filter}`];
    more = " more";
    return own.map(([name, [low, high]]) => {
      const share = low < ROUNDED && high > ROUNDED ? `at most ${percent(high)}` : percentRange(low, high);
      return `${share} by ${name}`;
    });
  });
  if (!parts.length) return "";
  return ` Removed${filters.length > 1 ? " in this order" : ""}, of the model's probability: ${parts.join(", ")}.`;
}

/**
 * Return the entropy in bits of these weights and of a rest, which is one token or more.
 * @param {number[]} weights
 * @param {number} rest
 * @param {number} many into how many equal tokens the rest is divided
 */
function entropyOf(weights, rest, many) {
  const whole = weights.reduce((total, weight) => total + weight, rest);
  let bits = rest ? (rest / whole) * Math.log2(many) : 0;
  for (const weight of [...weights, rest])
    if (weight > 0) bits -= (weight / whole) * Math.log2(weight / whole);
  return bits;
}

/**
 * Return the bounds of a position's entropy in bits. It is least where the tokens that may be cut are cut
 * and the others are as few as they can be, and greatest where all are left and the others are equal.
 * @param {import("./reshape.js").Reshaped} now
 * @returns {[number, number]}
 */
export function entropyBounds({ weights, unsure, group, atMost }) {
  const all = [...weights].filter((weight) => weight > 0);
  const sure = [...weights].filter((weight, i) => weight > 0 && !unsure[i]);
  const { low, high, count, cap } = group;
  if (high === Infinity) return [0, Math.log2(atMost)];
  const ends = [low, high].map((rest) => entropyOf(sure, rest, Math.max(1, rest / cap)));
  // Of all sums, this one makes the whole as even as it can be.
  const sum = all.reduce((total, weight) => total + weight, 0);
  const best = (sum * count) / 2 ** entropyOf(all, 0, 1);
  const most = count ? entropyOf(all, Math.min(high, Math.max(low, best)), count) : entropyOf(all, 0, 1);
  return [Math.min(...ends), Math.min(most, Math.log2(atMost))];
}

/** @param {number} count @param {string} noun */
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

export class Alternatives {
  /**
   * @param {import("./tokens.js").Tokens} tokens
   * @param {boolean} lab
   * @param {((index: number) => void) | null} pick called with the index of a token that is chosen
   * @param {number} [most] how many tokens it shows, beside the drawn one
   */
  constructor(tokens, lab, pick, most = MAX_ROWS) {
    this.tokens = tokens;
    this.lab = lab;
    const rows = Math.min(tokens.head.most, most) + 2;
    this.rows = Array.from(
      { length: rows },
      (_, place) => new AlternativeRow(lab, place < rows - 1 ? pick : null),
    );
    this.rest = this.rows[this.rows.length - 1];
    this.rows[0].button.tabIndex = 0; // the tab stop of all
    this.heading = element("h4", { role: "status" });
    this.facts = element("div", { className: "facts" });
    /** @param {string} textContent */
    const number = (textContent) => element("th", { className: "number", scope: "col", textContent });
    const table = element(
      "table",
      { "aria-label": "What could stand here" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { className: "token", scope: "col", textContent: "token" }),
          element("th", {
            scope: "col",
            textContent: lab ? "with settings" : "probability in the model",
          }),
          ...(lab ? [number("now"), number("model")] : [element("td", { className: "number" })]),
        ),
      ),
      element("tbody", {}, ...this.rows.map(({ node }) => node)),
    );
    table.addEventListener("keydown", (event) => this.moveFocus(event));
    const box = element("div", { className: "scroll", "data-lm-suppress-shortcuts": "true" }, table);
    this.node = element("div", {}, this.heading, box, this.facts);
  }

  /**
   * Show a position; `model` is what the model gave, `now` what the settings make of it.
   * @param {number} at
   * @param {import("./reshape.js").Reshaped} model
   * @param {import("./reshape.js").Reshaped} now
   * @param {Draws | null} draws
   * @param {string[]} filters those that are on, in their order
   */
  draw(at, model, now, draws, filters) {
    const { tokens, rows, rest } = this;
    const position = tokens.position(at);
    const { own } = position;
    const order = Array.from({ length: position.best }, (_, index) => index);
    if (this.lab) order.sort((a, b) => now.high[b] - now.high[a] || model.high[b] - model.high[a]);
    order.splice(rows.length - 2);
    if (own >= 0 && !order.includes(own)) order.push(own);
    let scale = Math.max(MIN_SCALE, model.rest[1], now.rest[1]);
    for (const index of order) scale = Math.max(scale, model.high[index], now.high[index]);
    /** @param {number} index */
    const tick = (index) => (draws?.total ? (draws.counts.get(index) ?? 0) / draws.total : null);
    for (const [place, row] of rows.slice(0, -1).entries()) {
      const index = order[place];
      row.node.hidden = index === undefined;
      if (index === undefined) continue;
      row.index = index;
      const cut = now.cut[index];
      const maybe = now.unsure[index] ? "may be cut" : "";
      const why = cut
        ? cutTexts(now.unsure[index] | (1 << cut), now.lowered[index])
        : { short: maybe, full: maybe };
      const kind = `${index === own ? "own" : ""}${cut ? " cut" : ""}`;
      const given = Math.exp(position.logprobs[index]);
      /** @type {{ raw: [number, number], now: [number, number] }} */
      const values = {
        raw: [given, given],
        now: this.lab ? [now.low[index], now.high[index]] : [given, given],
      };
      row.fill(
        label(tokens.head.texts[position.tokens[index]]),
        kind,
        { ...values, tick: tick(index) },
        why,
        scale,
      );
    }
    const others = this.others(at);
    rest.node.hidden = others === 0;
    const gone = now.rest[1] === 0 && now.restCut > 0;
    rest.fill(
      "all others",
      gone ? "rest gone" : "rest",
      { raw: model.rest, now: now.rest, tick: tick(-1) },
      gone ? cutTexts(now.restCut) : { short: "", full: "" },
      scale,
    );
    this.tell(at, own, model, now, filters);
  }

  /**
   * Let the up and down keys go from a token to the next one.
   * @param {KeyboardEvent} event
   */
  moveFocus(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const at = this.rows.findIndex(({ button }) => button === event.target);
    const next = this.rows[at + step];
    if (!step || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    if (next && !next.node.hidden) next.button.focus();
  }

  /** @param {number} at the number of tokens that were not returned */
  others(at) {
    const { vocabulary } = this.tokens.head;
    return vocabulary === null ? null : Math.max(0, vocabulary - this.tokens.position(at).tokens.length);
  }

  /**
   * Return why nothing is known of a position with these settings.
   * @param {number} at
   * @param {string[]} notes
   */
  reason(at, notes) {
    const { zero } = this.tokens.position(at);
    if (zero === null) return NO_ZERO;
    if (zero === undefined && this.tokens.head.zeros) return "the model has not read the logits there yet.";
    return `${notes.join("; ")}.`;
  }

  /**
   * Put it in words.
   * @param {number} at
   * @param {number} own
   * @param {import("./reshape.js").Reshaped} model
   * @param {import("./reshape.js").Reshaped} now
   * @param {string[]} filters
   */
  tell(at, own, model, now, filters) {
    const { tokens, lab } = this;
    let words = "its probability is not known";
    if (own >= 0) {
      words = percent(tokens.probability(at));
      if (lab) words += " in the model, ";
      if (lab && now.cut[own]) words += "cannot be drawn now";
      else if (lab) words += `${percentRange(now.low[own], now.high[own])} now`;
    }
    const place = `token ${(at + 1).toLocaleString("en")} of ${tokens.size.toLocaleString("en")}`;
    this.heading.replaceChildren(
      element("code", { textContent: label(tokens.text(at)) }),
      element("span", { className: "faint", textContent: place }),
      element("div", { textContent: words }),
    );
    const shown = lab ? now : model;
    if (shown.notes.length) return show(this.facts, `Not known: ${this.reason(at, shown.notes)}`);
    if (!shown.weights.some((weight) => weight > 0)) return show(this.facts, "");
    const [least, most] = entropyBounds(shown);
    const bits =
      most - least < 0.05
        ? `entropy ${((least + most) / 2).toFixed(2)} bit, as if ${(2 ** ((least + most) / 2)).toFixed(1)} tokens were equally likely`
        : most === Infinity
          ? `entropy at least ${least.toFixed(1)} bit`
          : `entropy ${least.toFixed(1)} to ${most.toFixed(1)} bit`;
    if (!lab) return show(this.facts, `${bits[0].toUpperCase()}${bits.slice(1)}.`);
    const drawable =
      now.survivors === null
        ? `At least ${now.low.filter((value) => value > 0).length} tokens can be drawn`
        : `${counted(now.survivors, "token")} can be drawn`;
    show(
      this.facts,
      `${drawable}; ${bits}.${describeRemovals(model, now, filters)}`.replaceAll(" %", "\u00a0%"),
    );
  }
}
