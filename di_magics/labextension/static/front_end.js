// The front end's own packages: JupyterLab's, CodeMirror's and Lumino's.

/**
 * Return a package of the front end: the version in use, else the newest.
 * @param {Scope} scope
 * @param {string} name
 * @throws {Error} where the front end has no such package
 */
export async function loadPackage(scope, name) {
  const versions = Object.entries(scope[name] ?? {}).sort(([a], [b]) => compareVersions(b, a));
  const [, version] = versions.find(([, { loaded }]) => loaded) ?? versions[0] ?? [];
  if (!version) throw new Error(`The front end has no ${name}.`);
  return (await version.get())();
}

/**
 * @param {string} a
 * @param {string} b
 */
const compareVersions = (a, b) => a.localeCompare(b, "en", { numeric: true });
