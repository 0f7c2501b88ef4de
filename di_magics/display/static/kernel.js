// Call this when the kernel goes away or is restarted; return how to stop listening.
function whenGone(model, gone) {
  const kernel = model.widget_manager?.kernel;
  const look = (_, status) => /restarting|dead|terminating/.test(status) && gone();
  kernel?.statusChanged?.connect(look);
  return () => kernel?.statusChanged?.disconnect(look);
}

// JupyterLab takes plain keys in a cell for commands of its own, and Enter as well.
function ownKeys(node) {
  node.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && event.key !== "Escape") event.stopPropagation();
  });
}
