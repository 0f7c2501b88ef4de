// What JupyterLab loads first. JupyterLab expects what webpack's module federation would have built:
// a script that adds an object with `init` and `get` to `_JUPYTERLAB`. Here it is written by hand,
// and the rest are ES modules beside it, which the browser loads as they are. So nothing is built.
// https://jupyterlab.readthedocs.io/en/stable/extension/extension_dev.html#prebuilt-extensions
(() => {
	/** @type {any} */
	const page = window;
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
