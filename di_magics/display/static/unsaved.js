// @ts-check

/**
 * Keep the state of a widget out of the notebook's file, where JupyterLab may save it ("Save Widget State
 * Automatically"): it has these scripts and what no file must keep, such as log-probabilities. The kernel
 * sends it to each page. The replies' widgets need this not, because they are closed at the end.
 * @param {{ model: any }} props
 */
export async function keepOutOfFile({ model }) {
  const whole = await model.widget_manager?.get_model(model.get("own_id"));
  if (whole) whole.get_state = () => ({});
}
