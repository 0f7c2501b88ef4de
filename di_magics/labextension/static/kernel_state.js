// What a notebook's kernel says of itself. How it is sent, and why so: magics/page.py. Nothing in it is
// trusted.

const COMM = "di_magics";
const MAX_TEXT_CHARS = 200;
export const GONE = ["restarting", "autorestarting", "terminating", "dead"];

/** Return the state in a kernel's message, null for none. @param {any} data @returns {State | null} */
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
		above: data.above === true,
	};
}

/** Return a state as a short text and a long one. @param {State} state */
export function describeState({ model, cost, costs, answering }) {
	const name = model.slice(model.lastIndexOf("/") + 1);
	const text = [answering ? "●" : "", name || "Chat", "·", cost].filter(Boolean).join(" ");
	const known = model ? `Model: ${model}.` : "The model is known once a cell has asked.";
	const streams = answering ? " A reply is on its way." : "";
	return { text, title: `${known} Cost of this notebook: ${costs}.${streams}` };
}

/**
 * Follow all kernels; a watcher is called when the current notebook's state changes.
 * @param {NotebookTracker} tracker @param {CreateMessage} createMessage
 */
export function followKernels(tracker, createMessage) {
	/** @type {WeakMap<object, State | null>} null: has no di_magics */
	const states = new WeakMap();
	/** @type {(() => void)[]} */
	const watchers = [];
	const following = {
		onOpen() {}, // the current kernel wants its panel seen
		/** @param {NotebookPanel | null} [notebook] */
		of: (notebook = tracker.currentWidget) => notebook && states.get(notebook.sessionContext),
		/** @param {() => void} watcher */
		onChange(watcher) {
			watchers.push(watcher);
			watcher();
		},
		send,
	};
	tracker.widgetAdded.connect((_, { sessionContext }) => follow(sessionContext));
	tracker.currentChanged.connect(tell);

	function tell() {
		for (const watcher of watchers) watcher();
	}

	/** @param {SessionContext} context */
	function follow(context) {
		context.iopubMessage.connect((_, { header, content }) => {
			if (header.msg_type === "comm_msg" && content.comm_id === COMM) {
				set(context, content.data);
				if (content.data?.open === true && tracker.currentWidget?.sessionContext === context) {
					following.onOpen();
					send(context, { open: true });
				}
			}
		});
		context.statusChanged.connect((_, status) => {
			if (GONE.includes(status)) set(context, null);
		});
		context.kernelChanged.connect(() => set(context, null));
		context.connectionStatusChanged.connect((_, status) => {
			if (status === "connected") void ask(context);
		});
		context.ready.then(() => ask(context));
	}

	/** @param {SessionContext} context @param {unknown} data */
	function set(context, data) {
		const state = readState(data);
		if (state) states.set(context, state);
		else if (!states.delete(context)) return;
		tell();
	}

	/** Ask for the state, if the kernel has the extension. @param {SessionContext} context */
	async function ask(context) {
		try {
			const { content } = await context.session.kernel.requestCommInfo({ target_name: COMM });
			if (content.comms?.[COMM]) send(context, {});
			else if (!states.has(context)) {
				states.set(context, null);
				tell();
			}
		} catch {} // the connection is lost, or another kernel is chosen
	}

	/** kernel.createComm would start a thread in the kernel. @param {SessionContext} context @param {object} data */
	function send(context, data) {
		const kernel = context.session?.kernel;
		if (!kernel || kernel.isDisposed) return;
		const message = createMessage({
			msgType: "comm_msg",
			channel: "shell",
			username: kernel.username,
			session: kernel.clientId,
			content: { comm_id: COMM, data },
		});
		kernel.sendShellMessage(message, false, true);
	}
	return following;
}
