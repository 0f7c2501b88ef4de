// @ts-check

/**
 * Return a widget's model whose state is kept out of the notebook's file, where JupyterLab may save it ("Save
 * Widget State Automatically"): it has these scripts and what no file must keep, such as log-probabilities.
 * The kernel sends it to each page. The replies' widgets need this not, because they are closed at the end.
 * @param {any} manager of widgets @param {string} id of the model
 */
export async function keepOutOfFile(manager, id) {
  const model = await manager?.get_model(id);
  if (model) model.get_state = () => ({});
  return model;
}
