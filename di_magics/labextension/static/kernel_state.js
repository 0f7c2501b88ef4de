// What a notebook's kernel says of itself: its model, what the notebook has cost, whether a reply
// streams, which widget is the panel, and which cell failed last. How it is sent, and why so:
// magics/page.py. Nothing in it is trusted.

const COMM = "di_magics";
const MAX_TEXT_CHARS = 200;
const GONE = ["restarting", "autorestarting", "terminating", "dead"];

/** Return the state in a message of a kernel, null for none. @param {any} data @returns {State | null} */
export function readState(data) {
	if (typeof data?.cost !== "string") return null;
	const text = (/** @type {unknown} */ value) =>
		typeof value === "string" ? value.slice(0, MAX_TEXT_CHARS) : "";
	return {
		model: text(data.model),
		cost: text(data.cost),
		costs: text(data.costs),
		answering: data.answering === true,
		panel: /^[\w-]{1,64}$/.test(text(data.panel)) ? data.panel : "",
		failed: text(data.failed),
	};
}

/** Return a state as a short text, and as a long one for who wants to know more. @param {State} state */
export function describeState({ model, cost, costs, answering }) {
	const name = model.slice(model.lastIndexOf("/") + 1);
	const text = [answering ? "●" : "", name || "Chat", "·", cost].filter(Boolean).join(" ");
	const known = model ? `Model: ${model}.` : "The model is known once a cell has asked.";
	const streams = answering ? " A reply is on its way." : "";
	return { text, title: `${known} Cost of this notebook: ${costs}.${streams}` };
}

/** Follows the kernels of all notebooks; `onChange` is called when the current one's state changes. */
export class KernelStates {
	/** @param {NotebookTracker} tracker @param {(options: object) => any} createMessage */
	constructor(tracker, createMessage) {
		this._tracker = tracker;
		this._createMessage = createMessage;
		/** @type {WeakMap<object, State>} */
		this._states = new WeakMap();
		/** @type {(() => void)[]} */
		this._watchers = [];
		/** Called when the current notebook's kernel wants its panel to be seen. */
		this.onOpen = () => {};
		tracker.widgetAdded.connect((_, notebook) => this._add(notebook.sessionContext));
		tracker.currentChanged.connect(() => this._tell());
	}

	get current() {
		return this.of(this._tracker.currentWidget);
	}

	/** @param {NotebookPanel | null} notebook */
	of(notebook) {
		return (notebook && this._states.get(notebook.sessionContext)) ?? null;
	}

	/** @param {() => void} watcher */
	onChange(watcher) {
		this._watchers.push(watcher);
		watcher();
	}

	_tell() {
		for (const watcher of this._watchers) watcher();
	}

	/** @param {SessionContext} context */
	_add(context) {
		context.iopubMessage.connect((_, { header, content }) => {
			if (header.msg_type === "comm_msg" && content.comm_id === COMM) {
				this._set(context, content.data);
				if (content.data?.open === true && this._tracker.currentWidget?.sessionContext === context) {
					this.onOpen();
					this._send(context.session?.kernel, { open: true });
				}
			}
		});
		context.statusChanged.connect((_, status) => {
			if (GONE.includes(status)) this._set(context, null);
		});
		context.kernelChanged.connect(() => this._set(context, null));
		context.connectionStatusChanged.connect((_, status) => {
			if (status === "connected") void this._ask(context);
		});
		context.ready.then(() => this._ask(context));
	}

	/** @param {SessionContext} context @param {unknown} data */
	_set(context, data) {
		const state = readState(data);
		if (state) this._states.set(context, state);
		else if (!this._states.delete(context)) return;
		this._tell();
	}

	/** Ask for the state, if the extension is loaded in the kernel. @param {SessionContext} context */
	async _ask(context) {
		const kernel = context.session?.kernel;
		try {
			const { content } = await kernel.requestCommInfo({ target_name: COMM });
			if (content.comms?.[COMM]) this._send(kernel, {});
		} catch {} // the connection is lost, or another kernel is chosen
	}

	/** Send data. kernel.createComm would start a thread in the kernel. @param {any} kernel @param {object} data */
	_send(kernel, data) {
		if (!kernel || kernel.isDisposed) return;
		const message = this._createMessage({
			msgType: "comm_msg",
			channel: "shell",
			username: kernel.username,
			session: kernel.clientId,
			content: { comm_id: COMM, data },
		});
		kernel.sendShellMessage(message, false, true);
	}
}
