// The chat panel in the right sidebar: a message becomes a %%chat cell of the notebook and runs there,
// and a list of the notebook's turns leads to their cells.
import { acceptFiles } from "./attachments.js";
import { element } from "./dom.js";
import { KernelStates } from "./kernel_state.js";
import { activate, addCell, runCell } from "./new_cells.js";
import { addOutputTools } from "./output_tools.js";
import { PanelHead } from "./panel_head.js";
import { makeStatusItem } from "./status_bar.js";
import { cellOf, promptOf, titleOf } from "./turns.js";

const COMMAND = "di-magics:open-chat-panel";
const LABEL = "Chat panel (di_magics)";

/** @param {Load} load */
export async function chatPanelPlugin(load) {
	const [
		{ INotebookTracker, NotebookActions },
		apputils,
		icons,
		{ KernelMessage },
		{ IDocumentManager },
		files,
	] = await Promise.all(
		["notebook", "apputils", "ui-components", "services", "docmanager", "filebrowser"].map((name) =>
			load(`@jupyterlab/${name}`),
		),
	);
	const [{ PathExt }, { Widget }] = await Promise.all([
		load("@jupyterlab/coreutils"),
		load("@lumino/widgets"),
	]);
	const { IStatusBar } = await load("@jupyterlab/statusbar").catch(() => ({}));
	const { ICommandPalette, ToolbarButton } = apputils;
	return {
		id: "di-magics:chat-panel",
		autoStart: true,
		requires: [INotebookTracker, IDocumentManager],
		optional: [ICommandPalette, IStatusBar].filter(Boolean),
		/** @param {any} app @param {NotebookTracker} tracker @param {any[]} services */
		activate(app, tracker, ...[documents, palette, statusBar]) {
			const panel = new ChatPanel(tracker, NotebookActions);
			acceptFiles(panel.message, tracker, documents, { ...apputils, ...files, PathExt });
			const widget = new Widget({ node: panel.node });
			widget.id = "di-magics-chat";
			widget.title.label = "Chat";
			widget.title.caption = LABEL;
			app.shell.add(widget, "right", { rank: 1000 });
			const states = new KernelStates(tracker, KernelMessage.createMessage);
			const head = new PanelHead(Widget, tracker, states);
			panel.node.prepend(head.node);
			let focus = true;
			widget.onActivateRequest = () => {
				if (focus) panel.message.focus();
				focus = true;
			};
			const open = () => app.shell.activateById(widget.id);
			states.onOpen = () => {
				focus = false; // the user's cell keeps it
				head.open();
				open();
			};
			addOutputTools({ tracker, actions: NotebookActions, states, icons, apputils });
			app.commands.addCommand(COMMAND, { label: LABEL, execute: open });
			palette?.addItem({ command: COMMAND, category: "Notebook Operations" });
			statusBar?.registerStatusItem("di-magics:status", {
				item: makeStatusItem(Widget, states, open),
				align: "left",
				rank: 10,
				isActive: () => states.current !== null, // asked whenever the status bar is drawn anew
			});
			app.docRegistry.addWidgetExtension("Notebook", {
				createNew: (/** @type {any} */ notebook) => {
					const button = new ToolbarButton({ label: "Chat", tooltip: LABEL, onClick: open });
					notebook.toolbar.insertItem(10, "di-magics:chat", button);
					return button;
				},
			});
		},
	};
}

class ChatPanel {
	/** @param {NotebookTracker} tracker @param {NotebookActions} actions */
	constructor(tracker, actions) {
		this._tracker = tracker;
		this._actions = actions;
		/** @type {NotebookPanel | null} */
		this._shown = null;
		this._due = 0;
		this._turns = element("ol");
		this._hint = element("p");
		this.message = element("textarea", {
			rows: 4,
			placeholder: "Enter sends. Shift+Enter begins a new line. Files that are dropped here are attached.",
			onkeydown: (/** @type {KeyboardEvent} */ event) => this._onKey(event),
		});
		this.message.dataset.lmSuppressShortcuts = "";
		const places = [new Option("At the end", "end"), new Option("Below the active cell", "below")];
		this._place = element("select", { ariaLabel: "Where the cell is added" }, ...places);
		this._send = element("button", {}, "Send");
		const onsubmit = (/** @type {Event} */ event) => {
			event.preventDefault();
			this.send();
		};
		const label = element("label", {}, "Message", this.message);
		const form = element("form", { onsubmit }, label, element("div", {}, this._place, this._send));
		const turns = element("nav", { ariaLabel: "Turns of the notebook" }, this._turns);
		this.node = element("div", { className: "di-chat-panel" }, turns, this._hint, form);
		tracker.currentChanged.connect(() => this._follow());
		this._follow();
	}

	/** Add the message as a cell and run it; the box is then empty. */
	send() {
		const notebook = this._tracker.currentWidget;
		const text = this.message.value.trim();
		if (!notebook?.content.model || !text) return;
		const { content } = notebook;
		const below = this._place.value === "below" && content.activeCellIndex >= 0;
		const index = below ? content.activeCellIndex + 1 : content.widgets.length;
		addCell(content, index, cellOf(text));
		this.message.value = "";
		runCell(this._actions, notebook, index);
	}

	/** @param {KeyboardEvent} event */
	_onKey(event) {
		if (event.isComposing) return;
		if (event.key === "Enter" && !event.shiftKey) {
			event.preventDefault();
			this.send();
		} else if (event.key === "ArrowUp" && !this.message.value) {
			const last = this._cells()
				.map((cell) => promptOf(cell.sharedModel.getSource()))
				.findLast(Boolean);
			if (!last) return;
			event.preventDefault();
			this.message.value = last;
		}
	}

	/** @returns {any[]} */
	_cells() {
		const model = this._shown?.content.model;
		return model ? [...model.cells].filter((cell) => cell.type === "code") : [];
	}

	/** Show the turns of the notebook that is current now. */
	_follow() {
		const notebook = this._tracker.currentWidget;
		if (notebook !== this._shown) {
			this._shown?.content.modelContentChanged?.disconnect(this._drawSoon, this);
			this._shown = notebook;
			notebook?.content.modelContentChanged?.connect(this._drawSoon, this);
			notebook?.context.ready.then(() => this._drawSoon());
		}
		this._drawSoon();
	}

	_drawSoon() {
		cancelAnimationFrame(this._due);
		this._due = requestAnimationFrame(() => this._draw());
	}

	_draw() {
		const turns = this._cells().flatMap((cell) => {
			const title = titleOf(cell.sharedModel.getSource());
			return title ? [{ id: cell.id, title }] : [];
		});
		const known = /** @type {HTMLElement[]} */ ([...this._turns.children]);
		turns.forEach(({ id, title }, index) => {
			const item = known[index] ?? this._turns.appendChild(this._makeItem());
			item.dataset.cell = id;
			const button = /** @type {HTMLElement} */ (item.firstChild);
			if (button.textContent !== title) button.textContent = title;
		});
		for (const item of known.slice(turns.length)) item.remove();
		const hint = !this._shown
			? "Open a notebook to chat in it."
			: turns.length
				? ""
				: "There is no %%chat cell yet. Run %load_ext di_magics before the first message.";
		if (this._hint.textContent !== hint) this._hint.textContent = hint;
		this._send.disabled = !this._shown;
	}

	_makeItem() {
		const onclick = () => {
			const content = this._tracker.currentWidget?.content;
			const index = content?.widgets.findIndex(({ model }) => model.id === item.dataset.cell) ?? -1;
			if (content && index >= 0) activate(content, index);
		};
		const item = element("li", {}, element("button", { type: "button", onclick }));
		return item;
	}
}
