// A page that is loaded while a reply streams. On the shell channel the kernel answers when the cell has ended.
// So what JupyterLab asks first goes on the control channel, and messages of widgets to a subshell: the widget
// is found, and streams on. At the end no output area here knows the display id, which is the widget's.
import { GONE } from "./kernel_state.js";
import { WIDGET } from "./panel_head.js";
import { listOutputs } from "./replies.js";

const OWN = /^[\w-]{12}$/; // an id of display/widgets.py
const INFO = "kernel_info_request";

/** @param {NotebookTracker} tracker @param {CreateMessage} createMessage */
export function followReloaded(tracker, createMessage) {
	tracker.widgetAdded.connect((_, { content, sessionContext }) => {
		sessionContext.kernelChanged.connect((_, { newValue: kernel }) => {
			if (kernel && findViews(content).length) follow(kernel, content);
		});
	});

	/** @param {KernelConnection} kernel @param {Notebook} notebook */
	function follow(kernel, notebook) {
		const send = kernel.sendShellMessage;
		/** @type {Message["header"][]} sent before there is a subshell; JupyterLab holds them back */
		const early = [];
		/** @type {string} */
		let subshell;
		kernel.sendShellMessage = (message, ...rest) => {
			const { header, content } = message;
			if (header.msg_type === INFO && !subshell) {
				const { username, clientId: session } = kernel;
				const create = { msgType: "create_subshell_request", channel: "control", content: {} };
				kernel._sendMessage?.(createMessage({ ...create, username, session }), false);
			}
			if ([INFO, "comm_info_request"].includes(header.msg_type)) message.channel = "control";
			else if (header.msg_type.startsWith("comm_") && !content.data?.above) {
				if (subshell) header.subshell_id ??= subshell;
				else early.push(header);
			}
			return send.call(kernel, message, ...rest);
		};
		kernel.statusChanged.connect((_, status) => {
			if (GONE.includes(status)) kernel.sendShellMessage = send; // the subshell has gone, too
		});
		kernel.anyMessage.connect((_, { msg: { header, content } }) => {
			if (header.msg_type === "create_subshell_reply") {
				subshell ??= content.subshell_id;
				for (const header of early.splice(0)) header.subshell_id ??= subshell;
			} else if (header.msg_type === "update_display_data") {
				const { transient, data, metadata } = content;
				for (const { id, outputs, at } of findViews(notebook))
					if (id === transient?.display_id) outputs.set(at, { output_type: "display_data", data, metadata });
			}
		});
	}
}

/** Return the outputs that show a widget of the kernel's. @param {Notebook} notebook */
function findViews({ model }) {
	return [...(model?.cells ?? [])].flatMap(({ outputs }) =>
		listOutputs(outputs ?? [])
			.map(({ data }, at) => ({ id: data?.[WIDGET]?.model_id, outputs, at }))
			.filter(({ id }) => OWN.test(id)),
	);
}
