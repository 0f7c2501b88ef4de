// Cells that a click adds to a notebook.

/** Add a code cell and make it active. @param {Notebook} content @param {number} index @param {string} source */
export function addCell(content, index, source) {
	content.model.sharedModel.insertCell(index, { cell_type: "code", source, metadata: { trusted: true } });
	activate(content, index);
}

/** Run a cell. @param {NotebookActions} actions @param {NotebookPanel} panel @param {number} index */
export function runCell(actions, panel, index) {
	activate(panel.content, index);
	void actions.run(panel.content, panel.sessionContext); // scrolls
	activate(panel.content, index, "start");
}

/** Make a cell active, and scroll to it. @param {Notebook} content @param {number} index @param {string} [at] */
export function activate(content, index, at = "smart") {
	content.deselectAll();
	content.activeCellIndex = index;
	void content.scrollToItem?.(index, at)?.catch?.(() => {});
}
