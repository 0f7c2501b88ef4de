// @ts-check
// The panel's preview: what its settings make of the last position looked at, before anything is asked. It
// comes with the lens's script.
import { Alternatives } from "./alternatives.js";
import { element, show } from "./dom.js";
import { LENS_STYLE } from "./lens_style.js";
import { reshape } from "./reshape.js";
import { filtersOn, isPenalised, OFF } from "./sampler.js";

const PREVIEW_ROWS = 5;

/** @param {string} name of a setting of the panel */
const samplerName = (name) => (name === "repetition_penalty" ? "repeat_penalty" : name);

/**
 * Return the panel's settings by llama.cpp's names; one that cannot be shown is off.
 * @param {Record<string, number>} panel
 * @param {Record<string, string>} disabled the reason by name
 */
export function previewSettings(panel, disabled) {
  const values = { ...OFF };
  for (const [title, value] of Object.entries(panel)) {
    const name = samplerName(title);
    if (name in OFF && Number.isFinite(value) && !(name in disabled)) values[name] = value;
  }
  return values;
}

/**
 * Return why the panel's settings are not all in the preview.
 * @param {Record<string, number>} panel
 * @param {Record<string, string>} disabled the reason by name
 */
export function leftOut(panel, disabled) {
  const ours = Object.entries(panel).filter(([title]) => samplerName(title) in OFF);
  const lines = ours.flatMap(([title, value]) => {
    const reason = disabled[samplerName(title)];
    return reason && value !== OFF[samplerName(title)] ? [`${title} is left out here. ${reason}`] : [];
  });
  const unknown = ours.filter(([, value]) => Number.isNaN(value)).map(([title]) => title);
  if (unknown.length)
    lines.push(`Off here, because the server's default is not known: ${unknown.join(", ")}.`);
  return lines;
}

export class Preview {
  constructor() {
    /** @type {Alternatives | null} */
    this.alternatives = null;
    this.title = element("div", { className: "faint" });
    this.place = element("div");
    this.notes = element("div", { className: "faint note" });
    this.node = element(
      "div",
      { className: "di-lens di-preview" },
      element("style", { textContent: LENS_STYLE }),
      element("div", { className: "lab" }, this.title, this.place, this.notes),
    );
  }

  /**
   * @param {import("./looked.js").Looked} looked
   * @param {Record<string, number>} panel the values of its sliders
   */
  draw({ tokens, at, readZero }, panel) {
    const { head } = tokens;
    if (this.alternatives?.tokens !== tokens) {
      this.alternatives = new Alternatives(tokens, true, null, PREVIEW_ROWS);
      this.place.replaceChildren(this.alternatives.node);
    }
    const values = previewSettings(panel, head.disabled);
    const penalised = isPenalised(values);
    const now = reshape(tokens.position(at, penalised), values, head.order);
    show(this.title, `With these settings, at the last position looked at · ${head.name || head.model}`);
    const filters = filtersOn(values, head.order);
    this.alternatives.draw(at, reshape(tokens.position(at), {}, []), now, null, filters);
    show(this.notes, [...leftOut(panel, head.disabled), ...head.notes].join(" "));
    if (values.repeat_penalty !== 1) readZero?.(at);
  }
}
