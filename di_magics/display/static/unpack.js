// @ts-check
// Unpacks a widget's scripts, which display/widgets.py has packed, and imports them as one module.
const PACKED = "";
const bytes = Uint8Array.from(atob(PACKED), (byte) => byte.charCodeAt(0));
const code = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
const url = URL.createObjectURL(new Blob([await new Response(code).text()], { type: "text/javascript" }));
const widget = await import(url);
URL.revokeObjectURL(url);
export default widget.default;
