// Files that are dropped on the box of a message, or pasted into it. They are uploaded beside the notebook, and
// the message gets a flag for each.
import { withAttachment } from "./turns.js";

const PATHS = "application/x-jupyter-icontents"; // in a drag from the file browser

/**
 * @param {HTMLTextAreaElement} box @param {NotebookTracker} tracker
 * @param {any} manager of documents @param {any} packages
 */
export function acceptFiles(box, tracker, manager, { FileBrowserModel, PathExt, showErrorMessage }) {
	const findFolder = () => PathExt.dirname(tracker.currentWidget?.context.path ?? "");
	const attach = (/** @type {string} */ path) => {
		box.value = withAttachment(box.value, PathExt.relative(findFolder(), path));
		box.focus();
	};

	/** @param {any} event */
	const take = async (event) => {
		const pasted = event.type === "paste";
		const { types, files } = event.dataTransfer ?? event.clipboardData;
		if (!tracker.currentWidget || !types.includes("Files") || (pasted && types.includes("text/plain")))
			return;
		event.preventDefault();
		if (!files.length) return; // they are still dragged
		const all = [...files];
		const prefix = pasted ? `${Date.now()}-` : ""; // every image is called image.png
		const browser = new FileBrowserModel({ manager });
		try {
			await browser.cd(`/${findFolder()}`);
			for (const file of all) attach((await browser.upload(new File([file], prefix + file.name))).path);
		} catch (error) {
			await showErrorMessage("The file is not attached", error);
		}
		browser.dispose();
	};
	for (const type of ["dragover", "drop", "paste"]) box.addEventListener(type, take);

	for (const type of ["lm-dragenter", "lm-dragover", "lm-drop"]) {
		box.addEventListener(type, (/** @type {any} */ event) => {
			if (!tracker.currentWidget || !event.mimeData.hasData(PATHS)) return;
			event.preventDefault();
			event.stopPropagation();
			event.dropAction = event.proposedAction;
			if (type === "lm-drop") event.mimeData.getData(PATHS).forEach(attach);
		});
	}
}
