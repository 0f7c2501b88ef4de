// @ts-check
// %%chat cells are prose: Markdown's colours, wrapped lines, and the line of flags apart.
//
// All of this is computed from the text in the editor. Nothing is written into the notebook's model,
// so the file stays as it is, and a cell is code again as soon as its %%chat is gone: after undo, a
// split, a paste or a new kernel, too. The cell's own language stays set; where the text is a prompt,
// another one comes before it.
import { findChatLine } from "./chat_line.js";

const MARKDOWN = "text/x-ipythongfm"; // with formulas, as in JupyterLab's Markdown cells

/** @param {(name: string) => Promise<any>} load */
export async function prosePlugin(load) {
  const [{ IEditorExtensionRegistry, IEditorLanguageRegistry }, state, view, syntax] = await Promise.all(
    ["@jupyterlab/codemirror", "@codemirror/state", "@codemirror/view", "@codemirror/language"].map(load),
  );
  return {
    id: "di-magics:prose",
    description: "Shows %%chat cells as prose.",
    autoStart: true,
    requires: [IEditorExtensionRegistry, IEditorLanguageRegistry],
    /**
     * @param {unknown} _app
     * @param {any} extensions
     * @param {any} languages
     */
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
 * @param {any} state the package @codemirror/state
 * @param {any} view the package @codemirror/view
 * @param {any} syntax the package @codemirror/language
 * @param {unknown} markdown
 */
function showProse({ Prec, StateField }, { Decoration, EditorView }, { language, StreamLanguage }, markdown) {
  /** @param {any} text */
  const find = (text) => findChatLine(text.iterLines());
  const chatLine = StateField.define({
    create: (/** @type {any} */ { doc }) => find(doc),
    update: (/** @type {number} */ line, /** @type {any} */ change) =>
      change.docChanged ? find(change.newDoc) : line,
  });
  const flags = Decoration.line({ class: "di-flags" });
  const above = Decoration.line({ class: "di-above" });
  return [
    chatLine,
    // While the cell's own language still loads there must be one all the same.
    Prec.lowest(language.of(StreamLanguage.define({ token: (/** @type {any} */ line) => line.skipToEnd() }))),
    Prec.highest(
      language.computeN([chatLine], (/** @type {any} */ now) => (now.field(chatLine) ? [markdown] : [])),
    ),
    EditorView.contentAttributes.compute([chatLine], (/** @type {any} */ now) =>
      now.field(chatLine) ? { class: "cm-lineWrapping di-prose" } : {},
    ),
    EditorView.decorations.compute(["doc", chatLine], (/** @type {any} */ now) => {
      const line = now.field(chatLine);
      const lines = Array.from({ length: line }, (_, i) => now.doc.line(i + 1).from);
      return Decoration.set(lines.map((from, i) => (i + 1 < line ? above : flags).range(from)));
    }),
    EditorView.baseTheme({
      ".di-flags, .di-above": { color: "var(--jp-ui-font-color2)" },
      ".di-flags": { borderBottom: "1px solid var(--jp-border-color2)" },
      ".di-flags span, .di-above span": { color: "inherit !important", fontWeight: "normal !important" },
    }),
  ];
}
