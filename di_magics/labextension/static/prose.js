// %%chat cells are prose: Markdown's colours, wrapped lines, and the line of flags apart.
//
// All of this is computed from the text in the editor; the notebook's model does not change. The cell's own
// language stays set; that of a prompt comes before it.
import { findChatLine } from "./chat_line.js";
import { isQuick } from "./quick.js";

const MAX_ABOVE = 50; // lines that look different
const MARKDOWN = "text/x-ipythongfm"; // with formulas, as in JupyterLab's Markdown cells

/** @param {Load} load */
export async function prosePlugin(load) {
	const [{ IEditorExtensionRegistry, IEditorLanguageRegistry }, state, view, syntax] = await Promise.all(
		["@jupyterlab/codemirror", "@codemirror/state", "@codemirror/view", "@codemirror/language"].map(load),
	);
	return {
		id: "di-magics:prose",
		autoStart: true,
		requires: [IEditorExtensionRegistry, IEditorLanguageRegistry],
		/** @param {unknown} _app @param {any} extensions @param {any} languages */
		async activate(_app, extensions, languages) {
			// Before any notebook is open. An editor gets the extensions that there are when it is made.
			const markdown = await languages.getLanguage(MARKDOWN).catch(() => null);
			if (!markdown?.support) return;
			const prose = showProse(state, view, syntax, markdown.support.language);
			extensions.addExtension({
				name: "di-magics:prose",
				/** @param {{ model: { type?: string } }} options */
				factory: ({ model }) =>
					model.type === "code" ? { instance: () => prose, reconfigure: () => null } : null,
			});
		},
	};
}

/**
 * Return CodeMirror's extension for the editor of a code cell.
 * @param {any} state @param {any} view @param {any} syntax @param {unknown} markdown
 */
function showProse({ Prec, StateField }, { Decoration, EditorView }, { language, StreamLanguage }, markdown) {
	const plain = StreamLanguage.define({ token: (/** @type {any} */ line) => line.skipToEnd() });
	/** @param {any} doc */
	const read = (doc) => {
		const line = findChatLine(doc.iterLines());
		return { line, shown: !line ? [] : [isQuick(doc.length, doc.iterLines()) ? markdown : plain] };
	};
	const prompt = StateField.define({
		create: (/** @type {any} */ { doc }) => read(doc),
		update: (/** @type {ReturnType<typeof read>} */ before, /** @type {any} */ change) => {
			if (!change.docChanged) return before;
			const now = read(change.newDoc);
			return now.line === before.line && now.shown[0] === before.shown[0] ? before : now;
		},
	});
	const flags = Decoration.line({ class: "di-flags" });
	const above = Decoration.line({ class: "di-above" });
	return [
		prompt,
		// While the cell's own language still loads.
		Prec.lowest(language.of(plain)),
		Prec.highest(language.computeN([prompt], (/** @type {any} */ now) => now.field(prompt).shown)),
		EditorView.contentAttributes.compute([prompt], (/** @type {any} */ now) =>
			now.field(prompt).line ? { class: "cm-lineWrapping di-prose" } : {},
		),
		EditorView.decorations.compute(["doc", prompt], (/** @type {any} */ now) => {
			const { line } = now.field(prompt);
			const from = (/** @type {number} */ number) => now.doc.line(number).from;
			const lines = Array.from({ length: Math.min(MAX_ABOVE, line - 1) }, (_, i) => above.range(from(i + 1)));
			return Decoration.set(line ? [...lines, flags.range(from(line))] : []);
		}),
	];
}
