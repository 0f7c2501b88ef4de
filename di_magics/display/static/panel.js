// @ts-check
// The panel: model, parameters and money. It shows the kernel's state and sends what is changed; the
// kernel decides. All that it shows is text: model names and server errors are hostile.
import { element, show } from "./dom.js";
import { whenGone } from "./kernel.js";
import { lastPosition, watchPositions } from "./looked.js";
import { MODEL_LIST_STYLE, ModelList } from "./model_list.js";
import { keepOutOfFile } from "./unsaved.js";

const WAIT = 100; // ms between two messages of a slider that moves
const NO_POSITION =
  "Look at a token with %chat lens, and what these settings make of it is shown here, as the sliders move.";
let count = 0; // for ids that are unique in the page

// In a sidebar (at the end), which is tall, the preview stays above the sliders.
const PANEL_STYLE = `
.di-panel { container-type: inline-size; font-family: var(--jp-ui-font-family, sans-serif);
  font-size: var(--jp-ui-font-size1, 13px); color: var(--jp-ui-font-color1, inherit); min-width: 200px;
  max-width: 1100px; padding: 0 8px 0 3px; }
.di-panel section { border-top: 1px solid #8886; padding: 8px 0; }
.di-panel section:first-of-type { border-top: 0; }
.di-panel h3 { margin: 0 0 6px; font-size: 1em; font-weight: 600; }
.di-panel label, .di-panel .name { font-weight: 600; }
.di-panel .code { font-family: var(--jp-code-font-family, monospace); }
.di-panel input, .di-panel textarea, .di-panel select, .di-panel button {
  font: inherit; color: inherit; background: var(--jp-input-background, transparent);
  border: 1px solid var(--jp-border-color1, #8888); border-radius: 3px; padding: 2px 6px; box-sizing: border-box; }
.di-panel select option { color: initial; }
.di-panel button { cursor: pointer; background: var(--jp-layout-color2, transparent); }
.di-panel button[aria-pressed=true] { border-color: var(--jp-brand-color1, #1976d2); color: var(--jp-brand-color1, #1976d2);
  font-weight: 600; }
.di-panel :disabled { opacity: 0.5; cursor: default; }
.di-panel :focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.di-panel input[type=range] { padding: 0; width: 100%; accent-color: var(--jp-brand-color1, #1976d2); }
.di-panel .wide { width: 100%; }
.di-panel textarea { resize: vertical; }
.di-panel .faint { opacity: 0.75; font-size: 0.92em; }
.di-panel .row { padding: 6px 0; }
.di-panel .row > * + * { margin-top: 3px; }
.di-panel .head { display: flex; flex-wrap: wrap; gap: 2px 8px; align-items: baseline; }
.di-panel .head .state { flex: 1 1 60%; }
.di-panel .row.set .state { flex-basis: 0; }
.di-panel .reset { padding: 0 6px; font-size: 0.92em; }
.di-panel .both { display: grid; grid-template-columns: minmax(60px, 1fr) 76px; gap: 8px; align-items: center; }
.di-panel .both.alone { grid-template-columns: 1fr; }
.di-panel .row.unset input[type=range] { opacity: 0.45; }
.di-panel .row.set .state { color: var(--jp-brand-color1, #1976d2); opacity: 1; }
.di-panel .preview { margin: 6px 0; padding: 4px 0; border-bottom: 1px solid #8886; font-size: 0.92em; }
.di-panel .error { color: var(--jp-error-color1, #c62828); }
.di-panel .warning { border-left: 3px solid var(--jp-warn-color1, #ef6c00); padding: 2px 8px; margin: 4px 0; }
.di-panel .line { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; margin: 4px 0; }
.di-panel .sum { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 8px; margin-top: 4px; }
.di-panel .sum .faint { width: 100%; }
.di-panel .meter { height: 8px; border: 1px solid #8888; border-radius: 4px; overflow: hidden; margin: 3px 0; }
.di-panel .meter div { height: 100%; background: var(--jp-brand-color1, #1976d2); }
.di-panel .meter.full div { background: var(--jp-error-color1, #c62828); }
.di-panel svg { display: block; width: 100%; height: 48px; color: var(--jp-brand-color1, #1976d2); }
@container (max-width: 619px) {
  .di-panel .preview { position: sticky; top: 0; z-index: 1; background: var(--jp-layout-color0, Canvas); }
  .di-panel .row { scroll-margin-top: 340px; }
}
@container (min-width: 620px) {
  .di-panel .rows { display: grid; grid-template-columns: 1fr 1fr; column-gap: 28px; }
  .di-panel .pair { display: grid; grid-template-columns: 1fr 1fr; column-gap: 28px; }
}`;

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field */
/** @typedef {(name: string, value: any, moving?: boolean) => void} Send */
/** @typedef {Record<string, any>} Control a parameter, as core/shown/controls.py describes it */

/**
 * What magics/panel.py sends; a test compares the names.
 * @typedef {object} State
 * @property {Record<string, number>} heard the number of the last message of each view
 * @property {Record<string, string>} errors of the last message, by field
 * @property {string[]} endpoints
 * @property {Record<string, string>} texts
 * @property {Record<string, string>} hints
 * @property {string} about the model
 * @property {boolean} failed
 * @property {string[]} warnings
 * @property {Control[]} controls
 * @property {{ name: string, words: string, on: boolean, allowed: boolean }[]} presets
 * @property {any} money
 * @property {{ words: string, share: number | null } | null} gauge
 * @property {string} next what the next message costs
 * @property {Record<string, string>} copies code to copy, by form
 * @property {string[]} left_out flags that one line cannot hold
 * @property {string} [broken] why there is nothing else
 */

/** @type {WeakMap<EventTarget, string>} what the kernel has of each field */
const filled = new WeakMap();

/**
 * Put text into a field, unless the user is typing in it.
 * @param {Field} field
 * @param {string} text
 */
function fill(field, text) {
  const page = /** @type {Document | ShadowRoot} */ (field.getRootNode());
  const typing = page.activeElement === field && field.value !== (filled.get(field) ?? "");
  filled.set(field, text);
  if (!typing && field.value !== text) field.value = text;
}

/**
 * Put back what the kernel has, and return whether the field had something else. It is sent as well,
 * so that an error about the other value goes away.
 * @param {Field} field
 */
function takeBack(field) {
  const text = filled.get(field);
  if (text === undefined || field.value === text) return false;
  field.value = text;
  return field.dispatchEvent(new Event("change"));
}

/**
 * Keep keys in a field from JupyterLab, which takes plain ones for commands of its own, and Enter.
 * Escape takes back what was typed.
 * @param {HTMLElement} node
 */
function ownKeys(node) {
  node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key !== "Escape" || takeBack(/** @type {Field} */ (event.target))) event.stopPropagation();
  });
}

/** @param {string} text @returns {string} with a point in place of a decimal comma */
const withPoint = (text) => (/^\s*[-+]?\d*,\d+\s*$/.test(text) ? text.replace(",", ".") : text);

// A parameter's row: name, state, reset; slider and number, or a text; the effect.
class Row {
  /** @param {Control} control @param {Send} send */
  constructor(control, send) {
    const id = `di-panel-${++count}`;
    this.name = control.name;
    this.state = element("span", { className: "state faint" });
    this.reset = element("button", {
      type: "button",
      className: "reset",
      textContent: "reset",
      title: "Do not send it: the server's default holds",
      "aria-label": `Reset ${control.name}: do not send it`,
    });
    this.error = element("div", { className: "error", role: "alert" });
    this.note = element("div", { className: "faint" });
    const effect = element("div", { className: "faint", id: `${id}-effect`, textContent: control.effect });
    /** @type {Field[]} */
    this.fields = [];
    /** @type {HTMLInputElement | null} */
    this.slider = null;
    /** @type {HTMLDataListElement | null} */
    this.list = null;
    this.drawn = false;
    this.defaultIsKnown = false;
    if ("low" in control) {
      this.slider = element("input", {
        type: "range",
        id: `${id}-slider`,
        "aria-label": `${control.name} slider`,
        "aria-describedby": `${id}-effect`,
      });
      this.fields.push(this.slider);
    }
    this.field = this.makeField(control, id);
    this.field.setAttribute("aria-describedby", `${id}-effect`);
    this.fields.push(this.field);
    const label = element("label", { htmlFor: id, className: "code", textContent: control.name });
    this.node = element(
      "div",
      { className: "row", role: "group", "aria-label": control.name },
      element("div", { className: "head" }, label, this.state, this.reset),
      element("div", { className: this.slider ? "both" : "both alone" }, ...this.fields),
      ...(this.list ? [this.list] : []),
      effect,
      this.note,
      this.error,
    );
    this.reset.addEventListener("click", () => send(this.name, null));
    this.field.addEventListener("change", () => {
      if (control.kind === "float") this.field.value = withPoint(this.field.value);
      send(this.name, this.field.value);
    });
    const { slider } = this;
    slider?.addEventListener("input", () => {
      this.field.value = slider.value;
      send(this.name, slider.value, true);
    });
    slider?.addEventListener("change", () => send(this.name, slider.value));
  }

  /**
   * @param {Control} control
   * @param {string} id
   * @returns {Field}
   */
  makeField(control, id) {
    if (control.choices.length) {
      const options = ["", ...control.choices].map((value) =>
        element("option", { value, textContent: value || "not sent" }),
      );
      return element("select", { id, className: "wide" }, ...options);
    }
    if (control.kind === "list") {
      return element("textarea", {
        id,
        className: "wide",
        rows: 2,
        placeholder: "one text per line; \\n is a line end",
      });
    }
    if (this.slider) {
      return this.makeNumber(control, id);
    }
    const field = element("input", { id, type: "text", className: "wide", autocomplete: "off" });
    if (control.suggestions.length) {
      this.list = element(
        "datalist",
        { id: `${id}-list` },
        ...[...control.suggestions].map((value) => element("option", { value })),
      );
      field.setAttribute("list", `${id}-list`);
    }
    return field;
  }

  /**
   * Return a field for a number. It is not `type=number`, which drops a comma: 0,7 would become 07.
   * @param {Control} control
   * @param {string} id
   */
  makeNumber({ kind, least, most, step, at }, id) {
    const field = element("input", {
      id,
      type: "text",
      role: "spinbutton",
      inputMode: kind === "float" ? "decimal" : "numeric",
      autocomplete: "off",
      className: "wide",
      "aria-valuemin": least,
      "aria-valuemax": most,
    });
    field.addEventListener("keydown", (event) => {
      const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      const next = Number(withPoint(field.value) || at) + (direction ?? 0) * (step || 1);
      if (!direction || !Number.isFinite(next)) return;
      event.preventDefault();
      field.value = `${Math.min(most, Math.max(least, Number(next.toFixed(6))))}`;
      field.dispatchEvent(new Event("change"));
    });
    return field;
  }

  /** The value that is sent, or else the server's default; NaN if it is not known, or not a number. */
  get number() {
    const text = withPoint(this.field.value) || (this.defaultIsKnown ? this.slider?.value : "");
    return text ? Number(text) : Number.NaN;
  }

  /**
   * Show the kernel's state, unless something newer is on its way to it.
   * @param {Control} control
   * @param {string} [error]
   * @param {boolean} [newer]
   */
  update(control, error, newer) {
    const { state, value } = control;
    this.node.className = `row ${state}`;
    this.defaultIsKnown = !!control.default;
    /** @type {Record<string, string>} */
    const states = { unset: control.unset, set: "sent", locked: control.note };
    show(this.state, states[state]);
    show(this.note, state !== "locked" ? (control.note ?? "") : "");
    show(this.error, error ?? "");
    this.reset.hidden = state !== "set";
    for (const field of this.fields) field.disabled = state === "locked";
    if (this.slider) {
      Object.assign(this.slider, { min: control.low, max: control.high, step: control.step });
      this.slider.setAttribute("aria-valuetext", value === null ? control.unset : `${value}`);
    }
    if (newer || (error && this.drawn)) return;
    this.drawn = true;
    const text = Array.isArray(value)
      ? value.map((line) => line.replaceAll("\n", "\\n").replaceAll("\t", "\\t")).join("\n")
      : `${value ?? ""}`;
    fill(this.field, text);
    if (this.slider) this.slider.value = value ?? control.at;
    if (this.field instanceof HTMLInputElement && this.field.role === "spinbutton")
      this.field.placeholder = control.default.split(" ")[0].replace(/[^\d.]/g, "") || "–";
  }
}

/**
 * @param {HTMLElement} node
 * @param {string} name
 * @param {{ share: number | null, words: string } | null} gauge
 */
function meter(node, name, gauge) {
  node.hidden = gauge?.share == null;
  if (gauge?.share == null) return;
  const percent = Math.round(100 * gauge.share);
  node.className = `meter${gauge.share > 0.9 ? " full" : ""}`;
  /** @type {HTMLElement} */ (node.firstChild).style.width = `${percent}%`;
  for (const [key, value] of Object.entries({
    label: name,
    valuemin: 0,
    valuemax: 100,
    valuenow: percent,
    valuetext: gauge.words,
  })) {
    node.setAttribute(`aria-${key}`, `${value}`);
  }
}

/**
 * @param {SVGSVGElement} svg
 * @param {{ bars: { value: number, words: string, estimate: boolean }[], unit: string }} money
 */
function chart(svg, { bars, unit }) {
  const most = Math.max(...bars.map((bar) => bar.value), 0) || 1;
  const width = 100 / Math.max(bars.length, 30);
  svg.setAttribute("aria-label", `${unit}, the last ${bars.length}`);
  svg.replaceChildren(
    ...bars.map((bar, i) => {
      const height = Math.max(1, (40 * bar.value) / most);
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const place = {
        x: i * width + width * 0.1,
        y: 44 - height,
        width: width * 0.8,
        height,
        fill: "currentColor",
      };
      for (const [name, value] of Object.entries(place)) rect.setAttribute(name, `${value}`);
      if (bar.estimate) rect.setAttribute("fill-opacity", "0.5");
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = bar.words;
      rect.append(title);
      return rect;
    }),
  );
}

/** @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not over https, or not allowed: the old way.
    const field = element("textarea", { value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

export default {
  /** @param {{ model: any }} props */
  initialize({ model }) {
    keepOutOfFile(model.widget_manager, model.get("own_id"));
  },
  /** @param {{ model: any, el: HTMLElement }} props */
  render({ model, el }) {
    const view = Math.random().toString(36).slice(2);
    // The number of the last message about each name.
    /** @type {Record<string, number>} */
    const sent = {};
    /** @type {Record<string, ReturnType<typeof setTimeout>>} */
    const timers = {};
    let number = 0;
    /** @param {"set" | "preset" | "reset" | "open"} type @param {string} name @param {any} [value] */
    const say = (type, name, value) => {
      clearTimeout(timers[name]);
      delete timers[name];
      sent[name] = ++number;
      model.send({ type, view, n: number, name, value });
    };
    // A slider that moves says so ten times a second, and once when it has come to rest.
    /** @type {Send} */
    const send = (name, value, moving) => {
      if (!moving) return say("set", name, value);
      sent[name] = number + 1;
      timers[name] ??= setTimeout(() => say("set", name, rows.get(name)?.slider?.value), WAIT);
    };

    const id = `di-panel-${++count}`;
    const endpoints = element("datalist", { id: `${id}-endpoints` });
    /** @type {Record<string, HTMLInputElement | HTMLTextAreaElement>} */
    const texts = {
      endpoint: element("input", {
        id: `${id}-endpoint`,
        type: "text",
        className: "wide",
        autocomplete: "off",
      }),
      model: element("input", { id: `${id}-model`, type: "text", className: "wide", autocomplete: "off" }),
      system: element("textarea", { id: `${id}-system`, className: "wide", rows: 2 }),
    };
    texts.endpoint.setAttribute("list", `${id}-endpoints`);
    const models = new ModelList(/** @type {HTMLInputElement} */ (texts.model), () => say("open", "models"));
    /** @type {Record<string, HTMLElement>} */
    const errors = {};
    /** @param {string} name @param {string} words @param {HTMLElement} [node] */
    const labelled = (name, words, node = texts[name]) => {
      errors[name] = element("div", { className: "error", role: "alert" });
      texts[name].addEventListener("change", () => say("set", name, texts[name].value));
      return element(
        "div",
        { className: "row" },
        element("label", { htmlFor: texts[name].id, textContent: words }),
        node,
        errors[name],
      );
    };
    const about = element("div", {});

    const presets = element("div", { className: "line", role: "group", "aria-label": "Presets" });
    const reset = element("button", {
      type: "button",
      textContent: "Reset all",
      title: "Send no parameter: the server's defaults hold",
    });
    reset.addEventListener("click", () => say("reset", "all"));
    const warned = element("div", { role: "status" });
    /** @type {Map<string, Row>} */
    const rows = new Map();
    const grid = element("div", { className: "rows" });

    const preview = element("div", {
      className: "preview",
      role: "region",
      "aria-label": "Preview of the next token",
    });
    /** @type {import("./preview.js").Preview | undefined} */
    let drawn;
    let due = 0;
    const drawPreview = () => {
      due ||= requestAnimationFrame(() => {
        due = 0;
        const looked = lastPosition(model);
        if (!looked) return show(preview, NO_POSITION);
        const shown = drawn ?? looked.makePreview();
        if (!drawn) preview.replaceChildren(shown.node);
        drawn = shown;
        shown.draw(looked, Object.fromEntries([...rows].map(([name, row]) => [name, row.number])));
      });
    };

    const sums = element("div", {});
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({
      viewBox: "0 0 100 46",
      preserveAspectRatio: "none",
      role: "img",
    }))
      svg.setAttribute(name, value);
    const unit = element("div", { className: "faint" });
    const bar = () => element("div", { role: "meter" }, element("div"));
    const [budgetBar, contextBar] = [bar(), bar()];
    const [budgetWords, contextWords, next] = [1, 2, 3].map(() => element("div", { className: "faint" }));
    const budget = element("input", {
      id: `${id}-budget`,
      type: "text",
      size: 8,
      placeholder: "none",
      inputMode: "decimal",
    });
    budget.addEventListener("change", () => say("set", "budget", budget.value));
    errors.budget = element("div", { className: "error", role: "alert" });

    const copied = element("span", { className: "faint", role: "status" });
    const copies = element(
      "div",
      { className: "line" },
      element("span", { textContent: "Copy these settings as" }),
    );
    for (const form of ["%%chat", "curl", "Python"]) {
      const button = element("button", {
        type: "button",
        textContent: form,
        "aria-label": `Copy as ${form}`,
      });
      button.addEventListener("click", async () => {
        await copy(model.get("state").copies?.[form] ?? "");
        const left = form === "%%chat" ? (model.get("state").left_out ?? []) : [];
        show(copied, left.length ? `copied, without ${left.join(", ")}: no line can hold it` : "copied");
        setTimeout(() => show(copied, ""), 4000);
      });
      copies.append(button);
    }
    copies.append(copied);

    const broken = element("div", { className: "error", role: "alert" });
    const whole = element(
      "div",
      {},
      element(
        "section",
        { "aria-label": "Model" },
        element(
          "div",
          { className: "pair" },
          labelled("model", "Model", models.picker),
          models.node,
          labelled("endpoint", "Endpoint"),
        ),
        about,
        labelled("system", "System prompt"),
        endpoints,
      ),
      element(
        "section",
        { "aria-label": "Parameters" },
        element("h3", { textContent: "Parameters" }),
        element("div", { className: "line" }, presets, reset),
        warned,
        preview,
        grid,
      ),
      element(
        "section",
        { "aria-label": "Cost" },
        element("h3", { textContent: "Cost" }),
        element(
          "div",
          { className: "pair" },
          element("div", {}, sums, element("div", { className: "line" }, next)),
          element(
            "div",
            {},
            svg,
            unit,
            element(
              "div",
              { className: "line" },
              element("label", { htmlFor: `${id}-budget`, textContent: "Budget in USD" }),
              budget,
            ),
            budgetBar,
            budgetWords,
            errors.budget,
            element("div", { className: "line name", textContent: "Context" }),
            contextBar,
            contextWords,
          ),
        ),
      ),
      element("section", { "aria-label": "Copy" }, copies),
    );
    const root = element(
      "div",
      { className: "di-panel" },
      element("style", { textContent: PANEL_STYLE + MODEL_LIST_STYLE }),
      broken,
      whole,
    );
    ownKeys(root);
    root.addEventListener("input", drawPreview);
    const unwatch = watchPositions(drawPreview);
    el.replaceChildren(root);
    let gone = false;
    const forget = whenGone(model, () => {
      show(broken, "The kernel was restarted: run this cell again for a panel that works.");
      for (const field of root.querySelectorAll("input, select, textarea, button")) {
        field.toggleAttribute("disabled", true);
      }
      gone = true;
    });

    let warnings = "";
    const update = () => {
      /** @type {State} */
      const state = model.get("state");
      if (gone) return;
      show(broken, state.broken ?? "");
      whole.hidden = !!state.broken;
      if (state.broken || !state.controls) return;
      endpoints.replaceChildren(
        ...state.endpoints.map((/** @type {string} */ value) => element("option", { value })),
      );
      const heard = state.heard[view] ?? 0;
      /** @param {string} name */
      const newer = (name) => name in timers || (sent[name] ?? 0) > heard;
      for (const [name, field] of Object.entries({ ...texts, budget })) {
        const text = name === "budget" ? state.money.budget.value : state.texts[name];
        show(errors[name], state.errors[name] ?? "");
        if (!newer(name) && !state.errors[name]) fill(field, text);
        if (name !== "budget") field.placeholder = state.hints[name];
      }
      show(about, state.about);
      about.className = state.failed ? "error" : "faint";
      for (const control of state.controls) {
        const row = rows.get(control.name) ?? new Row(control, send);
        if (!rows.has(control.name)) {
          rows.set(control.name, row);
          grid.append(row.node);
        }
        row.update(control, state.errors[control.name], newer(control.name));
      }
      drawPreview();
      while (presets.children.length < state.presets.length) {
        const button = presets.appendChild(element("button", { type: "button" }));
        button.addEventListener("click", () => say("preset", button.textContent));
      }
      for (const [i, preset] of state.presets.entries()) {
        const button = /** @type {HTMLButtonElement} */ (presets.children[i]);
        show(button, preset.name);
        Object.assign(button, { title: preset.words, disabled: !preset.allowed });
        button.setAttribute("aria-pressed", `${preset.on}`);
      }
      reset.disabled = state.controls.every((control) => control.state !== "set");
      const words = state.warnings.join("\n");
      if (warnings !== words) {
        warnings = words;
        warned.replaceChildren(
          ...state.warnings.map((/** @type {string} */ line) =>
            element("div", { className: "warning", textContent: line }),
          ),
        );
      }
      sums.replaceChildren(
        ...state.money.rows.map((/** @type {string[]} */ [name, cost, counts]) =>
          element(
            "div",
            { className: "sum" },
            element("span", { className: "name", textContent: name }),
            element("span", { textContent: cost }),
            element("span", { className: "faint", textContent: counts }),
          ),
        ),
      );
      svg.toggleAttribute("hidden", !state.money.bars.length);
      show(unit, state.money.bars.length ? state.money.unit : "");
      chart(svg, state.money);
      meter(budgetBar, "Budget spent", state.money.budget.value ? state.money.budget : null);
      show(budgetWords, state.money.budget.words);
      meter(contextBar, "Context used", state.gauge);
      show(contextWords, state.gauge?.words ?? "");
      show(next, state.next);
    };
    const list = () => models.setRows(model.get("models"));
    model.on("change:state", update);
    model.on("change:models", list);
    update();
    list();
    return () => {
      model.off("change:state", update);
      model.off("change:models", list);
      forget();
      unwatch();
      cancelAnimationFrame(due);
      models.close();
      Object.values(timers).forEach(clearTimeout);
    };
  },
};
