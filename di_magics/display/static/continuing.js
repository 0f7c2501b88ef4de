// @ts-check
// "Continue from here" in the lab: the kernel continues the reply from a token, several times. The replies
// stream into a grid, which is a widget of its own.
import { element, show } from "./dom.js";
import { describeSettings } from "./sampler.js";
import { label } from "./tokens.js";
import { keepOutOfFile } from "./unsaved.js";

export class Continuing {
  /**
   * @param {any} model the widget's
   * @param {import("./sampler.js").Sampler} sampler
   * @param {boolean} ordered whether the order of the filters is sent
   */
  constructor(model, sampler, ordered) {
    this.model = model;
    this.at = 0;
    this.text = "";
    this.waiting = false;
    this.next = ""; // the settings of the replies that are asked for
    this.button = element("button", { type: "button" });
    this.button.addEventListener("click", () => {
      if (this.waiting) return;
      this.wait(true);
      show(this.note, "The model continues …");
      const { settings, order } = sampler;
      this.next = describeSettings(settings, order, ordered);
      model.send({ type: "continue", at: this.at, token: this.text, settings, order });
    });
    this.note = element("span", { className: "faint", role: "status" });
    this.line = element("div", { className: "line draw" }, this.button, this.note);
    this.replies = element("div", {
      className: "replies",
      role: "region",
      "aria-label": "Continued replies",
    });
    /** @param {any} message */
    this.receive = ({ type, grid, error, done }) => {
      if (type === "grid") this.showGrid(grid);
      if (type !== "continued") return;
      this.wait(false);
      const below = "Below: %chat adopt 0 makes the first one the reply, %chat adopt 1 the second …";
      show(this.note, error ?? (done ? `${done} ${below}` : below));
    };
    model.on("msg:custom", this.receive);
  }

  /** @param {boolean} waiting the button keeps the focus meanwhile, as a disabled one would not */
  wait(waiting) {
    this.waiting = waiting;
    this.button.setAttribute("aria-disabled", `${waiting}`);
  }

  /** @param {string} id of the grid's model */
  async showGrid(id) {
    const { widget_manager: manager } = this.model;
    const grid = await keepOutOfFile(manager, id);
    const view = await manager.create_view(grid);
    this.replies.replaceChildren(element("div", { className: "faint", textContent: this.next }), view.el);
    this.replies.scrollIntoView({ block: "nearest" });
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
