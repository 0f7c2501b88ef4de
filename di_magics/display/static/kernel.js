// @ts-check
// The kernel that a widget belongs to.

/**
 * Call this when the kernel goes away or is restarted; return how to stop listening.
 * @param {any} model
 * @param {() => void} gone
 */
export function whenGone(model, gone) {
  const kernel = model.widget_manager?.kernel;
  /** @param {any} _ @param {string} status */
  const look = (_, status) => {
    if (/restarting|dead|terminating/.test(status)) gone();
  };
  kernel?.statusChanged?.connect(look);
  return () => kernel?.statusChanged?.disconnect(look);
}

/**
 * Call this each time the connection to the kernel is back; return how to stop listening.
 * @param {any} model
 * @param {() => void} back
 */
export function whenBack(model, back) {
  const changed = model.widget_manager?.kernel?.connectionStatusChanged;
  /** @param {any} _ @param {string} status */
  const look = (_, status) => {
    if (status === "connected") back();
  };
  changed?.connect(look);
  return () => changed?.disconnect(look);
}
