// @ts-check
// A reply's tokens with their log-probabilities: unpacked, and as the lens writes them.

/** A token belongs to the first band whose least probability it has; the same in every reply. */
export const BANDS = [0.9, 0.5, 0.2, 0.05, 0.01, 0.001, 0];
export const BAND_NAMES = ["≥ 90 %", "50–90 %", "20–50 %", "5–20 %", "1–5 %", "0.1–1 %", "< 0.1 %"];
export const NOT_KNOWN = 7; // the band of a token without a probability
export const IMPOSSIBLE = 8; // the band of a token that these settings cut
export const COMPUTING = 9; // the band of a token for which the kernel is still at work
const NO_INDEX = 0xffff;
const NO_WIDE_INDEX = 0xffffffff;
const MIN_LOGPROB = -700; // a lower log-probability is not a number but a sign for "unknown"

// Controls, bidi, zero width, tags, fillers: what cannot be seen, or changes how other text is seen.
// A variation selector behind an emoji stays.
const INVISIBLE =
  /(?!(?<=\p{Extended_Pictographic})\ufe0f)[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/**
 * What core/packed_tokens.py:pack_lens makes of a reply, and display/lens.py adds to it.
 * @typedef {object} Head
 * @property {string} model
 * @property {string} name which reply it is, or ""
 * @property {number} most how many alternatives a position has at most
 * @property {boolean} wide whether an index has 4 bytes
 * @property {number | null} vocabulary
 * @property {Record<string, number>} settings as sent, with the server's defaults
 * @property {Record<string, number>} llama the defaults of llama.cpp
 * @property {string[]} order of the filters
 * @property {Record<string, string[]>} orders of the servers where it is known
 * @property {number[]} prompt the last ids of the prompt, as far as they are known
 * @property {string[]} texts of all tokens
 * @property {number[]} partial the tokens that are not whole characters
 * @property {(number | null)[]} ids
 * @property {[number, number, string][]} characters position, number of tokens, text
 * @property {Record<string, number>} sizes of the arrays that follow, by name
 * @property {string[]} about lines for the user
 * @property {string[]} notes on the settings
 * @property {Record<string, string>} disabled why a setting cannot be shown, by its name
 * @property {Record<string, number>} values the settings to begin with
 * @property {number} start
 * @property {boolean} lab
 * @property {boolean} ordered whether the kernel sends the order of the filters
 * @property {boolean} zeros whether the kernel can read the zero of the logits
 * @property {boolean} continuing whether the kernel can continue the reply
 */

/** @typedef {import("./reshape.js").Position & { tokens: number[], own: number }} TokenPosition */

/** @param {string} char */
const mark = (char) => `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/**
 * Text without anything that is invisible or that changes what is beside it; line ends stay.
 * @param {string} text
 */
export const harmless = (text) =>
  text.replace(INVISIBLE, (char) => (/[\n\t]/.test(char) ? char : mark(char)));

/**
 * A token in one line, every character of it visible; one without text ends the reply.
 * @param {string} text
 */
export const label = (text) =>
  harmless(text.replaceAll(" ", "·").replaceAll("\n", "↵").replaceAll("\t", "⇥")) || "⟨end⟩";

/** @param {number} probability */
export function percent(probability) {
  if (probability >= 1 - 1e-9) return "100 %";
  if (probability >= 0.9995) return "> 99.9 %";
  if (probability >= 0.0995) return `${(probability * 100).toFixed(1)} %`;
  if (probability >= 0.00005) return `${(probability * 100).toFixed(2)} %`;
  return probability > 0 ? "< 0.01 %" : "0";
}

/**
 * @param {number} low
 * @param {number} high
 */
export function percentRange(low, high) {
  if (high - low > 0.999) return "not known";
  const [from, to] = [percent(low), percent(high)];
  if (from === to || high - low < 0.0005) return percent((low + high) / 2);
  return `${from.replace(" %", "")}–${to}`;
}

/** @param {number} probability */
export function bandOf(probability) {
  if (Number.isNaN(probability)) return NOT_KNOWN;
  return BANDS.findIndex((least) => probability >= least);
}

/**
 * Return a reply's tokens from what display/lens.py has packed.
 * @param {DataView} packed
 */
export async function unpackTokens(packed) {
  const stream = new Blob([/** @type {any} */ (packed)])
    .stream()
    .pipeThrough(new DecompressionStream("deflate"));
  const data = await new Response(stream).arrayBuffer();
  const length = new DataView(data).getUint32(0, true);
  let at = 4 + length;
  /** @type {Head} */
  const head = JSON.parse(new TextDecoder().decode(data.slice(4, at)));
  /** @type {Record<string, ArrayBuffer>} */
  const arrays = {};
  for (const [name, size] of Object.entries(head.sizes)) {
    arrays[name] = data.slice(at, at + size);
    at += size;
  }
  return new Tokens(head, arrays);
}

export class Tokens {
  /**
   * @param {Head} head
   * @param {Record<string, ArrayBuffer>} arrays
   */
  constructor(head, arrays) {
    this.head = head;
    const Index = head.wide ? Uint32Array : Uint16Array;
    this.none = head.wide ? NO_WIDE_INDEX : NO_INDEX;
    this.drawn = new Index(arrays.drawn);
    this.size = this.drawn.length;
    this.logprobs = new Float32Array(arrays.drawn_logprobs);
    this.alternatives = new Index(arrays.alternatives);
    this.alternativeLogprobs = new Float32Array(arrays.logprobs);
    this.ranks = new Uint16Array(arrays.ranks);
    /** @type {TokenPosition[]} */
    this.positions = [];
    /** @type {Map<number, [number, number, string]>} the character that a token is a piece of */
    this.pieces = new Map();
    for (const [at, count, text] of head.characters) {
      for (let piece = 0; piece < count; piece++) this.pieces.set(at + piece, [piece, count, text]);
    }
    let [known, nats] = [0, 0];
    for (const logprob of this.logprobs) {
      if (!(logprob >= MIN_LOGPROB)) continue;
      known += 1;
      nats -= logprob;
    }
    this.perplexity = known ? Math.exp(nats / known) : Number.NaN;
  }

  /** @param {number} at */
  text(at) {
    return this.head.texts[this.drawn[at]];
  }

  /** @param {number} at */
  probability(at) {
    const logprob = this.logprobs[at];
    return logprob >= MIN_LOGPROB ? Math.exp(logprob) : Number.NaN;
  }

  /**
   * Return what is known of a position; `own` is the index of the reply's token, -1 if it has no number.
   * @param {number} at
   * @param {boolean} [penalised] whether the tokens before it count
   */
  position(at, penalised = false) {
    this.positions[at] ??= this.makePosition(at);
    const position = this.positions[at];
    if (penalised && !position.counts) this.countBefore(at, position);
    return position;
  }

  /**
   * @param {number} at
   * @returns {TokenPosition}
   */
  makePosition(at) {
    const { most, vocabulary } = this.head;
    const start = at * most;
    const places = Array.from({ length: most }, (_, place) => start + place).filter(
      (place) => this.alternatives[place] !== this.none && this.alternativeLogprobs[place] >= MIN_LOGPROB,
    );
    places.sort((a, b) => this.alternativeLogprobs[b] - this.alternativeLogprobs[a]);
    const tokens = places.map((place) => this.alternatives[place]);
    const logprobs = places.map((place) => Math.min(0, this.alternativeLogprobs[place]));
    const best = tokens.length;
    let own = this.ranks[at] === NO_INDEX ? -1 : places.indexOf(start + this.ranks[at]);
    if (own < 0 && this.logprobs[at] >= MIN_LOGPROB) {
      own = best;
      tokens.push(this.drawn[at]);
      logprobs.push(Math.min(0, this.logprobs[at]));
    }
    return { logprobs, best, vocabulary, tokens, own };
  }

  /**
   * @param {number} at
   * @param {TokenPosition} position
   */
  countBefore(at, position) {
    const { prompt, ids, settings, llama } = this.head;
    const length = settings.repeat_last_n ?? llama.repeat_last_n;
    const size = length < 0 ? at + prompt.length : length;
    /** @type {Map<number | null, number>} by id; where there are none, by index */
    const counts = new Map();
    const key = (/** @type {number} */ token) => ids[token] ?? -1 - token;
    const reply = Array.from(this.drawn.subarray(Math.max(0, at - size), at), key);
    const before = size ? [...prompt, ...reply].slice(-size) : [];
    for (const token of before) counts.set(token, (counts.get(token) ?? 0) + 1);
    position.counts = position.tokens.map((token) => counts.get(key(token)) ?? 0);
    for (const token of position.tokens) counts.delete(key(token));
    position.others = [...counts.values()];
  }
}
