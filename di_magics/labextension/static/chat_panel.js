// @ts-check
// The chat panel in the right sidebar: a message becomes a %%chat cell of the notebook and runs there,
// and a list of the notebook's turns leads to their cells. All texts are set as text.
import { KernelStates } from "./kernel_state.js";
import { PanelHead } from "./panel_head.js";
import { makeStatusItem } from "./status_bar.js";
import { cellOf, promptOf, titleOf } from "./turns.js";

const COMMAND = "di-magics:open-chat-panel";
const LABEL = "Chat panel (di_magics)";

/** @param {(name: string) => Promise<any>} load */
export async function chatPanelPlugin(load) {
  const [
    { INotebookTracker, NotebookActions },
    { ICommandPalette, ToolbarButton },
    { Widget },
    { KernelMessage },
    { IStatusBar },
  ] = await Promise.all([
    load("@jupyterlab/notebook"),
    load("@jupyterlab/apputils"),
    load("@lumino/widgets"),
    load("@jupyterlab/services"),
    load("@jupyterlab/statusbar").catch(() => ({})),
  ]);
  return {
    id: "di-magics:chat-panel",
    description: "A chat panel in the right sidebar.",
    autoStart: true,
    requires: [INotebookTracker],
    optional: [ICommandPalette, IStatusBar].filter(Boolean),
    /**
     * @param {any} app
     * @param {any} tracker
     * @param {any} palette
     * @param {any} [statusBar]
     */
    activate(app, tracker, palette, statusBar) {
      const panel = new ChatPanel(tracker, NotebookActions);
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
  /** @param {any} tracker @param {any} actions */
  constructor(tracker, actions) {
    this._tracker = tracker;
    this._actions = actions;
    /** @type {any} */
    this._shown = null;
    this._due = 0;
    this.node = document.createElement("div");
    this.node.className = "di-chat-panel";
    const style = this.node.appendChild(document.createElement("style"));
    style.textContent = STYLE;
    const list = this.node.appendChild(document.createElement("nav"));
    list.setAttribute("aria-label", "Turns of the notebook");
    this._turns = list.appendChild(document.createElement("ol"));
    this._hint = this.node.appendChild(document.createElement("p"));
    const form = this.node.appendChild(document.createElement("form"));
    const label = form.appendChild(document.createElement("label"));
    label.textContent = "Message";
    this.message = label.appendChild(document.createElement("textarea"));
    this.message.rows = 4;
    this.message.placeholder = "Enter sends. Shift+Enter begins a new line.";
    this.message.dataset.lmSuppressShortcuts = "";
    const row = form.appendChild(document.createElement("div"));
    this._place = row.appendChild(document.createElement("select"));
    this._place.setAttribute("aria-label", "Where the cell is added");
    this._place.add(new Option("At the end", "end"));
    this._place.add(new Option("Below the active cell", "below"));
    this._send = row.appendChild(document.createElement("button"));
    this._send.textContent = "Send";
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.message.addEventListener("keydown", (event) => this._onKey(event));
    tracker.currentChanged.connect(() => this._follow());
    this._follow();
  }

  /** Add the message as a cell and run it; the box is then empty. */
  send() {
    const notebook = this._tracker.currentWidget;
    const text = this.message.value.trim();
    if (!notebook?.content.model || !text) return;
    const { content, sessionContext } = notebook;
    const cells = content.model.sharedModel;
    const below = this._place.value === "below" && content.activeCellIndex >= 0;
    const index = below ? content.activeCellIndex + 1 : cells.cells.length;
    cells.insertCell(index, { cell_type: "code", source: cellOf(text), metadata: { trusted: true } });
    content.deselectAll();
    content.activeCellIndex = index;
    this.message.value = "";
    void this._actions.run(content, sessionContext);
    reveal(content, index);
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
    const item = document.createElement("li");
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    button.addEventListener("click", () => {
      const content = this._shown?.content;
      const index = content?.widgets.findIndex(
        (/** @type {any} */ cell) => cell.model.id === item.dataset.cell,
      );
      if (index >= 0) {
        content.deselectAll();
        content.activeCellIndex = index;
        reveal(content, index);
      }
    });
    return item;
  }
}

/**
 * Scroll to a cell.
 * @param {any} content
 * @param {number} index
 */
const reveal = (content, index) => void content.scrollToItem?.(index, "smart")?.catch?.(() => {});

const STYLE = `
.di-chat-panel { display: flex; flex-direction: column; height: 100%; padding: 8px; box-sizing: border-box;
  color: var(--jp-ui-font-color1); background: var(--jp-layout-color1); font-size: var(--jp-ui-font-size1); }
.di-chat-panel nav { flex: 1; overflow: auto; }
.di-chat-panel ol { margin: 0; padding-left: 2em; }
.di-chat-panel li button { border: 0; background: none; color: var(--jp-content-link-color); font: inherit;
  text-align: left; vertical-align: top; padding: 0 0 6px; cursor: pointer; overflow-wrap: anywhere; }
.di-chat-panel p { color: var(--jp-ui-font-color2); margin: 4px 0; }
.di-chat-panel textarea { display: block; width: 100%; box-sizing: border-box; resize: vertical; font: inherit;
  margin: 4px 0; padding: 4px; color: inherit; background: var(--jp-layout-color0);
  border: 1px solid var(--jp-border-color1); }
.di-chat-panel details { flex: none; margin-bottom: 8px; border-bottom: 1px solid var(--jp-border-color2); }
.di-chat-panel details[open] { flex: 0 1 60%; overflow: auto; }
.di-chat-panel summary { cursor: pointer; padding: 2px 0 6px; overflow-wrap: anywhere; }
.di-chat-panel form div { display: flex; gap: 8px; }
.di-chat-panel select { flex: 1; min-width: 0; }
.di-chat-panel select, .di-chat-panel form button { font: inherit; padding: 4px 8px; color: inherit;
  background: var(--jp-layout-color2); border: 1px solid var(--jp-border-color1); }
.di-chat-panel :focus-visible { outline: 2px solid var(--jp-brand-color1); }
`;
