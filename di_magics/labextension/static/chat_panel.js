// The chat panel in the right sidebar: a message becomes a %%chat cell of the notebook and runs there,
// and a list of turns leads to their cells.
import { acceptFiles } from "./attachments.js";
import { sendCellsAbove } from "./cells_above.js";
import { element } from "./dom.js";
import { followKernels } from "./kernel_state.js";
import { activate, addCell, runCell } from "./new_cells.js";
import { addOutputTools } from "./output_tools.js";
import { makePanelHead } from "./panel_head.js";
import { followReloaded } from "./reloaded.js";
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
		{ ILayoutRestorer },
	] = await Promise.all(
		["notebook", "apputils", "ui-components", "services", "docmanager", "filebrowser", "application"].map(
			(name) => load(`@jupyterlab/${name}`),
		),
	);
	const [{ PathExt }, { Widget }] = await Promise.all([
		load("@jupyterlab/coreutils"),
		load("@lumino/widgets"),
	]);
	const { IStatusBar } = await load("@jupyterlab/statusbar").catch(() => ({}));
	const { ICommandPalette, CommandToolbarButton } = apputils;
	return {
		id: "di-magics:chat-panel",
		autoStart: true,
		requires: [INotebookTracker, IDocumentManager],
		optional: [ICommandPalette, ILayoutRestorer, IStatusBar].filter(Boolean),
		/** @param {any} app @param {NotebookTracker} tracker @param {any[]} services */
		activate(app, tracker, ...[documents, palette, restorer, statusBar]) {
			const states = followKernels(tracker, KernelMessage.createMessage);
			followReloaded(tracker, KernelMessage.createMessage);
			const panel = makeChatPanel(tracker, NotebookActions, states);
			acceptFiles(panel.message, tracker, documents, { ...apputils, ...files, PathExt });
			const widget = new Widget({ node: panel.node });
			widget.id = "di-magics-chat";
			widget.title.label = "Chat";
			widget.title.caption = LABEL;
			app.shell.add(widget, "right", { rank: 1000 });
			restorer?.add(widget, widget.id);
			const head = makePanelHead(Widget, tracker, states);
			panel.node.prepend(head.node);
			let focus = true;
			widget.onActivateRequest = () => {
				if (focus) setTimeout(() => panel.message.focus());
				focus = true;
			};
			const open = () => app.shell.activateById(widget.id);
			states.onOpen = () => {
				focus = false; // the cell keeps it
				head.open();
				open();
			};
			const frontEnd = { tracker, actions: NotebookActions, states, icons, apputils };
			addOutputTools(frontEnd);
			sendCellsAbove(frontEnd);
			app.commands.addCommand(COMMAND, { label: LABEL, execute: open });
			palette?.addItem({ command: COMMAND, category: "Notebook Operations" });
			statusBar?.registerStatusItem("di-magics:status", {
				item: makeStatusItem(Widget, states, open),
				align: "left",
				rank: 10,
				isActive: () => !!states.of(),
			});
			app.docRegistry.addWidgetExtension("Notebook", {
				createNew: (/** @type {any} */ notebook) => {
					const button = new CommandToolbarButton({ commands: app.commands, id: COMMAND, label: "Chat" });
					notebook.toolbar.insertItem(10, "di-magics:chat", button);
					return button;
				},
			});
		},
	};
}

/** @param {NotebookTracker} tracker @param {NotebookActions} actions @param {KernelStates} states */
function makeChatPanel(tracker, actions, states) {
	let drawn = "";
	let due = 0;
	const turnList = element("ol");
	const hint = element("p");
	const message = element("textarea", {
		rows: 4,
		placeholder: "Enter sends. Shift+Enter begins a new line. Files that are dropped here are attached.",
		onkeydown: onKey,
	});
	const places = [new Option("At the end", "end"), new Option("Below the active cell", "below")];
	const place = element("select", { ariaLabel: "Where the cell is added" }, ...places);
	const button = element("button", { type: "button", onclick: send }, "Send");
	const label = element("label", {}, "Message", message);
	const form = element("form", {}, label, element("div", {}, place, button));
	const turns = element("nav", { ariaLabel: "Turns of the notebook" }, turnList);
	const node = element("div", { className: "di-chat-panel" }, turns, hint, form);
	tracker.widgetAdded.connect((_, { content, context }) => {
		content.modelContentChanged?.connect(drawSoon);
		context.ready.then(drawSoon);
	});
	states.onChange(drawSoon);

	/** Add the message as a cell, and run it. */
	function send() {
		const notebook = tracker.currentWidget;
		const text = message.value.trim();
		if (!notebook?.content.model || !text) return;
		const { content } = notebook;
		const below = place.value === "below" && content.activeCellIndex >= 0;
		const at = below ? content.activeCellIndex : content.widgets.length - 1;
		const cell = content.widgets[at]?.model;
		const isEmpty = cell?.type === "code" && !cell.sharedModel.getSource().trim();
		const index = isEmpty ? at : at + 1; // an empty cell stays the next one to write in
		addCell(content, index, cellOf(text));
		message.value = "";
		runCell(actions, notebook, index);
	}

	/** @param {KeyboardEvent} event */
	function onKey(event) {
		if (event.isComposing) return;
		if (event.key === "Enter" && !event.shiftKey) {
			event.preventDefault();
			send();
		} else if (event.key === "ArrowUp" && !message.value) {
			const last = listSources()
				.map(([, source]) => promptOf(source))
				.findLast(Boolean);
			if (!last) return;
			event.preventDefault();
			message.value = last;
		}
	}

	/** Return ids and texts of the code cells. @returns {[string, string][]} */
	function listSources() {
		const cells = [...(tracker.currentWidget?.content.model?.cells ?? [])];
		return cells.filter(({ type }) => type === "code").map((cell) => [cell.id, cell.sharedModel.getSource()]);
	}

	function drawSoon() {
		cancelAnimationFrame(due);
		due = requestAnimationFrame(draw);
	}

	/** Show the current notebook's turns. */
	function draw() {
		const notebook = tracker.currentWidget;
		const missing = states.of() === null ? "Messages need %load_ext di_magics." : "";
		hint.textContent = notebook ? missing : "Open a notebook to chat in it.";
		button.disabled = !notebook;
		const found = listSources().map(([id, source]) => [id, titleOf(source)]);
		const shown = found.filter(([, title]) => title);
		const wanted = JSON.stringify([notebook?.id, shown]);
		if (wanted === drawn) return;
		drawn = wanted;
		turnList.replaceChildren(...shown.map(([id, title]) => makeItem(id, title)));
	}

	/** @param {string} id of the cell @param {string} title */
	function makeItem(id, title) {
		const onclick = () => {
			const content = tracker.currentWidget?.content;
			const index = content?.widgets.findIndex(({ model }) => model.id === id) ?? -1;
			if (content && index >= 0) activate(content, index, "start");
		};
		return element("li", {}, element("button", { type: "button", onclick }, title));
	}
	return { node, message };
}
