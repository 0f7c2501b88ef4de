// Positions on stdin, settings with them; on stdout what reshape.js makes of each, in Python's terms.
import { readFileSync } from "node:fs";
import { FILTER_NAMES, reshape } from "../../di_magics/display/static/reshape.js";

const ORDER = ["penalties", "top_k", "top_p", "min_p", "temperature"];

/**
 * @typedef {object} Question
 * @property {number[]} logprobs of the tokens 0, 1, 2 …
 * @property {number | null} vocabulary
 * @property {Record<string, any>} settings
 * @property {number[]} window
 * @property {number | null} zero
 */

/** @param {Question} question */
export function answer({ logprobs, vocabulary, settings, window, zero }) {
  /** @type {Map<number, number>} */
  const times = new Map();
  for (const token of window.slice(-64)) times.set(token, (times.get(token) ?? 0) + 1);
  const counts = logprobs.map((_, token) => times.get(token) ?? 0);
  const others = [...times].filter(([token]) => token >= logprobs.length).map(([, count]) => count);
  const position = { logprobs, best: logprobs.length, vocabulary, counts, others, zero };
  const all = { temperature: 1, top_k: 0, top_p: 1, min_p: 0, ...settings };
  const { low, high, rest, cut, unsure, exact, survivors } = reshape(
    position,
    all,
    settings.samplers ?? ORDER,
  );
  const probs = [...low].map((value, token) => [value, high[token]]);
  const doubts = [...unsure].map((filters) => FILTER_NAMES.filter((_, filter) => filters & (1 << filter)));
  return { probs, rest, cut: [...cut].map((filter) => FILTER_NAMES[filter]), doubts, exact, survivors };
}

if (process.argv[1]?.endsWith("positions.mjs")) {
  /** @type {Question[]} */
  const questions = JSON.parse(readFileSync(0, "utf8"));
  process.stdout.write(JSON.stringify(questions.map(answer)));
}
