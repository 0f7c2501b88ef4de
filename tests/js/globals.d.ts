/** What core/shown/formula.py's `as_json` returns; the widget's module begins with it. */
declare const TEX: {
  longest: number;
  deepest: number;
  most: number;
  usual: number;
  environments: string;
  commands: string;
};
/** What display/markdown_writer.py has; the widget's module begins with it, too. */
declare const LANGUAGES: string;

// What the labextension uses of JupyterLab.
// biome-ignore lint/suspicious/noExplicitAny: a part that nothing is declared of.
type Anything = any;
interface Signal<T = Anything> {
  connect(slot: (sender: Anything, value: T) => unknown, thisArg?: object): void;
  disconnect(slot: unknown, thisArg?: object): void;
}
interface Outputs {
  length: number;
  get(at: number): Anything;
}
interface OutputArea {
  node: HTMLElement;
  model: Outputs;
  widgets: { node: HTMLElement }[];
}
interface Cell {
  node: HTMLElement;
  model: { id: string; type: string; outputs: Outputs; sharedModel: Anything; contentChanged: Signal };
  outputArea?: OutputArea;
  editor: Anything;
  ready?: Promise<void>;
  isDisposed: boolean;
}
interface Notebook {
  node: HTMLElement;
  model: Anything;
  widgets: Cell[];
  activeCell: Cell | null;
  activeCellIndex: number;
  mode: string;
  modelContentChanged?: Signal;
  rendermime: Anything;
  deselectAll(): void;
  scrollToItem?(index: number, align: string): Promise<void> | undefined;
}
interface Message {
  header: { msg_type: string; subshell_id?: string };
  channel: string;
  content: Anything;
}
interface KernelConnection {
  username: string;
  clientId: string;
  anyMessage: Signal<{ msg: Message }>;
  statusChanged: Signal<string>;
  sendShellMessage(message: Message, ...rest: unknown[]): unknown;
  _sendMessage?(message: Message, queue: boolean): void;
}
type CreateMessage = (options: object) => Message;
interface SessionContext {
  session: Anything;
  ready: Promise<void>;
  iopubMessage: Signal;
  statusChanged: Signal<string>;
  kernelChanged: Signal<{ newValue: KernelConnection | null }>;
  connectionStatusChanged: Signal<string>;
}
interface NotebookPanel {
  id: string;
  content: Notebook;
  context: Anything;
  sessionContext: SessionContext;
  toolbar: Anything;
  disposed: Signal;
  isDisposed: boolean;
}
interface NotebookTracker {
  currentWidget: NotebookPanel | null;
  currentChanged: Signal;
  widgetAdded: Signal<NotebookPanel>;
  find(test: (panel: NotebookPanel) => boolean): NotebookPanel | undefined;
}
interface NotebookActions {
  executed: Signal<{ notebook: Notebook }>;
  executionScheduled: Signal<{ notebook: Notebook; cell: Cell }>;
  run(notebook: Notebook, context: SessionContext): Promise<boolean>;
}

// What the labextension's own files share.
type Load = (name: string) => Promise<Anything>;
/** What the front end shares with its extensions: versions by package. */
type Scope = Record<string, Record<string, { get: () => Promise<() => Anything>; loaded?: unknown }>>;
type KernelStates = ReturnType<
  typeof import("../../di_magics/labextension/static/kernel_state.js").followKernels
>;
interface State {
  model: string;
  cost: string;
  costs: string;
  answering: boolean;
  panel: string;
  failed: string;
  above: boolean;
}
/** The record of a turn in the metadata of an output; anybody may have written it. */
interface ReplyRecord {
  turn: string;
  parent?: unknown;
  parent_cell?: unknown;
  prompt?: unknown;
  too_long?: unknown;
}
/** What outputs need of the front end. */
interface FrontEnd {
  tracker: NotebookTracker;
  actions: NotebookActions;
  states: KernelStates;
  icons: Anything;
  apputils: Anything;
}
