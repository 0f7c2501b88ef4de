// The turns of a notebook: its %%chat cells.
import { findChatLine } from "./chat_line.js";

const LONGEST_TITLE = 80;
const FLAGS = /^%%chat(\s|$)/;

/**
 * Return the first line of a cell's prompt, "" for a cell without %%chat.
 * @param {string} source
 */
export function titleOf(source) {
  const lines = source.split("\n");
  const number = findChatLine(lines);
  if (!number) return "";
  const first = lines.slice(number).find((line) => line.trim()) ?? lines[number - 1];
  return first.trim().slice(0, LONGEST_TITLE);
}

/**
 * Return what stands below the flags of a %%chat cell, null for another cell.
 * @param {string} source
 */
export function bodyOf(source) {
  const lines = source.split("\n");
  const number = findChatLine(lines);
  return number ? lines.slice(number).join("\n").trim() : null;
}

/**
 * Return the prompt of a %%chat cell as a message, "" for another cell.
 * @param {string} source
 */
export function promptOf(source) {
  const prompt = bodyOf(source) ?? "";
  return FLAGS.test(prompt) ? `%%chat\n${prompt}` : prompt;
}

/**
 * Return the cell for a message: a prompt, whatever it holds. Only its own first line may be that of
 * the flags; another magic above it would run as code.
 * @param {string} message
 */
export const cellOf = (message) => (FLAGS.test(message) ? message : `%%chat\n${message}`);
