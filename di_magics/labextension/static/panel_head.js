// The head of the chat panel: model and cost; unfolded, the panel of parameters of %chat panel. That is a
// widget of the kernel, which the notebook's widget manager draws here as in an output.
import { element } from "./dom.js";
import { describeState } from "./kernel_state.js";

export const WIDGET = "application/vnd.jupyter.widget-view+json";
const ASK = "%chat panel --side";

/** @param {any} Widget @param {NotebookTracker} tracker @param {KernelStates} states */
export function makePanelHead(Widget, tracker, states) {
	let drawn = "";
	/** @type {any} */
	let view = null;
	const line = element("summary");
	const body = element("div");
	const node = element("details", { ontoggle: update }, line, body);
	states.onChange(update);

	function update() {
		const state = states.of();
		const { currentWidget: notebook } = tracker;
		node.hidden = !state;
		if (!state || !notebook) {
			drawn = "";
			clear();
			return;
		}
		const { text, title } = describeState(state);
		line.textContent = `Parameters · ${text}`;
		line.title = title;
		const wanted = `${notebook.id} ${state.panel}`;
		if (!node.open || wanted === drawn) return;
		drawn = wanted;
		clear();
		if (state.panel) void show(notebook, state.panel);
		else ask(notebook);
	}

	/** Let the kernel make its panel; the cell tells which notebook's. @param {NotebookPanel} notebook */
	function ask({ content, sessionContext }) {
		body.textContent = "The panel comes when the kernel is idle.";
		const request = { code: ASK, silent: true, store_history: false, stop_on_error: false };
		sessionContext.session?.kernel?.requestExecute(request, true, { cellId: content.activeCell?.model.id });
	}

	/** @param {NotebookPanel} notebook @param {string} id */
	async function show(notebook, id) {
		try {
			view = notebook.content.rendermime.createRenderer(WIDGET);
			Widget.attach(view, body);
			const data = { [WIDGET]: { version_major: 2, version_minor: 0, model_id: id } };
			await view.renderModel({ data, metadata: {}, trusted: true, setData() {} });
		} catch {
			clear();
			body.textContent = "This page cannot show the panel here. Run %chat panel in a cell.";
		}
	}

	function clear() {
		view?.dispose();
		view = null;
		body.textContent = "";
	}

	return {
		node,
		open() {
			node.open = true;
			update();
		},
	};
}
