// The plugins of this extension.
import { chatPanelPlugin } from "./chat_panel.js";
import { loadPackage } from "./front_end.js";
import { prosePlugin } from "./prose.js";

const PLUGINS = [prosePlugin, chatPanelPlugin];

/** Return the plugins that this front end has all packages for. @param {Scope} scope */
export async function findPlugins(scope) {
	const load = (/** @type {string} */ name) => loadPackage(scope, name);
	const made = await Promise.allSettled(PLUGINS.map((plugin) => plugin(load)));
	return made.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
