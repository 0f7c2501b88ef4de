// The plugins of this extension.
import { chatPanelPlugin } from "./chat_panel.js";
import { prosePlugin } from "./prose.js";

const PLUGINS = [prosePlugin, chatPanelPlugin];

/** Return the plugins that this front end has all packages for. @param {Scope} scope */
export async function findPlugins(scope) {
	const load = (/** @type {string} */ name) => loadPackage(scope, name);
	const made = await Promise.allSettled(PLUGINS.map((plugin) => plugin(load)));
	return made.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

/**
 * Return a package of the front end: the version in use, else the newest. Raises where it has none.
 * @param {Scope} scope @param {string} name
 */
export async function loadPackage(scope, name) {
	const versions = Object.entries(scope[name] ?? {});
	versions.sort(([a], [b]) => b.localeCompare(a, "en", { numeric: true }));
	const [, version] = versions.find(([, { loaded }]) => loaded) ?? versions[0] ?? [];
	if (!version) throw new Error(`The front end has no ${name}.`);
	return (await version.get())();
}
