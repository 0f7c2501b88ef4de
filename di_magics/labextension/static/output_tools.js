// What is added to the outputs of a notebook: buttons at the code blocks of replies, and a bar below a
// cell that shows a reply or has failed.
//
// New elements tell that an output was drawn or a cell came into view, a cell's model that its text has
// changed: a key costs what its own cell does. Nothing but a click changes the notebook.
import { addCodeButtons } from "./code_blocks.js";
import { element, makeButton } from "./dom.js";
import { activate, addCell, runCell } from "./new_cells.js";
import { asksAgain, isEdited, listOutputs, Replies, readReplies } from "./replies.js";

const WAIT_MS = 100;
const FIX = "%chat fix";
const SHORT_ID = 8; // of a turn, as `%chat fork` knows it

/** @param {FrontEnd} frontEnd */
export function addOutputTools(frontEnd) {
	/** @type {Map<Notebook, OutputTools>} */
	const all = new Map();
	frontEnd.tracker.widgetAdded.connect((_, panel) => {
		all.set(panel.content, new OutputTools(frontEnd, panel));
		panel.disposed.connect(() => all.delete(panel.content));
	});
	frontEnd.actions.executed.connect((_, { notebook }) => all.get(notebook)?.refresh());
	frontEnd.states.onChange(() => {
		for (const tools of all.values()) tools.refresh();
	});
}

class OutputTools {
	/** @param {FrontEnd} frontEnd @param {NotebookPanel} panel */
	constructor(frontEnd, panel) {
		this._frontEnd = frontEnd;
		this._panel = panel;
		this._notebook = panel.content;
		this._timer = 0;
		/** @type {Set<Node>} the elements of cells */
		this._drawn = new Set(panel.content.widgets.map(({ node }) => node));
		/** @type {Set<Cell>} */
		this._edited = new Set();
		/** @type {WeakMap<object, string>} the turns of cells that are listened to */
		this._turns = new WeakMap();
		/** @type {WeakMap<object, ReturnType<OutputTools["_makeBar"]>>} */
		this._bars = new WeakMap();
		/** @type {Replies | null} */
		this._replies = null;
		const observer = new MutationObserver((records) => this._note(records));
		observer.observe(this._notebook.node, { childList: true, subtree: true });
		panel.disposed.connect(() => observer.disconnect());
		this._updateSoon();
	}

	refresh() {
		this._replies = null;
		this._updateSoon();
	}

	/** @param {MutationRecord[]} records */
	_note(records) {
		for (const { target, addedNodes } of records) {
			const node = /** @type {HTMLElement} */ (target);
			const cell = node.closest(".jp-CodeCell");
			if (!cell) for (const added of addedNodes) this._drawn.add(added);
			else if (!node.closest(".jp-InputArea")) this._drawn.add(cell);
		}
		if (this._drawn.size) this._updateSoon();
	}

	_updateSoon() {
		this._timer ||= window.setTimeout(() => {
			this._timer = 0;
			if (!this._panel.isDisposed && this._notebook.model) this._update();
		}, WAIT_MS);
	}

	_update() {
		const { _drawn: drawn, _edited: edited } = this;
		for (const cell of drawn.size ? this._cells(({ node }) => drawn.has(node)) : []) {
			this._read(cell);
			edited.add(cell);
		}
		drawn.clear();
		const cells = this._replies ? [...edited] : this._cells(({ node }) => node.isConnected);
		edited.clear();
		this._replies ??= new Replies(this._cells().map(({ model }) => [model.id, readReplies(model.outputs)]));
		for (const cell of cells) if (!cell.isDisposed) this._drawBar(cell);
	}

	/** Return the cells of code. @param {(cell: Cell) => boolean} [filter] */
	_cells(filter = () => true) {
		return this._notebook.widgets.filter((cell) => cell.model.type === "code" && filter(cell));
	}

	/** @param {Cell} cell */
	_read(cell) {
		if (!this._turns.has(cell)) {
			cell.model.contentChanged.connect(() => {
				this._edited.add(cell);
				this._updateSoon();
			});
		}
		const turns = `${readReplies(cell.model.outputs).map(({ turn }) => turn)}`;
		if (turns !== this._turns.get(cell)) this._replies = null;
		this._turns.set(cell, turns);
		const { icons, apputils } = this._frontEnd;
		const insert = (/** @type {string} */ code) => addCell(this._notebook, this._below(cell), code);
		if (cell.outputArea) addCodeButtons(cell.outputArea, icons, apputils.Clipboard.copyToSystem, insert);
	}

	/** @param {Cell} cell */
	_below(cell) {
		return this._notebook.widgets.indexOf(cell) + 1;
	}

	/** @param {Cell} cell */
	_drawBar(cell) {
		const { model } = cell;
		const reply = readReplies(model.outputs).at(-1);
		const state = this._frontEnd.states.of(this._panel);
		const failed =
			state?.failed === model.id && listOutputs(model.outputs).some(({ type }) => type === "error");
		const footer = cell.node.querySelector(":scope > .jp-CellFooter"); // out of view it may have none yet
		if (!footer || !(reply || failed || this._bars.has(cell))) return;
		const bar = this._bars.get(cell) ?? this._makeBar(cell, footer);
		this._bars.set(cell, bar);
		const source = model.sharedModel.getSource();
		bar.explain.hidden = !failed;
		bar.retry.hidden = !state || !reply || !asksAgain(source);
		bar.fork.hidden = !state || !reply;
		const edited = reply && isEdited(reply, source) && "The prompt was changed since.";
		const outdated = reply && this._replies?.isOutdated(reply) && "A turn above was asked again since.";
		bar.mark.title = edited || outdated || "";
		bar.mark.hidden = !bar.mark.title;
	}

	/** @param {Cell} cell @param {Element} footer */
	_makeBar(cell, footer) {
		const bar = {
			explain: makeButton("Ask what was wrong: %chat fix", () => this._explain(cell), "Explain"),
			retry: makeButton("Ask again: run this cell", () => this._run(this._below(cell) - 1), "Retry"),
			fork: makeButton("Continue from here in another conversation", () => this._fork(cell), "Fork"),
			mark: element("span", {}, "Answered an earlier version"),
		};
		footer.append(element("div", { className: "di-reply-bar" }, ...Object.values(bar)));
		return bar;
	}

	/** @param {number} index @param {string} [added] */
	_run(index, added) {
		if (added) addCell(this._notebook, index, added);
		runCell(this._frontEnd.actions, this._panel, index);
	}

	/** @param {Cell} cell */
	_explain(cell) {
		const below = this._below(cell);
		const next = this._notebook.widgets[below]?.model.sharedModel.getSource();
		if (next?.trim() === FIX) activate(this._notebook, below);
		else this._run(below, FIX);
	}

	/** @param {Cell} cell */
	async _fork(cell) {
		const [reply] = readReplies(cell.model.outputs).slice(-1);
		const title = "Name of the conversation that continues here";
		const { button, value } = await this._frontEnd.apputils.InputDialog.getText({ title, okLabel: "Fork" });
		const name = (value ?? "").replace(/\s+/g, " ").trim();
		if (!button.accept || !name || !reply || cell.isDisposed) return;
		const below = this._below(cell);
		this._run(below, `%chat fork ${name} --at ${reply.turn.slice(0, SHORT_ID)}`);
		addCell(this._notebook, below + 1, "%%chat\n");
		this._notebook.mode = "edit";
		this._notebook.activeCell?.editor?.setCursorPosition({ line: 1, column: 0 });
	}
}
