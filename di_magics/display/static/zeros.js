// @ts-check
// The zero of the logits, which only a repetition penalty needs: the kernel reads it from the local model,
// one position after the other, the one that is looked at first.
import { element, show } from "./dom.js";

export const NO_ZERO = "the model's answer does not show the logits there.";

export class Zeros {
  /**
   * @param {import("./tokens.js").Tokens} tokens
   * @param {any} model the widget's
   * @param {(at: number) => void} found called when the zero of a position is known
   */
  constructor(tokens, model, found) {
    this.tokens = tokens;
    this.model = model;
    this.waiting = false;
    this.note = element("div", { className: "faint note", role: "status" });
    /** @param {any} message */
    this.receive = (message) => {
      if (message.type !== "zero") return;
      this.waiting = false;
      if (message.error !== undefined) return show(this.note, message.error);
      tokens.position(message.at).zero = message.zero;
      found(message.at);
    };
    model.on("msg:custom", this.receive);
  }

  /** @param {number} at whether a repetition penalty needs the zero there, and it is not known */
  isMissing(at) {
    const { zero, counts = [] } = this.tokens.position(at, true);
    return zero === undefined && counts.some((count) => count > 0);
  }

  /** @param {number} first the position that is wanted first */
  ask(first) {
    if (this.waiting) return;
    const missing = Array.from({ length: this.tokens.size }, (_, at) => at).filter((at) =>
      this.isMissing(at),
    );
    const left = missing.length;
    const unknown = this.tokens.positions.filter(({ zero }) => zero === null).length;
    const rest = unknown ? `Not known at ${unknown} position${unknown === 1 ? "" : "s"}: ${NO_ZERO}` : "";
    show(
      this.note,
      left ? `The model reads the logits of ${left} more positions for the repetition penalty.` : rest,
    );
    if (!left) return;
    this.waiting = true;
    this.model.send({ type: "zero", at: missing.includes(first) ? first : missing[0] });
  }

  close() {
    this.model.off("msg:custom", this.receive);
  }
}
