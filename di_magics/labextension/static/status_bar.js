// @ts-check
// The item of the status bar: model, cost, and a mark while a reply streams.
import { describeState } from "./kernel_state.js";

/**
 * Return the item; it is hidden where the kernel has no di_magics.
 * @param {any} Widget the class of @lumino/widgets
 * @param {import("./kernel_state.js").KernelStates} states
 * @param {() => void} open
 */
export function makeStatusItem(Widget, states, open) {
  const button = document.createElement("button");
  button.className = "di-status-item";
  button.addEventListener("click", open);
  const widget = new Widget({ node: document.createElement("div") });
  const style = widget.node.appendChild(document.createElement("style"));
  style.textContent = STYLE;
  widget.node.append(button);
  states.onChange(() => {
    const state = states.current;
    widget.setHidden(!state);
    if (!state) return;
    const { text, title } = describeState(state);
    button.textContent = text;
    button.title = `${title} Opens the chat panel.`;
  });
  return widget;
}

const STYLE = `
.di-status-item { border: 0; background: none; color: inherit; font: inherit; padding: 0 4px; line-height: 24px;
  max-width: 24em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; cursor: pointer; }
.di-status-item:hover { background: var(--jp-layout-color3); }
.di-status-item:focus-visible { outline: 1px solid var(--jp-brand-color1); }
`;
