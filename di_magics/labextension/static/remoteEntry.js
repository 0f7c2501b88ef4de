// What JupyterLab loads first: a script as webpack's module federation would have built it. The rest are
// ES modules, which the browser loads as they are.
// https://jupyterlab.readthedocs.io/en/stable/extension/extension_dev.html#prebuilt-extensions
(() => {
	const page = /** @type {any} */ (window);
	const here = /** @type {HTMLScriptElement} */ (document.currentScript).src;
	/** @type {Scope} */
	let scope = {};
	page._JUPYTERLAB ??= {};
	page._JUPYTERLAB["di-magics"] = {
		init(/** @type {Scope} */ shared) {
			scope = shared;
		},
		async get() {
			const style = document.head.appendChild(document.createElement("link"));
			Object.assign(style, { rel: "stylesheet", href: new URL("style.css", here).href });
			const { findPlugins } = await import(new URL("extension.js", here).href);
			const plugins = await findPlugins(scope);
			return () => ({ __esModule: true, default: plugins });
		},
	};
})();
