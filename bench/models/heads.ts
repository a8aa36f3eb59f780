import type { Stage } from '../../src/heads/dpt.ts';
import { ImageClassifier } from '../../src/heads/imageClassifier.ts';
import {
  DepthAnythingForDepthEstimation,
  type Dinov2Config,
  Dinov2ForDepthEstimation,
  Dinov2ForSemanticSegmentation,
  Dinov2Model,
  Tensor,
} from '../../src/index.ts';
import type { Picture } from '../../src/models/dense.ts';
import { spreadBlocks } from '../../src/models/recognition.ts';
import { Parameters } from '../../src/nn/parameters.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { type Float32, place } from '../../src/tensor/place.ts';
import { DTYPES, type Dtype } from '../engines/engine.ts';
import { limits } from '../kernels/limit.ts';
import { interleave, type Rounds, type Spread, timed } from '../measure.ts';
import { type Arithmetic, countArithmetic, leastTime } from './arithmetic.ts';
import { DEPTH_ANYTHING, MODELS, type ModelName } from './configs.ts';

/** An encoder, or a head on its tokens. */
export interface HeadResult {
  readonly name: string;
  readonly dtype: Dtype;
  /** Milliseconds. */
  readonly time: Spread;
  /** To the encoder in the same kind of number, taken within each round. */
  readonly ratio: Spread;
  /** Of its matrix products, convolutions and attention, counted as they are called. */
  readonly work: Arithmetic;
  /** Milliseconds that the bare multiply-adds of that take on this machine, floats and integers each at their own speed, measured in the same rounds. */
  readonly least: number;
}

export interface Heads {
  readonly model: ModelName;
  readonly size: number;
  readonly rounds: number;
  readonly results: readonly HeadResult[];
}

/** What a model of a head has that is of interest here. */
interface Dense {
  readonly engine: Engine;
  readonly parameters: Parameters;
  decode(stages: readonly Stage[], picture: Picture): Float32;
}

interface Case {
  readonly name: string;
  readonly dtype: Dtype;
  readonly engine: Engine;
  run(): unknown;
}

/**
 * Encoder and heads apart, on one thread: each head alone, on random tokens in the memory of its model. That it costs no more than its arithmetic shows
 * in the share of its time that the bare arithmetic takes, beside that of the encoder.
 */
export async function heads({
  model,
  size,
  dtypes,
  rounds: budget,
}: {
  model: ModelName;
  size: number;
  dtypes: readonly Dtype[];
  rounds: Rounds;
}): Promise<Heads> {
  const cases = dtypes.flatMap((dtype) => [encoderCase(model, size, dtype), ...headCases(model, size, dtype)]);
  const work: Arithmetic[] = [];
  for (const { engine, run } of cases) work.push(await countArithmetic(engine, run));
  const [{ engine }] = cases as [Case];
  const { floats, integers } = await limits(engine);
  const bare = [floats, integers];
  const { timings, rounds } = await interleave(
    [...bare, ...cases].map(({ run }) => timed(run)),
    budget,
  );
  const [floatRate, integerRate] = bare.map((limit, i) => limit.work / timings[i].time.median) as [number, number];
  const results = cases.map(({ name, dtype }, i) => {
    const { time } = timings[bare.length + i];
    const encoder = timings[bare.length + cases.findIndex((other) => other.dtype === dtype)].time;
    const ratio = { median: time.median / encoder.median, low: time.low / encoder.high, high: time.high / encoder.low };
    return { name, dtype, time, ratio, work: work[i], least: leastTime(work[i], { floats: floatRate, integers: integerRate }) };
  });
  for (const { engine } of cases) engine.dispose();
  return { model, size, rounds, results };
}

function encoderCase(name: ModelName, size: number, dtype: Dtype): Case {
  const model = new Dinov2Model(MODELS[name], { seed: 1, dtype: DTYPES[dtype] });
  const pixels = new Tensor('float32', waves(3 * size * size), [1, 3, size, size]);
  return { name: 'encoder', dtype, engine: (model as unknown as Dense).engine, run: () => model(pixels) };
}

function headCases(name: ModelName, size: number, dtype: Dtype): Case[] {
  const {
    hidden_size: width,
    num_hidden_layers: depth,
    ...fields
  } = MODELS[name].to_dict() as { hidden_size: number; num_hidden_layers: number };
  for (const field of ['model_type', 'out_features', 'out_indices', 'apply_layernorm'] as const)
    delete (fields as Record<string, unknown>)[field];
  const encoder = { ...fields, hidden_size: width, num_hidden_layers: depth };
  const side = Math.ceil(size / 14);
  const dense = (title: string, Model: unknown, more: object, layers: number): Case => {
    const model = new (Model as new (config: Dinov2Config, options: object) => Dense)({ ...encoder, ...more } as unknown as Dinov2Config, {
      dtype: DTYPES[dtype],
      initialize: false,
    });
    const { engine, parameters } = model;
    fill(parameters, (parameter) => !parameter.startsWith('backbone.'));
    const stages = Array.from({ length: layers }, () => ({
      classToken: random(engine, [width]),
      patches: random(engine, [side, side, width]),
    }));
    return { name: title, dtype, engine, run: () => engine.scope(() => model.decode(stages, { grid: [side, side], size: [size, size] })) };
  };
  const classifier = (layers: 1 | 4): Case => {
    const engine = new Engine();
    const parameters = new Parameters(engine, DTYPES[dtype]);
    const head = new ImageClassifier(parameters, { width, labels: 1000, layers });
    fill(parameters, () => true);
    const [tokens, patches] = [random(engine, [layers * width]), random(engine, [side * side, width])];
    const title = `classifier on ${layers} ${layers === 1 ? 'layer' : 'layers'}`;
    return { name: title, dtype, engine, run: () => engine.scope(() => head.forward(tokens, patches)) };
  };
  const last = (layers: number): object => ({ out_indices: Array.from({ length: layers }, (_, i) => depth - layers + 1 + i) });
  const backbone_config = { model_type: 'dinov2', ...encoder, out_indices: spreadBlocks(depth), reshape_hidden_states: false };
  return [
    classifier(1),
    classifier(4),
    dense('linear depth on 1 layer', Dinov2ForDepthEstimation, { head_type: 'linear', ...last(1) }, 1),
    dense('linear depth on 4 layers', Dinov2ForDepthEstimation, { head_type: 'linear', out_indices: spreadBlocks(depth) }, 4),
    dense('DPT depth', Dinov2ForDepthEstimation, { head_type: 'dpt', out_indices: spreadBlocks(depth) }, 4),
    dense('segmentation on 1 layer', Dinov2ForSemanticSegmentation, { num_labels: 150, ...last(1) }, 1),
    dense('segmentation on 4 layers', Dinov2ForSemanticSegmentation, { num_labels: 150, ...last(4) }, 4),
    dense(
      'Depth Anything',
      DepthAnythingForDepthEstimation,
      { backbone_config, reassemble_hidden_size: width, ...DEPTH_ANYTHING[name] },
      4,
    ),
  ];
}

/** Gives memory and numbers to the parameters that are wanted. */
function fill({ all }: Parameters, isWanted: (name: string) => boolean): void {
  const own = all.filter(({ name }) => isWanted(name));
  for (const { allocate } of own) allocate();
  for (const { dims, load } of own) load(new Tensor('float32', waves(dims.reduce((product, d) => product * d, 1)), dims));
}

function random(engine: Engine, dims: readonly number[]): Float32 {
  const tensor = place(engine, 'float32', dims);
  engine.write(tensor.place?.address ?? 0, waves(tensor.size));
  return tensor;
}

function waves(count: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i) / 16);
}
