// The item of the status bar: model, cost, and a mark while a reply streams.
import { element } from "./dom.js";
import { describeState } from "./kernel_state.js";

/**
 * Return the item; it is hidden where the kernel has no di_magics.
 * @param {any} Widget @param {KernelStates} states @param {() => void} open
 */
export function makeStatusItem(Widget, states, open) {
	const button = element("button", { className: "di-status-item", onclick: open });
	const widget = new Widget({ node: element("div", {}, button) });
	states.onChange(() => {
		const state = states.of();
		widget.setHidden(!state);
		if (!state) return;
		const { text, title } = describeState(state);
		button.textContent = text;
		button.title = `${title} Opens the chat panel.`;
	});
	return widget;
}
