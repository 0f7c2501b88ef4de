// @ts-check
// What settings make of one position, in the browser: the same as core/sampling.py, which explains it.
// tests/core/test_sampling_in_js.py holds the two together.

/** @typedef {Record<string, number>} Settings by llama.cpp's names */

/**
 * What is known of a position. `logprobs` are the returned ones, the most likely first; after the first
 * `best`, one more may follow: the reply's own token where it is not among the best. `vocabulary` is the
 * number of all tokens, or null. `counts` says how often each of the tokens was in the window of the
 * penalties, `others` how often the window's other tokens were. `zero` is logit - log-probability.
 * @typedef {object} Position
 * @property {ArrayLike<number>} logprobs
 * @property {number} best
 * @property {number | null} vocabulary
 * @property {number[]} [counts]
 * @property {number[]} [others]
 * @property {number | null} [zero]
 */

/**
 * Probabilities by the index of a token, as intervals; `rest` is that of all other tokens together. `cut`
 * is the filter after which a token is surely gone: the number of a name in FILTER_NAMES. `unsure` has the
 * filters that may have cut it before, 1 << number each; `restCut` those that may have cut the others.
 * `lowered` are the tokens that a penalty lowered. `removed` has, by filter, how much of the model's
 * probability of the others it removed. `survivors` is how many tokens are left, or null; `atMost` is never
 * less.
 * @typedef {object} Reshaped
 * @property {Float64Array} low
 * @property {Float64Array} high
 * @property {[number, number]} rest
 * @property {Uint8Array} cut
 * @property {Uint8Array} unsure
 * @property {number} restCut
 * @property {Uint8Array} lowered
 * @property {[number, number][]} removed
 * @property {number} atMost
 * @property {Float64Array} weights of the tokens that may be left, and in the same units:
 * @property {{ low: number, high: number, count: number, cap: number }} group the sum of the others' weights,
 *   how many may be left, and the greatest weight that one may have
 * @property {boolean} exact
 * @property {number | null} survivors
 * @property {string[]} notes
 */

export const FILTER_NAMES = ["", "top_k", "top_p", "min_p", "temperature 0"];
const [, TOP_K, TOP_P, MIN_P, GREEDY] = FILTER_NAMES.keys();
const SLACK = 3e-4; // what 32 bits lose of a sum of probabilities
const NEAR = 3e-6; // closer to a limit than this, 32 bits decide
const MIN_TEMPERATURE = 1e-6;
const MAX_EXPONENT = 700;

/** @param {number} exponent */
const boundedExp = (exponent) => Math.exp(Math.min(exponent, MAX_EXPONENT));

/**
 * Return part / (part + others), 1 for an infinite part and 0 for none.
 * @param {number} part
 * @param {number} others
 */
const shareOf = (part, others) => (part === Infinity ? 1 : part ? part / (part + others) : 0);

/**
 * Return the sum of p ** power over `count` equal probabilities with this total.
 * @param {number} total
 * @param {number} count
 * @param {number} power
 */
function evenSum(total, count, power) {
  if (total <= 0) return 0;
  if (count === Infinity) return power === 1 ? total : power < 1 ? Infinity : 0;
  return count * boundedExp(power * Math.log(total / count));
}

/**
 * Return the sum of p ** power with as many probabilities as possible at `cap`.
 * @param {number} total
 * @param {number} count
 * @param {number} cap
 * @param {number} power
 */
function piledSum(total, count, cap, power) {
  const size = Math.max(Math.min(cap, total), total / count);
  if (!(size > 0)) return 0;
  const full = Math.floor(total / size + 1e-12);
  const left = Math.max(0, total - full * size);
  return full * boundedExp(power * Math.log(size)) + (left ? boundedExp(power * Math.log(left)) : 0);
}

// The tokens that are left after some filters, likeliest first, and the group of the others.
class Chain {
  /** @param {Position} position */
  constructor({ logprobs, best, vocabulary, counts, others = [], zero = null }) {
    const size = logprobs.length;
    this.size = size;
    this.weights = Float64Array.from(logprobs);
    this.unsure = new Uint8Array(size);
    this.lowered = new Uint8Array(size);
    this.cut = new Uint8Array(size);
    /** @type {number[]} */
    this.left = [];
    /** @type {string[]} */
    this.notes = [];
    this.counts = counts;
    this.others = others;
    this.zero = zero;
    let total = 0;
    for (let i = 0; i < size; i++) {
      this.left.push(i);
      total += Math.exp(this.weights[i]);
    }
    this.power = 1;
    this.count = vocabulary === null ? Infinity : Math.max(0, vocabulary - size);
    this.low = Math.max(0, 1 - total);
    this.high = this.low + SLACK;
    this.cap = best ? this.weights[best - 1] : 0; // a logarithm
    this.model = [this.low, this.high]; // of what is left of the group, its probability in the model
    this.stretch = [1, 1]; // what makes that of `low` and `high`, which penalties change
    this.penalised = false;
    this.removed = FILTER_NAMES.map(() => /** @type {[number, number]} */ ([0, 0]));
    this.restCut = 0;
    this.atMost = Infinity;
    if (!this.count) this.close();
  }

  // No token of the group is left.
  close() {
    this.count = this.low = this.high = 0;
  }

  /**
   * Note what a filter may have removed of the group, at most so much of the model's probability.
   * @param {number} filter
   * @param {number} [most]
   */
  account(filter, most = Infinity) {
    const [low, high] = this.model;
    const least = Math.min(high, this.low * this.stretch[0]);
    const greatest = this.high ? Math.min(high, this.high * this.stretch[1]) : 0;
    this.removed[filter] = [Math.max(0, low - greatest), Math.min(high - least, most)];
    this.model = [least, greatest];
    this.restCut |= 1 << filter;
  }

  /** @param {number} i */
  outranks(i) {
    return this.count === 0 || this.weights[i] >= this.power * this.cap - NEAR;
  }

  /**
   * Return the bounds of the group's sum of weights, in units of exp(scale).
   * @param {number} scale
   * @returns {[number, number]}
   */
  groupSum(scale) {
    if (!this.count) return [0, 0];
    const unit = scale / this.power;
    const low = boundedExp(Math.log(this.low) - unit);
    const high = boundedExp(Math.log(this.high) - unit);
    const cap = boundedExp(this.cap - unit);
    const { count, power } = this;
    return power > 1
      ? [evenSum(low, count, power), piledSum(high, count, cap, power)]
      : [piledSum(low, count, cap, power), evenSum(high, count, power)];
  }

  /**
   * Keep the tokens with true, cut those with false; null makes a token unsure.
   * @param {(boolean | null)[]} decided
   * @param {number} filter
   */
  keep(decided, filter) {
    const left = [];
    for (const [rank, i] of this.left.entries()) {
      if (decided[rank] === false) this.cut[i] = filter;
      else {
        if (decided[rank] === null) this.unsure[i] |= 1 << filter;
        left.push(i);
      }
    }
    this.left = left;
  }

  /** @param {Settings} settings */
  applyPenalties({
    repeat_penalty: repeat = 1,
    frequency_penalty: frequency = 0,
    presence_penalty: presence = 0,
  }) {
    const { counts, weights, others } = this;
    if (!counts || (repeat === 1 && frequency === 0 && presence === 0)) return;
    this.penalised = true;
    for (const i of this.left) {
      if (!counts[i]) continue;
      const before = weights[i];
      if (repeat !== 1 && this.zero !== null) {
        const base = this.power * this.zero;
        const logit = weights[i] + base;
        weights[i] = (logit <= 0 ? logit * repeat : logit / repeat) - base;
      } else if (repeat !== 1) this.notes.push("the repetition penalty needs the logits, which are not sent");
      weights[i] -= counts[i] * frequency + presence;
      if (weights[i] < before) this.lowered[i] = 1;
    }
    this.left.sort((a, b) => weights[b] - weights[a]);
    if (!this.count || !others.length) return;
    // Some tokens of the group are penalised, too; which is not known.
    const least = Math.min(...others) * frequency + presence;
    const most = Math.max(...others) * frequency + presence;
    const fall = Math.max(0, least, most) / this.power;
    this.low *= boundedExp(-fall);
    const rise = -Math.min(0, least, most) / this.power;
    this.high *= boundedExp(rise);
    this.cap += rise;
    this.stretch = [boundedExp(-rise), repeat > 1 ? Infinity : boundedExp(fall)];
    if (repeat > 1) this.low = 0;
    else if (repeat < 1) this.notes.push("a repetition penalty below 1 raises tokens that were not returned");
  }

  /** @param {number} temperature */
  applyTemperature(temperature) {
    if (temperature <= 0) {
      this.keepBest(1, GREEDY);
      return;
    }
    const divisor = Math.max(temperature, MIN_TEMPERATURE);
    for (const i of this.left) this.weights[i] /= divisor;
    this.power /= divisor;
  }

  /**
   * Keep the `most` likeliest tokens.
   * @param {number} most
   * @param {number} filter
   */
  keepBest(most, filter) {
    const decided = [];
    let [sure, possible, outranking] = [0, 0, 0];
    for (const i of this.left) {
      const outranks = this.outranks(i);
      const surely = possible + (outranks ? 0 : this.count) < most;
      decided.push(surely || (sure < most ? null : false));
      possible += 1;
      if (this.unsure[i]) continue;
      sure += 1;
      if (outranks) outranking += 1;
    }
    this.keep(decided, filter);
    this.atMost = Math.min(this.atMost, most);
    if (!this.count) return;
    const left = most - outranking;
    const share = Math.min(1, Math.max(0, most - possible) / this.count);
    if (left <= 0) this.close();
    else {
      this.count = Math.min(this.count, left);
      this.high = Math.min(this.high, left * boundedExp(this.cap));
      this.low = Math.min(this.low * share, this.high);
    }
    if (share < 1) this.account(filter);
  }

  /**
   * Keep the likeliest tokens that together hold this share.
   * @param {number} share
   */
  applyTopP(share) {
    if (!this.left.length) return;
    const { weights, unsure } = this;
    const scale = weights[this.left[0]];
    const [low, high] = this.groupSum(scale);
    const masses = this.left.map((i) => Math.exp(weights[i] - scale));
    const total = masses.reduce((sum, mass) => sum + mass, 0);
    let [below, above, sureBelow] = [total, 0, 0];
    for (const [rank, i] of this.left.entries()) if (!unsure[i]) sureBelow += masses[rank];
    let [sureAbove, outranking] = [0, 0];
    const decided = [];
    for (const [rank, i] of this.left.entries()) {
      const mass = masses[rank];
      const outranks = this.outranks(i);
      if (!unsure[i]) sureBelow -= mass;
      // The share of what stands before the token, which is kept where that is too little.
      const smallest = sureAbove / (sureAbove + below + high);
      const behind = mass + Math.max(0, sureBelow);
      const largest = outranks ? shareOf(above, behind + low) : shareOf(above + high, behind);
      const kept = outranks && (!rank || largest < share - NEAR);
      decided.push(kept || (rank > 0 && smallest >= share + NEAR ? false : null));
      above += mass;
      below = Math.max(0, below - mass);
      if (unsure[i]) continue;
      sureAbove += mass;
      if (outranks) outranking += mass;
    }
    this.keep(decided, TOP_P);
    if (!this.count) return;
    const whole = total * Math.exp(scale);
    // Without penalties and temperature, these are shares of the model's probability.
    const most = this.power === 1 && !this.penalised ? (1 - share) * (whole + this.high) + NEAR : Infinity;
    if (outranking / (total + high) >= share + NEAR) this.close();
    else if (this.power === 1) {
      let kept = 0;
      for (const i of this.left) if (!unsure[i]) kept += boundedExp(weights[i]);
      const limit = share * (whole + this.high) - kept + boundedExp(this.cap);
      this.low = Math.max(0, share * this.low - (1 - share) * whole - NEAR);
      this.high = Math.min(this.high, Math.max(0, limit) + NEAR);
    } else this.low = 0;
    this.account(TOP_P, most);
  }

  /**
   * Keep the tokens at least this fraction as likely as the likeliest.
   * @param {number} share
   */
  applyMinP(share) {
    if (!this.left.length) return;
    const { weights } = this;
    const group = this.count ? this.power * this.cap : -Infinity;
    const first = this.left.find((i) => !this.unsure[i]);
    const lowest = (first === undefined ? -Infinity : weights[first]) + Math.log(share);
    const highest = Math.max(weights[this.left[0]], group) + Math.log(share);
    const decided = this.left.map((i, rank) => {
      const weight = weights[i];
      const best = !rank && this.outranks(i);
      if (best || weight >= highest + NEAR || (lowest === highest && weight === lowest)) return true;
      return weight > lowest - NEAR ? null : false;
    });
    this.keep(decided, MIN_P);
    if (!this.count) return;
    if (lowest > group + NEAR) this.close();
    else {
      this.low = 0;
      if (this.high < Infinity) {
        const fitting = Math.floor(boundedExp(Math.log(this.high) - lowest / this.power) + NEAR);
        this.count = Math.min(this.count, Math.max(1, fitting));
      }
    }
    this.account(MIN_P);
  }

  /** @returns {Reshaped} */
  result() {
    const { size, weights, cut, unsure, left } = this;
    const [low, high] = [new Float64Array(size), new Float64Array(size)];
    const { restCut, removed, lowered, notes } = this;
    const atMost = Math.min(this.atMost, left.length + this.count);
    if (notes.length) {
      const none = new Uint8Array(size);
      return {
        low,
        high: high.fill(1),
        rest: [0, 1],
        cut: none,
        unsure: none,
        restCut: 0,
        lowered: none,
        removed: [],
        atMost: Infinity,
        weights: new Float64Array(size),
        group: { low: 0, high: Infinity, count: Infinity, cap: Infinity },
        exact: false,
        survivors: null,
        notes: [...new Set(notes)],
      };
    }
    const scale = left.length ? weights[left[0]] : 0;
    const [least, most] = this.groupSum(scale);
    let [every, sure, doubts] = [0, 0, 0];
    const units = new Float64Array(size);
    for (const i of left) {
      const weight = Math.exp(weights[i] - scale);
      units[i] = weight;
      every += weight;
      if (unsure[i]) doubts += 1;
      else sure += weight;
    }
    for (const i of left) {
      const weight = units[i];
      low[i] = unsure[i] ? 0 : weight / (every + most);
      high[i] = weight / (sure + least + (unsure[i] ? weight : 0));
    }
    const certain = this.count === 0 && !doubts;
    return {
      low,
      high,
      rest: [shareOf(least, every), shareOf(most, sure)],
      cut,
      unsure,
      restCut,
      lowered,
      removed,
      atMost,
      weights: units,
      group: { low: least, high: most, count: this.count, cap: boundedExp(this.power * this.cap - scale) },
      exact: certain,
      survivors: certain ? left.length : null,
      notes,
    };
  }
}

/**
 * Return what the settings make of a position; `order` has the names of the filters.
 * @param {Position} position
 * @param {Settings} settings
 * @param {readonly string[]} order
 * @returns {Reshaped}
 */
export function reshape(position, settings, order) {
  const chain = new Chain(position);
  if (!chain.size) chain.notes.push("no log-probabilities");
  for (const step of order) {
    if (step === "penalties") chain.applyPenalties(settings);
    else if (step === "temperature") chain.applyTemperature(settings.temperature);
    else if (step === "top_k" && settings.top_k > 0) chain.keepBest(settings.top_k, TOP_K);
    else if (step === "top_p" && settings.top_p < 1) chain.applyTopP(settings.top_p);
    else if (step === "min_p" && settings.min_p > 0) chain.applyMinP(settings.min_p);
  }
  return chain.result();
}
