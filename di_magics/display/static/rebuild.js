// @ts-check
// What the front end's parser made of a reply, built anew for the page: the elements of Markdown,
// without attributes, but for the address of a link, an alignment and the number of an item. So
// nothing of a reply runs, is drawn by its language, is loaded, or looks like a part of the page.
import { LESS } from "./blocks.js";
import { addText, element } from "./dom.js";

const MATH_ON = "mathjax_process tex2jax_process";
const PART = /\uE000(\d+)\uE001/;
const MAX_NESTED = 100;
const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFE]/;

const ELEMENTS = new Set(
  (
    "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre strong sub sup " +
    "table tbody td th thead tr ul"
  ).split(" "),
);
const ADDRESS = /^(?:https?:\/\/|mailto:)/i;

// What the front end colors. LANGUAGES is markdown_writer's, and put before the widget's module.
const COLOURED = new Set(LANGUAGES.split(" "));
const MAX_COLOURED_CHARS = 20_000;
const LONG_LINE = /[^\n]{301}|\s{101}/;
const LANGUAGE = /^[\w+#.-]{0,40}$/;
const COLOUR = /^\u037C\w+$/; // a class of CodeMirror

/**
 * Return HTML as a document in which nothing runs and nothing is loaded.
 * @param {string} html
 */
export const parseInert = (html) => new DOMParser().parseFromString(html, "text/html").body;

/**
 * Return code as an element, coloured if the front end knows the language.
 * @param {import("./blocks.js").Code} code
 * @param {((markdown: string) => Promise<string>) | null} parse the front end's parser, if there is time
 */
export async function showCode({ info, text }, parse) {
  const shown = addText(element("code"), LANGUAGE.test(info) ? text : `${info}\n${text}`);
  if (
    parse &&
    COLOURED.has(info.toLowerCase()) &&
    text.length <= MAX_COLOURED_CHARS &&
    !LONG_LINE.test(text)
  ) {
    const marks = "`".repeat(3 + text.split("`").length);
    const code = parseInert(await parse(`${marks}${info}\n${text}\n${marks}`)).querySelector("pre > code");
    const pieces = [...(code?.childNodes ?? [])].map((node) => {
      const { className = "", textContent } = /** @type {HTMLElement} */ (node);
      const classes = className.split(" ").filter((name) => COLOUR.test(name));
      return classes.length
        ? element("span", { className: classes.join(" "), textContent })
        : (textContent ?? "");
    });
    if (code?.textContent?.trimEnd() === text.trimEnd()) shown.replaceChildren(...pieces);
  }
  return element("pre", {}, shown);
}

/**
 * Give each block the direction of its first letter outside of code and formulas; a list or a table has
 * one direction. directions.py does the same for what is saved.
 * @param {Element} parent
 */
function direct(parent) {
  for (const block of /** @type {Iterable<HTMLElement>} */ (parent.children)) {
    const prose = /** @type {HTMLElement} */ (block.cloneNode(true));
    for (const node of prose.querySelectorAll("code, .mathjax_process")) node.remove();
    const letter = /\p{L}/u.exec(prose.textContent ?? "");
    if (letter) block.dir = RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
    if (block.localName === "blockquote") direct(block);
  }
}

/**
 * Return the elements of a parsed reply with what was taken out of it, and how many formulas
 * are to be typeset.
 * @param {HTMLElement} parsed
 * @param {import("./blocks.js").Part[]} parts
 * @param {(HTMLElement | undefined)[]} codes the elements of the parts that are code
 */
export function rebuild(parsed, parts, codes) {
  let formulas = 0;
  const used = new Set(); // a reply can write the number of a part, too
  /** @param {number} part */
  const isNew = (part) => part < parts.length && !used.has(part) && used.add(part);
  /** @param {string} text */
  const source = (text) =>
    text
      .split(PART)
      .map((piece, i) => (i % 2 === 0 ? piece : isNew(Number(piece)) ? parts[Number(piece)].source : ""))
      .join("")
      .replace(/[\uE003\uFEFF]/g, "") // NOTHING, and what ends an address
      .replaceAll(LESS, "<");

  /** @param {HTMLElement} to @param {string} text */
  const addText = (to, text) => {
    if (to.closest("a, code")) return to.append(source(text));
    for (const [i, piece] of text.split(PART).entries()) {
      const [part, code] = [parts[Number(piece)], codes[Number(piece)]];
      if (i % 2 === 0) to.append(source(piece));
      else if (!isNew(Number(piece))) continue;
      else if (code) to.append(code);
      else if (part.formula) {
        const { latex, display } = part.formula;
        const textContent = display ? `\\[${latex}\\]` : `\\(${latex}\\)`;
        formulas += 1;
        to.append(element("span", { className: MATH_ON, textContent }));
      } else to.append(part.source);
    }
  };

  /** @param {HTMLElement} to @param {HTMLElement} from @param {string} address @param {number} depth */
  const addLink = (to, from, address, depth) => {
    const href = source(
      address.replace(/%EE%80%8([0-3])/g, (_, i) => String.fromCharCode(0xe000 + Number(i))),
    );
    const safe = ADDRESS.test(href) && !to.closest("a");
    const link = safe
      ? element("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" })
      : element("span");
    if (from.localName === "img") link.append(`[image: ${source(from.getAttribute("alt") || href)}]`);
    else add(link, from, depth);
    if (!link.textContent?.trim()) link.append(href);
    const title = from.getAttribute("title");
    to.append(link, title ? ` (${source(title)})` : "");
  };

  /** @param {HTMLElement} to @param {HTMLElement} from @param {number} depth */
  const add = (to, from, depth) => {
    for (const node of /** @type {Iterable<HTMLElement>} */ (from.childNodes)) {
      const name = node.localName;
      const only = name === "pre" && /^\uE000(\d+)\uE001\n?$/.exec(node.textContent ?? "");
      if (!name) addText(to, node.nodeType === Node.TEXT_NODE ? (node.textContent ?? "") : "");
      else if (depth > MAX_NESTED) addText(to, node.textContent ?? "");
      else if (only && codes[Number(only[1])]) addText(to, only[0].trim());
      else if (name === "img") addLink(to, node, node.getAttribute("src") ?? "", depth);
      else if (name === "a") addLink(to, node, node.getAttribute("href") ?? "", depth + 1);
      else if (name === "input") to.append(node.hasAttribute("checked") ? "☑" : "☐");
      else if (!ELEMENTS.has(name) && name !== "del") add(to, node, depth + 1);
      else {
        const made = element(/** @type {"div"} */ (name === "del" ? "s" : name));
        const align = node.getAttribute("align") ?? "";
        const start = Number(node.getAttribute("start") ?? 1);
        if (/^(?:left|right|center)$/.test(align)) made.setAttribute("align", align);
        if (name === "ol" && start !== 1 && start >= 0) made.setAttribute("start", String(start));
        to.append(made);
        add(made, node, depth + 1);
      }
    }
  };
  const root = element("div", { className: "jp-RenderedHTMLCommon jp-RenderedMarkdown" });
  add(root, parsed, 0);
  if (RIGHT_TO_LEFT.test(root.textContent ?? "")) direct(root);
  return { root, formulas };
}
