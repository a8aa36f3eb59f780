import { readdirSync } from 'node:fs';
import { AutoBackbone, AutoImageProcessor, AutoModel, AutoModelForImageClassification, type Tensor } from '../../src/index.ts';
import { goldenPath } from '../../test/helpers.ts';
import { flatten, goldenCalls, readTensors } from '../../test/models/helpers.ts';

export interface Accuracy {
  readonly what: string;
  /** Numbers compared. */
  readonly count: number;
  /** Largest absolute difference from PyTorch. */
  readonly difference: number;
  /** Largest absolute value of the reference. */
  readonly largest: number;
}

const KINDS = [
  { kind: 'encoder', what: 'goldens: encoder, all hidden states and attentions', auto: AutoModel },
  { kind: 'classify', what: 'goldens: classifier, logits and losses', auto: AutoModelForImageClassification },
  { kind: 'backbone', what: 'goldens: backbone, feature maps', auto: AutoBackbone },
];

/** Differences from PyTorch: over the goldens, and over the references of a full-size model where its folder is given. */
export async function accuracy(real: string | undefined): Promise<Accuracy[]> {
  const rows = [];
  for (const { kind, what, auto } of KINDS) rows.push(await overGoldens(kind, what, auto as { from_pretrained: Load }));
  if (real) rows.push(await overReal(real));
  return rows;
}

type Model = ((inputs: object, options?: object) => Promise<object>) & { dispose(): void };
type Load = (folder: string) => Promise<Model>;

async function overGoldens(kind: string, what: string, auto: { from_pretrained: Load }): Promise<Accuracy> {
  const tally = new Tally();
  for (const name of readdirSync(goldenPath('')).filter((folder) => folder.startsWith(kind))) {
    const model = await auto.from_pretrained(goldenPath(name));
    for (const { inputs, outputs } of (await goldenCalls(name)).values()) {
      const options = kind === 'encoder' ? { output_hidden_states: true, output_attentions: true } : {};
      for (const [key, found] of flatten(await model(Object.fromEntries(inputs), options))) {
        const expected = outputs.get(key);
        if (expected) tally.add(found.data, expected.data);
      }
    }
    model.dispose();
  }
  return { what, ...tally.result };
}

/** The references at 224 x 224; test/real.test.ts has the other sizes. */
async function overReal(folder: string): Promise<Accuracy> {
  const tally = new Tally();
  const references = await readTensors(`${folder}/io.safetensors`);
  const processor = await AutoImageProcessor.from_pretrained(folder);
  const model = await AutoModel.from_pretrained(folder);
  for (const photo of ['astronaut', 'chelsea', 'coffee']) {
    const inputs = await processor(new URL(`../../examples/photos/${photo}.png`, import.meta.url));
    const expected = references.get(`${photo}.last_hidden_state`) as Tensor<'float32'>;
    tally.add((await model(inputs)).last_hidden_state.data, expected.data);
  }
  model.dispose();
  return { what: 'full-size model of DINOV2_REAL, three photographs at 224', ...tally.result };
}

class Tally {
  result = { count: 0, difference: 0, largest: 0 };

  add(found: Float32Array, expected: Float32Array): void {
    const { result } = this;
    result.count += expected.length;
    for (const [i, value] of expected.entries()) {
      result.difference = Math.max(result.difference, Math.abs(value - (found[i] as number)));
      result.largest = Math.max(result.largest, Math.abs(value));
    }
  }
}
