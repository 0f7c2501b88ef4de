// The head of the chat panel: model and cost; unfolded, the panel of parameters of %chat panel. That is a
// widget of the kernel, which the notebook's widget manager draws here as it does in an output.
import { element } from "./dom.js";
import { describeState } from "./kernel_state.js";

const WIDGET = "application/vnd.jupyter.widget-view+json";
const ASK = "%chat panel --side";

export class PanelHead {
	/** @param {any} Widget @param {NotebookTracker} tracker @param {KernelStates} states */
	constructor(Widget, tracker, states) {
		this._Widget = Widget;
		this._tracker = tracker;
		this._states = states;
		this._drawn = "";
		/** @type {any} */
		this._view = null;
		this._line = element("summary");
		this._body = element("div");
		this.node = element("details", { ontoggle: () => this._update() }, this._line, this._body);
		states.onChange(() => this._update());
	}

	/** Unfold the parameters. */
	open() {
		this.node.open = true;
		this._update();
	}

	_update() {
		const state = this._states.current;
		const { currentWidget: notebook } = this._tracker;
		this.node.hidden = !state;
		if (!state || !notebook) {
			this._drawn = "";
			this._clear();
			return;
		}
		const { text, title } = describeState(state);
		this._line.textContent = `Parameters · ${text}`;
		this._line.title = title;
		const wanted = `${notebook.id} ${state.panel}`;
		if (!this.node.open || wanted === this._drawn) return;
		this._drawn = wanted;
		this._clear();
		if (state.panel) void this._show(notebook, state.panel);
		else this._ask(notebook);
	}

	/** Let the kernel make its panel; the cell tells which notebook's. @param {NotebookPanel} notebook */
	_ask(notebook) {
		this._body.textContent = "The panel comes when the kernel is idle.";
		const cellId = notebook.content.activeCell?.model.id;
		const request = { code: ASK, silent: true, store_history: false, stop_on_error: false };
		notebook.sessionContext.session?.kernel?.requestExecute(request, true, { cellId });
	}

	/** @param {NotebookPanel} notebook @param {string} id */
	async _show(notebook, id) {
		try {
			const view = notebook.content.rendermime.createRenderer(WIDGET);
			this._view = view;
			this._Widget.attach(view, this._body);
			const data = { [WIDGET]: { version_major: 2, version_minor: 0, model_id: id } };
			await view.renderModel({ data, metadata: {}, trusted: true, setData() {} });
		} catch {
			this._clear();
			this._body.textContent = "This page cannot show the panel here. Run %chat panel in a cell.";
		}
	}

	_clear() {
		this._view?.dispose();
		this._view = null;
		this._body.textContent = "";
	}
}
