// @ts-check
// The zero of the logits, which only a repetition penalty needs: the kernel reads it from the local model,
// the position that is looked at first, then all from the beginning, as the model wrote them.
import { element, show } from "./dom.js";

export const NO_ZERO = "the model's answer does not show the logits there.";
const AT_ONCE = 16; // positions of a message

/** @param {number} count */
const positionsText = (count) => `${count.toLocaleString("en")} position${count === 1 ? "" : "s"}`;

export class Zeros {
  /**
   * @param {import("./tokens.js").Tokens} tokens
   * @param {any} model the widget's
   * @param {(positions: number[]) => void} found called when the zeros of these positions are known
   * @param {() => void} stopped called when no more will be known for the time being
   */
  constructor(tokens, model, found, stopped) {
    this.tokens = tokens;
    this.model = model;
    this.waiting = false;
    this.failed = false;
    this.since = 0;
    this.pace = 0; // ms a position
    this.note = element("div", { className: "faint note", role: "status" });
    /** @param {any} message */
    this.receive = ({ type, positions, zeros, error }) => {
      if (type !== "zeros") return;
      this.waiting = false;
      this.failed = error !== undefined;
      if (this.failed) {
        show(this.note, error);
        return stopped();
      }
      for (const [i, at] of positions.entries()) tokens.position(at).zero = zeros[i];
      this.pace = (performance.now() - this.since) / positions.length;
      found(positions);
    };
    model.on("msg:custom", this.receive);
  }

  /** @param {number} at whether a repetition penalty needs the zero there, and it is not known */
  isMissing(at) {
    const { zero, counts = [] } = this.tokens.position(at, true);
    return zero === undefined && counts.some((count) => count > 0);
  }

  /** @param {number} at whether the kernel is at work on it, or will be */
  isPending(at) {
    return !this.failed && this.isMissing(at);
  }

  /** @param {number[]} positions */
  send(positions) {
    this.waiting = true;
    this.failed = false;
    this.since = performance.now();
    this.model.send({ type: "zeros", positions });
  }

  /** @param {number} at a position to read, and no other */
  askOne(at) {
    if (!this.waiting && this.isMissing(at)) this.send([at]);
  }

  /** @param {number} first the position that is wanted first */
  ask(first) {
    if (this.waiting) return;
    const missing = Array.from({ length: this.tokens.size }, (_, at) => at).filter((at) =>
      this.isMissing(at),
    );
    show(this.note, missing.length ? this.progress(missing.length) : this.remark());
    if (missing.length) this.send(missing.includes(first) ? [first] : missing.slice(0, AT_ONCE));
  }

  /** @param {number} left */
  progress(left) {
    const seconds = (left * this.pace) / 1000;
    const wait = seconds > 1 ? `: about ${Math.ceil(seconds)} s` : "";
    return `The model reads the logits of ${positionsText(left)} for the repetition penalty${wait}.`;
  }

  remark() {
    const unknown = this.tokens.positions.filter(({ zero }) => zero === null).length;
    return unknown ? `Not known at ${positionsText(unknown)}: ${NO_ZERO}` : "";
  }

  close() {
    this.model.off("msg:custom", this.receive);
  }
}
