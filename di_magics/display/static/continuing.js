// @ts-check
// "Continue from here" in the lab: the kernel continues the reply from a token, several times.
import { element, show } from "./dom.js";
import { harmless, label } from "./tokens.js";

export class Continuing {
  /**
   * @param {import("./tokens.js").Tokens} tokens
   * @param {any} model the widget's
   * @param {() => Record<string, number>} changes the settings that are not as they were sent
   */
  constructor(tokens, model, changes) {
    this.tokens = tokens;
    this.model = model;
    this.at = 0;
    this.text = "";
    this.button = element("button", { type: "button" });
    this.button.addEventListener("click", () => {
      this.button.disabled = true;
      show(this.note, "The model continues …");
      model.send({ type: "continue", at: this.at, token: this.text, settings: changes() });
    });
    this.note = element("span", { className: "faint", role: "status" });
    this.replies = element("ol", { className: "replies", "aria-label": "Continued replies", hidden: true });
    this.node = element("div", { className: "line draw" }, this.button, this.note, this.replies);
    /** @param {any} message */
    this.receive = (message) => {
      if (message.type === "continued") this.show(message);
    };
    model.on("msg:custom", this.receive);
  }

  /** @param {{ error?: string, at: number, token: string, texts: string[] }} message */
  show({ error, at, token, texts }) {
    this.button.disabled = false;
    show(this.note, error ?? "%chat adopt 0 makes the first one the reply, %chat adopt 1 the second …");
    this.replies.hidden = error !== undefined;
    if (error !== undefined) return;
    const before = Array.from({ length: Math.min(at, 8) }, (_, i) =>
      this.tokens.text(at - Math.min(at, 8) + i),
    );
    this.replies.replaceChildren(
      ...texts.map((text) =>
        element(
          "li",
          {},
          element("span", { className: "faint", textContent: `… ${harmless(before.join(""))}` }),
          element("b", { textContent: harmless(token) }),
          harmless(text),
        ),
      ),
    );
  }

  /**
   * @param {number} at
   * @param {string} text of the token to stand there
   */
  choose(at, text) {
    this.at = at;
    this.text = text;
    show(this.button, `Continue from here with ${label(text)}`);
  }

  close() {
    this.model.off("msg:custom", this.receive);
  }
}
