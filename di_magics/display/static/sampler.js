// @ts-check
// The lab's settings: sliders, presets, the order of the filters, and drawing.
import { element, show } from "./dom.js";

/** @typedef {Record<string, number>} Values settings by llama.cpp's names */

/** A slider: its name as a setting of the sampler, its name for the user, from, to, step, value for off. */
/** @type {[string, string, number, number, number, number | null][]} */
const SLIDERS = [
  ["temperature", "temperature", 0, 2, 0.01, null],
  ["top_k", "top_k", 0, 100, 1, 0],
  ["top_p", "top_p", 0.01, 1, 0.01, 1],
  ["min_p", "min_p", 0, 1, 0.01, 0],
  ["presence_penalty", "presence_penalty", -2, 2, 0.1, 0],
  ["frequency_penalty", "frequency_penalty", -2, 2, 0.1, 0],
  ["repeat_penalty", "repetition_penalty", 1, 2, 0.05, 1],
];
/** @type {Values} the values with which a setting changes nothing */
export const OFF = {
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  presence_penalty: 0,
  frequency_penalty: 0,
  repeat_penalty: 1,
};
const PENALTIES = ["presence_penalty", "frequency_penalty", "repeat_penalty"];
/** @type {Record<string, string>} */
const FILTERS = {
  penalties: "makes tokens that were there before less likely",
  top_k: "keeps the k most likely tokens",
  top_p: "keeps the most likely tokens that together have the probability p",
  min_p: "keeps tokens at least p times as likely as the most likely one",
  temperature: "makes the distribution more peaked (below 1) or flatter (above 1)",
};
const CUTTING = ["top_k", "top_p", "min_p"];
const DRAWS = [10, 100, 1000];
const EXACT = 0.005; // what is known to this much needs no remark
const COMPARABLE = 0.05; // and to this much can be compared with what was drawn
const FRAMES = 45; // that drawing takes at most

/** @param {Values} values */
export const isPenalised = (values) => PENALTIES.some((name) => values[name] !== OFF[name]);

/**
 * Return the filters that can remove tokens with these values, as FILTER_NAMES has them, in their order.
 * @param {Values} values
 * @param {readonly string[]} order
 */
export const filtersOn = (values, order) =>
  order.flatMap((name) => {
    if (name === "temperature") return values.temperature === 0 ? ["temperature 0"] : [];
    return CUTTING.includes(name) && values[name] !== OFF[name] ? [name] : [];
  });

/**
 * Say with what a reply was continued.
 * @param {Values} values
 * @param {readonly string[]} order
 * @param {boolean} ordered whether the order was sent
 */
export function describeSettings(values, order, ordered) {
  const set = SLIDERS.filter(([name, , , , , off]) => values[name] !== off);
  const parts = set.map(([name, title]) => `${title} ${values[name]}`);
  if (ordered) parts.push(`in the order ${order.join(", ")}`);
  const filters = filtersOn(values, order);
  const alike = filters.includes("temperature 0") || (filters.includes("top_k") && values.top_k === 1);
  const all = ordered ? "so all are alike" : "so they may all be alike";
  return `Continued with ${parts.join(", ")}.${alike ? ` Only the likeliest token can be drawn, ${all}.` : ""}`;
}

/**
 * Say how near drawn tokens are to the theory.
 * @param {Pick<import("./reshape.js").Reshaped, "low" | "high" | "rest">} position
 * @param {import("./alternatives.js").Draws} draws
 */
export function describeDraws({ low, high, rest }, { counts, total }) {
  const drawn = `${total.toLocaleString("en")} drawn`;
  const ends = [
    [...low, rest[0]],
    [...high, rest[1]],
  ];
  const middles = ends[0].map((value, index) => (value + ends[1][index]) / 2);
  const whole = middles.reduce((sum, value) => sum + value, 0);
  const error = ends[1].reduce((sum, value, index) => sum + value - ends[0][index], 0) / 2;
  if (error > COMPARABLE)
    return `${drawn} from the middle of the ranges: not comparable, because the theory is only known as ranges`;
  const last = middles.length - 1;
  let off = 0;
  for (const [index, share] of middles.entries())
    off += Math.abs((counts.get(index === last ? -1 : index) ?? 0) / total - share / whole);
  const known = error > EXACT ? `, which is known to ${(error * 100).toFixed(1)} %` : "";
  return `${drawn}: ${((off / 2) * 100).toFixed(1)} % away from the theory${known}`;
}

export class Sampler {
  /**
   * @param {import("./tokens.js").Head} head
   * @param {() => void} changed called when a value or the order has changed
   */
  constructor(head, changed) {
    this.changed = changed;
    this.values = { ...OFF, ...head.values };
    this.order = head.order.filter((name) => name in FILTERS);
    this.orders = head.orders;
    this.disabled = head.disabled;
    /** @type {Map<string, { input: HTMLInputElement, output: HTMLOutputElement, off: number | null }>} */
    this.sliders = new Map();
    const sliders = element("div", {
      className: "sliders",
      role: "group",
      "aria-label": "Sampling settings",
    });
    for (const slider of SLIDERS) sliders.append(this.makeSlider(slider));
    this.presets = this.makePresets(head);
    this.chips = element("ol", {
      className: "order",
      "aria-label": "Filters in the order in which they apply",
    });
    this.servers = Object.entries(this.orders).map(([name, order]) =>
      this.button(name, () => this.setOrder(order)),
    );
    this.node = element(
      "div",
      { className: "settings", role: "region", "aria-label": "Settings" },
      this.presets.node,
      sliders,
      element(
        "div",
        { className: "line" },
        element("span", { className: "name", textContent: "Order" }),
        this.chips,
        element("span", { className: "faint", textContent: "as in" }),
        ...this.servers,
      ),
      ...head.notes.map((textContent) => element("div", { className: "faint note", textContent })),
    );
    this.drawChips();
    this.update();
  }

  /** @param {string} textContent @param {() => void} act */
  button(textContent, act) {
    const button = element("button", { type: "button", textContent, "aria-pressed": "false" });
    button.addEventListener("click", act);
    return button;
  }

  /** @param {[string, string, number, number, number, number | null]} slider */
  makeSlider([name, title, min, max, step, off]) {
    const id = `di-lab-${Math.random().toString(36).slice(2)}`;
    const reason = this.disabled[name];
    const output = element("output", { className: "number", htmlFor: id });
    const input = element("input", { type: "range", id, min, max, step, disabled: reason !== undefined });
    input.addEventListener("input", () => {
      this.values[name] = Number(input.value);
      this.changed();
    });
    this.sliders.set(name, { input, output, off });
    const note = element("p", { className: "faint", id: `${id}-why`, textContent: reason });
    if (reason !== undefined) input.setAttribute("aria-describedby", note.id);
    return element(
      "div",
      { className: "slider" },
      element("label", { htmlFor: id, textContent: title }),
      output,
      input,
      ...(reason === undefined ? [] : [note]),
    );
  }

  /** @param {import("./tokens.js").Head} head */
  makePresets(head) {
    /** @type {[string, Values, string[] | null][]} */
    const list = [
      ["As sent", head.settings, head.order],
      ["The model itself", {}, null],
      ["Greedy", { temperature: 0 }, null],
      ["llama.cpp's defaults", head.llama, this.orders["llama.cpp"]],
      ["vLLM's defaults", {}, this.orders.vLLM],
    ];
    const buttons = list.map(([name, values, order]) =>
      this.button(name, () => {
        Object.assign(this.values, OFF, values);
        if (order) this.setOrder(order);
        else this.changed();
      }),
    );
    const node = element(
      "div",
      { className: "line", role: "group", "aria-label": "Presets" },
      element("span", { className: "name", textContent: "Settings" }),
      ...buttons,
    );
    return { node, list, buttons };
  }

  /** @param {readonly string[]} order */
  setOrder(order) {
    this.order = [...order];
    this.drawChips();
    this.changed();
  }

  /**
   * Let a filter and the next one change places.
   * @param {number} at
   */
  swap(at) {
    const order = [...this.order];
    [order[at], order[at + 1]] = [order[at + 1], order[at]];
    this.setOrder(order);
  }

  drawChips() {
    const { order } = this;
    const items = order.map((name, at) => {
      const chip = element("button", {
        type: "button",
        className: "chip",
        textContent: name,
        title: `${name} ${FILTERS[name]}. Alt and an arrow key move it.`,
        "aria-label": `${name}, filter ${at + 1} of ${order.length}. Alt and an arrow key move it.`,
      });
      chip.addEventListener("keydown", (event) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (!event.altKey || !step) return;
        event.preventDefault();
        event.stopPropagation();
        if (order[at + step] === undefined) return;
        this.swap(step > 0 ? at : at - 1);
        /** @type {HTMLElement | null} */ (this.chips.children[at + step].querySelector(".chip"))?.focus();
      });
      if (at === order.length - 1) return element("li", {}, chip);
      const arrow = element("button", {
        type: "button",
        className: "swap",
        textContent: "→",
        title: `Swap ${name} and ${order[at + 1]}`,
        "aria-label": `Swap ${name} and ${order[at + 1]}`,
        tabIndex: -1,
      });
      arrow.addEventListener("click", () => {
        this.swap(at);
        /** @type {HTMLElement | null} */ (this.chips.children[at].querySelector(".swap"))?.focus();
      });
      return element("li", {}, chip, arrow);
    });
    this.chips.replaceChildren(...items);
  }

  /** Show the values, and which presets and orders they are. */
  update() {
    const { values, order } = this;
    for (const [name, { input, output, off }] of this.sliders) {
      const text = `${values[name]}`;
      if (input.value !== text) input.value = text;
      show(output, values[name] === off ? "off" : text);
      input.setAttribute("aria-valuetext", values[name] === off ? "off" : text);
    }
    const here = JSON.stringify(order);
    for (const [at, server] of Object.values(this.orders).entries()) {
      this.servers[at].setAttribute("aria-pressed", `${JSON.stringify(server) === here}`);
    }
    const { list, buttons } = this.presets;
    for (const [at, [, preset, wanted]] of list.entries()) {
      const same = Object.keys(OFF).every((name) => values[name] === (preset[name] ?? OFF[name]));
      const ordered = !wanted || JSON.stringify(wanted) === here;
      buttons[at].setAttribute("aria-pressed", `${same && ordered}`);
    }
    for (const item of this.chips.children) {
      const chip = /** @type {HTMLElement} */ (item.firstChild);
      const off = this.isOff(chip.textContent ?? "");
      chip.toggleAttribute("data-off", off);
    }
  }

  /** @param {string} filter */
  isOff(filter) {
    const { values } = this;
    return filter === "penalties" ? !isPenalised(values) : values[filter] === OFF[filter];
  }

  /** The settings that have a slider. */
  get settings() {
    return Object.fromEntries(Object.keys(OFF).map((name) => [name, this.values[name]]));
  }

  get penalised() {
    return isPenalised(this.values);
  }
}

// Draws tokens of a position, and compares how often they came with their probabilities.
export class Drawing {
  /** @param {() => void} changed called when there is something new to show */
  constructor(changed) {
    this.changed = changed;
    /** @type {import("./alternatives.js").Draws | null} */
    this.draws = null;
    this.note = element("span", { className: "faint", role: "status" });
    this.clear = element("button", { type: "button", textContent: "Clear", hidden: true });
    this.clear.addEventListener("click", () => {
      this.node.querySelector("button")?.focus(); // this one is hidden now
      this.forget();
      changed();
    });
    /** @type {() => import("./reshape.js").Reshaped} */
    this.position = () => {
      throw new Error("no position yet");
    };
    const buttons = DRAWS.map((count) => {
      const button = element("button", {
        type: "button",
        textContent: count.toLocaleString("en"),
        "aria-label": `Draw ${count.toLocaleString("en")} tokens`,
      });
      button.addEventListener("click", () => this.start(count));
      return button;
    });
    this.node = element(
      "div",
      { className: "draw line", role: "group", "aria-label": "Draw tokens" },
      element("span", { className: "name", textContent: "Draw" }),
      ...buttons,
      this.clear,
      this.note,
    );
  }

  forget() {
    cancelAnimationFrame(this.frame ?? 0);
    this.draws = null;
    this.clear.hidden = true;
    show(this.note, "");
  }

  /** @param {number} count */
  start(count) {
    this.forget();
    const position = this.position();
    if (position.notes.length) return show(this.note, "Nothing to draw from: not known here");
    const { low, high, rest } = position;
    // Where a probability is an interval, its middle is drawn from.
    const shares = [...high].map((value, index) => (value + low[index]) / 2);
    const draws = { counts: new Map(), total: 0 };
    const other = (rest[0] + rest[1]) / 2;
    const whole = shares.reduce((total, share) => total + share, other);
    this.draws = draws;
    this.clear.hidden = false;
    const step = () => {
      for (let i = Math.ceil(count / FRAMES); i > 0 && draws.total < count; i--) {
        let left = Math.random() * whole;
        const index = shares.findIndex((share) => {
          left -= share;
          return left < 0;
        });
        draws.counts.set(index, (draws.counts.get(index) ?? 0) + 1);
        draws.total += 1;
      }
      show(this.note, describeDraws(position, draws));
      this.changed();
      if (draws.total < count) this.frame = requestAnimationFrame(step);
    };
    step();
  }
}
