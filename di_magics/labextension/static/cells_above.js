// What stands above a cell that asks, for `--above`: sent to the kernel right before that cell. How the
// kernel reads it: magics/page_cells.py.

const ASKS = /^[ \t]*%%?chat\b/m;
const USES = /^[ \t]*%%?chat\b.*\babove\b/m;
const MAX_TEXT_CHARS = 10_000;
const MAX_CHARS = 2_000_000; // of a message; the kernel uses less

/** @param {FrontEnd} frontEnd */
export function sendCellsAbove({ tracker, actions, states }) {
	actions.executionScheduled.connect((_, { notebook, cell }) => {
		const panel = tracker.find(({ content }) => content === notebook);
		const models = notebook.widgets.map(({ model }) => model);
		const sourceOf = (/** @type {Cell["model"]} */ model) => model.sharedModel.getSource();
		if (!panel || !ASKS.test(sourceOf(cell.model))) return;
		if (!states.of(panel)?.above && !models.some((model) => USES.test(sourceOf(model)))) return;
		const count = models.indexOf(cell.model);
		const above = shorten(models.slice(0, count));
		states.send(panel.sessionContext, { cell: cell.model.id, count, above });
	});
}

/** Return the last of these cells as in a file, with texts alone. @param {object[]} models */
export function shorten(models) {
	const texts = [];
	let room = MAX_CHARS;
	for (const model of models.reverse()) {
		const text = JSON.stringify(model, keepText);
		room -= text.length;
		if (room < 0) break;
		texts.unshift(text);
	}
	return JSON.parse(`[${texts}]`);
}

/** @param {string} key @param {any} value */
function keepText(key, value) {
	if (key.startsWith("image/")) return ""; // the kernel counts it
	if (key === "attachments" || (key.includes("/") && key !== "text/plain")) return undefined;
	if (typeof value !== "string" || key === "source" || value.length <= MAX_TEXT_CHARS) return value;
	return `${value.slice(0, MAX_TEXT_CHARS / 2)}\n…\n${value.slice(-MAX_TEXT_CHARS / 2)}`;
}
