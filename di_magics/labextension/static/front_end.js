// The front end's own packages: JupyterLab's, CodeMirror's and Lumino's.

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
