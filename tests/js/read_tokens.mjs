// A packed reply on stdin; on stdout what tokens.js reads in it.
import { readFileSync } from "node:fs";
import { bandOf, harmless, label, percent, unpackTokens } from "../../di_magics/display/static/tokens.js";

const data = readFileSync(0);
const tokens = await unpackTokens(new DataView(data.buffer, data.byteOffset, data.byteLength));
const positions = Array.from({ length: tokens.size }, (_, at) => {
  const { logprobs, best, tokens: indexes, own, counts, others } = tokens.position(at, true);
  return { logprobs, best, ids: indexes.map((index) => tokens.head.ids[index]), own, counts, others };
});
process.stdout.write(
  JSON.stringify({
    texts: positions.map((_, at) => tokens.text(at)),
    labels: positions.map((_, at) => label(tokens.text(at))),
    harmless: positions.map((_, at) => harmless(tokens.text(at))),
    bands: positions.map((_, at) => bandOf(tokens.probability(at))),
    percents: positions.map((_, at) => percent(tokens.probability(at))),
    perplexity: tokens.perplexity,
    positions,
  }),
);
