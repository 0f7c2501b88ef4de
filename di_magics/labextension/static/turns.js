// @ts-check
// The turns of a notebook: its %%chat cells.
import { findChatLine } from "./chat_line.js";

const LONGEST_TITLE = 80;

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
 * Return the prompt of a %%chat cell, "" for another cell.
 * @param {string} source
 */
export function promptOf(source) {
  const lines = source.split("\n");
  const number = findChatLine(lines);
  return number ? lines.slice(number).join("\n").trim() : "";
}

/**
 * Return the cell for a message; one that begins with %%chat already is kept as it is.
 * @param {string} message
 */
export const cellOf = (message) => (findChatLine(message.split("\n")) ? message : `%%chat\n${message}`);
