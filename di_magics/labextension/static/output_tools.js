// What is added to the outputs of a notebook: buttons at the code blocks of replies, and a bar below a
// cell that shows a reply or has failed.
//
// New elements tell that an output was drawn or a cell came into view, a cell's model that its text has
// changed: a key costs what its own cell does. Only a click changes the notebook.
import { addCodeButtons } from "./code_blocks.js";
import { element, makeButton } from "./dom.js";
import { activate, addCell, runCell } from "./new_cells.js";
import { asksAgain, isEdited, listOutputs, Replies, readReplies } from "./replies.js";

const WAIT_MS = 100;
const FIX = "%chat fix";
const SHORT_ID = 8; // of a turn, as `%chat fork` knows it

/** @param {FrontEnd} frontEnd */
export function addOutputTools(frontEnd) {
	/** @type {Map<Notebook, () => void>} */
	const all = new Map();
	frontEnd.tracker.widgetAdded.connect((_, panel) => {
		all.set(panel.content, watchOutputs(frontEnd, panel));
		panel.disposed.connect(() => all.delete(panel.content));
	});
	frontEnd.actions.executed.connect((_, { notebook }) => all.get(notebook)?.());
	frontEnd.states.onChange(() => {
		for (const refresh of all.values()) refresh();
	});
}

/** Return a function that reads all replies again. @param {FrontEnd} frontEnd @param {NotebookPanel} panel */
function watchOutputs({ actions, states, icons, apputils }, panel) {
	const notebook = panel.content;
	let waits = false;
	/** @type {Set<Node>} the elements of cells */
	const drawn = new Set(notebook.widgets.map(({ node }) => node));
	/** @type {Set<Cell>} */
	const edited = new Set();
	/** @type {WeakMap<Cell, string>} the turns of cells that are listened to */
	const turnsOf = new WeakMap();
	/** @type {WeakMap<Cell, ReturnType<typeof makeBar>>} */
	const bars = new WeakMap();
	/** @type {Replies | null} */
	let replies = null;
	const observer = new MutationObserver(note);
	observer.observe(notebook.node, { childList: true, subtree: true });
	panel.disposed.connect(() => observer.disconnect());
	updateSoon();

	const indexBelow = (/** @type {Cell} */ cell) => notebook.widgets.indexOf(cell) + 1;

	/** @param {MutationRecord[]} records */
	function note(records) {
		for (const { target, addedNodes } of records) {
			const node = /** @type {HTMLElement} */ (target);
			const cell = node.closest(".jp-CodeCell");
			if (!cell) for (const added of addedNodes) drawn.add(added);
			else if (!node.closest(".jp-InputArea")) drawn.add(cell);
		}
		if (drawn.size) updateSoon();
	}

	function updateSoon() {
		if (waits) return;
		waits = true;
		setTimeout(() => {
			waits = false;
			if (!panel.isDisposed && notebook.model) update();
		}, WAIT_MS);
	}

	function update() {
		for (const cell of drawn.size ? listCells(({ node }) => drawn.has(node)) : []) {
			read(cell);
			edited.add(cell);
		}
		drawn.clear();
		const cells = replies ? [...edited] : listCells(({ node }) => node.isConnected);
		edited.clear();
		replies ??= new Replies(listCells().map(({ model }) => [model.id, readReplies(model.outputs)]));
		for (const cell of cells) if (!cell.isDisposed) drawBar(cell);
	}

	/** Return the cells of code. @param {(cell: Cell) => boolean} [filter] */
	function listCells(filter = () => true) {
		return notebook.widgets.filter((cell) => cell.model.type === "code" && filter(cell));
	}

	/** @param {Cell} cell */
	function read(cell) {
		if (!turnsOf.has(cell)) {
			cell.model.contentChanged.connect(() => {
				edited.add(cell);
				updateSoon();
			});
		}
		const turns = `${readReplies(cell.model.outputs).map(({ turn }) => turn)}`;
		if (turns !== turnsOf.get(cell)) replies = null;
		turnsOf.set(cell, turns);
		const insert = (/** @type {string} */ code) => addCell(notebook, indexBelow(cell), code);
		if (cell.outputArea) addCodeButtons(cell.outputArea, icons, apputils.Clipboard.copyToSystem, insert);
	}

	/** @param {Cell} cell */
	function drawBar(cell) {
		const { model } = cell;
		const reply = readReplies(model.outputs).at(-1);
		const state = states.of(panel);
		const failed =
			state?.failed === model.id && listOutputs(model.outputs).some(({ type }) => type === "error");
		const footer = cell.node.querySelector(":scope > .jp-CellFooter"); // out of view it may have none yet
		if (!footer || !(reply || failed || bars.has(cell))) return;
		const bar = bars.get(cell) ?? makeBar(cell, footer);
		bars.set(cell, bar);
		const source = model.sharedModel.getSource();
		bar.explain.hidden = !failed;
		bar.retry.hidden = !state || !reply || !asksAgain(source);
		bar.fork.hidden = !state || !reply;
		const changed = reply && isEdited(reply, source) && "The prompt was changed since.";
		const outdated = reply && replies?.isOutdated(reply) && "A turn above was asked again since.";
		bar.mark.title = changed || outdated || "";
		bar.mark.hidden = !bar.mark.title;
	}

	/** @param {Cell} cell @param {Element} footer */
	function makeBar(cell, footer) {
		const bar = {
			explain: makeButton("Ask what was wrong: %chat fix", () => explain(cell), "Explain"),
			retry: makeButton("Ask again: run this cell", () => run(indexBelow(cell) - 1), "Retry"),
			fork: makeButton("Continue from here in another conversation", () => fork(cell), "Fork"),
			mark: element("span", {}, "Answered an earlier version"),
		};
		footer.append(element("div", { className: "di-reply-bar" }, ...Object.values(bar)));
		return bar;
	}

	/** @param {number} index @param {string} [added] */
	function run(index, added) {
		if (added) addCell(notebook, index, added);
		runCell(actions, panel, index);
		notebook.activeCell?.node.focus({ preventScroll: true });
	}

	/** @param {Cell} cell */
	function explain(cell) {
		const below = indexBelow(cell);
		const next = notebook.widgets[below]?.model.sharedModel.getSource();
		if (next?.trim() === FIX) activate(notebook, below);
		else run(below, FIX);
	}

	/** @param {Cell} cell */
	async function fork(cell) {
		const [reply] = readReplies(cell.model.outputs).slice(-1);
		const title = "Name of the new conversation";
		const { button, value } = await apputils.InputDialog.getText({ title, okLabel: "Fork" });
		const name = (value ?? "").replace(/\s+/g, " ").trim();
		if (!button.accept || !name || !reply || cell.isDisposed) return;
		const below = indexBelow(cell);
		run(below, `%chat fork ${name} --at ${reply.turn.slice(0, SHORT_ID)}`);
		addCell(notebook, below + 1, "%%chat\n");
		notebook.mode = "edit";
		await notebook.activeCell?.ready;
		notebook.activeCell?.editor?.setCursorPosition({ line: 1, column: 0 });
	}

	return () => {
		replies = null;
		updateSoon();
	};
}
