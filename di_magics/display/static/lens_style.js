// @ts-check
// How the lens and the lab look. The bands are one warm scale, light to dark in every kind of colour
// vision, and an underline that grows; what is likely stays plain.

const DARK = `color-scheme: dark; --paper: var(--jp-layout-color0, #111); --ink: var(--jp-ui-font-color0, #e8eaee);
  --edge: #ffffff2b; --soft: #ffffff0f; --track: #6ea8e638; --bar: #6ea8e6; --rest: #9aa3ae; --accent: #8ab8ff;
  --b1: #2a2618; --b2: #3d3119; --b3: #543f1b; --b4: #6f4a1d; --b5: #8b4a22; --b6: #a53d38; --line: #ffbe76;`;

export const LENS_STYLE = `
.di-lens { color-scheme: light; --paper: var(--jp-layout-color0, #fff); --ink: var(--jp-ui-font-color0, #1b1f24);
  --edge: #1b1f2426; --soft: #1b1f240a; --track: #3b6ea82e; --bar: #3b6ea8; --rest: #7d8590; --accent: #0b57d0;
  --b1: #fdf6e3; --b2: #fbe9bd; --b3: #f8d489; --b4: #f2b25e; --b5: #e98d4a; --b6: #dd6b4a; --line: #8a4b12;
  container-type: inline-size; max-width: 1180px; padding: 4px 8px 8px 2px; box-sizing: border-box;
  background: var(--paper); color: var(--ink); font: 13px/1.45 var(--jp-ui-font-family, system-ui, sans-serif); }
[data-jp-theme-light="false"] .di-lens { ${DARK} }
.di-lens:focus { outline: none; }
.di-lens * { box-sizing: border-box; }
.di-lens .faint { opacity: 0.75; font-size: 12px; }
.di-lens .number { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.di-lens .title { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 18px; margin: 2px 0; }
.di-lens .title b { font-size: 15px; overflow-wrap: anywhere; }
.di-lens .fact b { font-size: 13px; font-variant-numeric: tabular-nums; }
.di-lens button { font: inherit; font-size: 12px; line-height: 16px; color: inherit; background: var(--soft);
  border: 1px solid var(--edge); border-radius: 5px; padding: 3px 9px; min-height: 24px; cursor: pointer; }
.di-lens button:hover:enabled { border-color: var(--accent); }
.di-lens button[aria-pressed=true] { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent); }
.di-lens :disabled, .di-lens [aria-disabled=true] { opacity: 0.5; cursor: default; }
.di-lens :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.di-lens .line { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.di-lens .legend { margin: 8px 0; }
.di-lens .legend button { background: none; padding: 3px 8px; }
.di-lens .legend b { font-variant-numeric: tabular-nums; margin-left: 3px; }
.di-lens .legend button[data-none] { opacity: 0.55; }
.di-lens .both { display: grid; grid-template: "text side" auto "settings side" 1fr / minmax(0, 1fr) minmax(320px, 400px);
  gap: 14px 18px; align-items: start; }
.di-lens .main { grid-area: text; }
.di-lens .side { grid-area: side; }
.di-lens .text { max-height: 460px; overflow-y: auto; border: 1px solid var(--edge); border-radius: 7px; padding: 10px 14px;
  white-space: pre-wrap; overflow-wrap: anywhere; contain: content; cursor: default; outline-offset: 2px;
  font: 15px/1.9 var(--jp-content-font-family, system-ui, sans-serif); }
.di-lens .lab .text { max-height: 340px; }
.di-lens .t { --u: 0px; --c: transparent; cursor: pointer; padding: 1px 0 2px; box-shadow: inset 1px 0 0 var(--paper);
  background: linear-gradient(var(--line), var(--line)) 0 100% / 100% var(--u) no-repeat var(--c); }
.di-lens .b1 { --c: var(--b1); }
.di-lens .b2 { --c: var(--b2); }
.di-lens .b3 { --c: var(--b3); --u: 1px; }
.di-lens .b4 { --c: var(--b4); --u: 2px; }
.di-lens .b5 { --c: var(--b5); --u: 3px; }
.di-lens .b6 { --c: var(--b6); --u: 4px; }
.di-lens .b7, .di-lens .b9 { text-decoration: underline dotted; text-underline-offset: 4px; }
.di-lens .b8 { text-decoration: line-through; text-decoration-thickness: 1.5px;
  background: repeating-linear-gradient(135deg, transparent 0 3px, var(--edge) 3px 4.5px); }
.di-lens .swatch { padding: 1px 4px 2px; cursor: inherit; }
.di-lens .here { outline: 2px solid var(--accent); outline-offset: 1px; border-radius: 2px; }
.di-lens .mark { opacity: 0.45; font-size: 0.8em; }
.di-lens .only .t:not(.chosen) { background: none; opacity: 0.4; }
.di-lens .strip { width: 100%; height: 34px; display: block; color: var(--line); cursor: pointer; touch-action: none;
  border-bottom: 1px solid var(--edge); margin-top: 8px; }
.di-lens .under { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 12px; margin-top: 3px; }
.di-lens h4 { margin: 0 0 6px; font-size: 14px; font-weight: 600; line-height: 1.35; overflow-wrap: anywhere; }
.di-lens h4 code, .di-lens td code, .di-lens th code { font: 12px/18px var(--jp-code-font-family, ui-monospace, monospace);
  background: none; color: inherit; padding: 0; unicode-bidi: isolate; }
.di-lens h4 code { font-size: 14px; font-weight: 700; background: var(--soft); border: 1px solid var(--edge); border-radius: 4px;
  padding: 1px 5px; margin-right: 3px; }
.di-lens h4 .faint { font-weight: 400; margin-left: 4px; }
.di-lens h4 div { margin-top: 3px; }
.di-lens .scroll { max-height: 424px; overflow: auto; border: 1px solid var(--edge); border-radius: 7px; contain: content; padding: 3px 0; }
.di-lens table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: 12px; margin: 0; border: 0; }
.di-lens tr, .di-lens td, .di-lens th { background: none; border: 0; }
.di-lens td, .di-lens th { height: 18px; padding: 0 6px; line-height: 18px; text-align: left; font-weight: 400; vertical-align: middle; }
.di-lens th.number, .di-lens td.number { text-align: right; }
.di-lens thead th { opacity: 0.75; white-space: nowrap; }
.di-lens .token { width: 28%; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; padding-left: 20px; position: relative; }
.di-lens thead .number { width: 62px; }
.di-lens thead .number:nth-child(3):not(:last-child) { width: 92px; }
.di-lens .token button { border: 0; background: none; padding: 0; min-height: 0; max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
.di-lens .token button:hover { text-decoration: underline; }
.di-lens .replies:not(:empty) { margin-top: 14px; min-height: 200px; }
.di-lens .own { background: var(--soft); }
.di-lens .own code { font-weight: 700; }
.di-lens .own .token::before { content: "●"; color: var(--accent); position: absolute; left: 7px; font-size: 10px; }
.di-lens .cut code { text-decoration: line-through; opacity: 0.65; }
.di-lens .cut .now, .di-lens .gone .now { opacity: 0.5; }
.di-lens .bar { position: relative; height: 14px; overflow: hidden; background: var(--soft); border-radius: 2px; }
.di-lens .bar i { position: absolute; inset: 0; transform-origin: 0 0; transform: scaleX(0); }
.di-lens .bar .model { background: var(--track); }
.di-lens .bar .least { background: var(--bar); }
.di-lens .lab .bar .least, .di-lens .lab .bar .most { top: 3px; bottom: 3px; }
.di-lens .bar .most { background: repeating-linear-gradient(135deg, var(--rest) 0 2px, transparent 2px 4px); }
.di-lens .rest .least { background: var(--rest); }
.di-lens .bar .tick { transform: none; border-left: 2px solid var(--line); margin-left: -1px; }
.di-lens .bar em { position: absolute; right: 3px; top: 0; max-width: calc(100% - 6px); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; font-size: 10.5px; line-height: 13px; opacity: 0.75; }
.di-lens .bar [hidden] { display: none; }
.di-lens .rest .token { font-style: italic; }
.di-preview .scroll { min-height: 152px; }
@container (max-width: 340px) { .di-preview .number:last-child { display: none; } }
.di-lens .facts { margin: 7px 0 0; }
.di-lens .lab .facts { min-height: 38px; }
.di-lens .draw { margin-top: 8px; }
.di-lens .settings { grid-area: settings; border: 1px solid var(--edge); border-radius: 7px; padding: 10px 14px 12px; }
.di-lens .sliders { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(200px, 45%), 1fr)); gap: 10px 30px;
  margin: 12px 0 14px; }
.di-lens .slider { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-content: start; align-items: baseline; gap: 1px 8px; }
.di-lens .slider label { font: 12px/16px var(--jp-code-font-family, ui-monospace, monospace); overflow-wrap: anywhere; }
.di-lens .slider input { grid-column: 1 / -1; width: 100%; margin: 0; padding: 0; height: 22px; accent-color: var(--bar); }
.di-lens .slider p { grid-column: 1 / -1; margin: 0; }
.di-lens .order { display: flex; flex-wrap: wrap; align-items: center; list-style: none; gap: 4px; padding: 0; margin: 0; }
.di-lens .order li { display: flex; align-items: center; gap: 4px; margin: 0; }
.di-lens .order .chip { font-family: var(--jp-code-font-family, ui-monospace, monospace); font-size: 11.5px; }
.di-lens .order .chip[data-off] { opacity: 0.6; }
.di-lens .order .swap { border-color: transparent; background: none; padding: 3px 4px; }
.di-lens .order .swap:hover { border-color: var(--accent); }
.di-lens .name { font-weight: 600; }
.di-lens .note { margin-top: 6px; }
@container (max-width: 780px) {
  .di-lens .both { grid-template: "text" auto "settings" auto "side" auto / minmax(0, 1fr); }
  .di-lens .text { max-height: 380px; }
  .di-lens .lab .text { max-height: 260px; }
}
@container (max-width: 780px) and (min-width: 600px) { .di-lens .sliders { grid-template-columns: repeat(3, minmax(0, 1fr)); } }
@media (pointer: coarse) {
  .di-lens .t { padding: 4px 0; }
  .di-lens td, .di-lens th { height: 26px; }
  .di-lens .token button { min-height: 24px; }
  .di-lens .slider input { height: 28px; }
  .di-lens .order .swap { min-width: 24px; }
}`;
