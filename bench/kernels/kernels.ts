import { readFileSync } from 'node:fs';
import { jpegSegments, readJpegHeader } from '../../src/image/jpeg.ts';
import { decodeJpeg } from '../../src/image/jpegDecoder.ts';
import { Conv2d } from '../../src/nn/conv2d.ts';
import { Parameters } from '../../src/nn/parameters.ts';
import type { Engine } from '../../src/runtime/engine.ts';
import { ACTIVATIONS, PANEL, STRIP_ROWS } from '../../src/runtime/kernels.ts';
import { Int8Matrix } from '../../src/tensor/matrix/int8Matrix.ts';
import { quantizeRows } from '../../src/tensor/matrix/quantizedRows.ts';
import { resample } from '../../src/tensor/resample.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import type { Engine as BenchEngine } from '../engines/engine.ts';
import { hasPeers } from '../engines/install.ts';
import { startTfjs, tfjs } from '../engines/tfjs.ts';
import { interleave, type Rounds, type Spread, timed } from '../measure.ts';
import { limits } from './limit.ts';

export interface KernelResult {
  readonly name: string;
  /** Milliseconds. */
  readonly time: Spread;
  /** Operations on floats or integers, or for kernels that do little arithmetic numbers. */
  readonly rate: number;
  readonly unit: 'GFLOP/s' | 'Gop/s' | 'G numbers/s';
  /** Of the limit of this build for operations of the kind, measured in the same rounds. */
  readonly share: number | undefined;
}

interface Case {
  readonly name: string;
  run(): unknown;
  /** Operations or numbers of one run. */
  readonly work: number;
  readonly unit: KernelResult['unit'];
}

/** Of products with weights: (m, k) times (k, n). */
const SHAPES = [
  ['S, query', 257, 384, 384],
  ['S, fc1', 257, 384, 1536],
  ['S, fc2', 257, 1536, 384],
  ['S, patches', 256, 588, 384],
  ['B, fc1', 257, 768, 3072],
  ['S at 518, query', 1370, 384, 384],
] as const;

/**
 * The kernels on the shapes of ViT-S/14 and ViT-B/14 at 224 (257 tokens) and 518 (1370 tokens) and of depth heads, in turn with the limit
 * of the machine and with the matrix product of tfjs if it is among the peers and installed.
 */
export async function kernels(
  engine: Engine,
  { rounds, peers }: { rounds: Rounds; peers: readonly BenchEngine[] },
): Promise<KernelResult[]> {
  const { floats, integers } = await limits(engine);
  const limitCases: Case[] = [
    { ...floats, unit: 'GFLOP/s' },
    { ...integers, unit: 'Gop/s' },
  ];
  const cases = [...limitCases, ...casesOf(engine), ...(hasPeers() && peers.includes(tfjs) ? await peerCases() : [])];
  const { timings } = await interleave(
    cases.map(({ run }) => timed(run)),
    rounds,
  );
  const rate = (i: number): number => cases[i].work / timings[i].time.median / 1e6;
  const best = { 'GFLOP/s': rate(0), 'Gop/s': rate(1), 'G numbers/s': undefined };
  return timings.map(({ time }, i) => {
    const { name, unit } = cases[i];
    const limit = best[unit];
    return { name, time, rate: rate(i), unit, share: limit && rate(i) / limit };
  });
}

/** The products with weights of {@link casesOf}, in tfjs. */
async function peerCases(): Promise<Case[]> {
  const tf = await startTfjs();
  const random = (rows: number, columns: number) =>
    tf.tensor(
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i)),
      [rows, columns],
    );
  return SHAPES.map(([what, m, k, n]) => {
    const [a, b] = [random(m, k), random(k, n)];
    return { name: `tfjs matMul ${m} x ${k} x ${n} (${what})`, run: () => tf.matMul(a, b).dispose(), work: 2 * m * n * k, unit: 'GFLOP/s' };
  });
}

function casesOf(engine: Engine): Case[] {
  const filled = (count: number): number => {
    const address = engine.allocate(count * 4);
    engine.write(
      address,
      Float32Array.from({ length: count }, (_, i) => Math.sin(i)),
    );
    return address;
  };
  const packed = (columns: number, rows: number): number => filled(Math.ceil(columns / PANEL) * PANEL * (rows + 1));
  const x = filled(1370 * 3072);
  const y = filled(1370 * 3072);
  const vector = filled(3072);

  const gemm = (what: string, m: number, k: number, n: number, activation: keyof typeof ACTIVATIONS = 'none'): Case => {
    const w = packed(n, k);
    return {
      name: `f32_gemm ${m} x ${k} x ${n} (${what})`,
      run: () => engine.call('f32_gemm', m, n, k, x, k, w, y, n, ACTIVATIONS[activation]),
      work: 2 * m * n * k,
      unit: 'GFLOP/s',
    };
  };
  const attention = (tokens: number): Case => {
    const keys = packed(tokens, 64);
    const values = packed(64, tokens);
    const strip = filled(STRIP_ROWS * Math.ceil(tokens / PANEL) * PANEL);
    return {
      name: `f32_attention ${tokens} tokens, one head of 64`,
      run: () => engine.call('f32_attention', tokens, tokens, 64, x, 384, keys, values, y, 384, 0.125, 1, strip, 0),
      work: 4 * tokens * tokens * 64,
      unit: 'GFLOP/s',
    };
  };
  const integers = (what: string, m: number, k: number, n: number): Case => {
    const matrix = new Int8Matrix(engine, n, k);
    matrix.pack(image(n, k));
    const rows = quantizeRows(engine, image(m, k));
    return {
      name: `i8_gemm ${m} x ${k} x ${n} (${what})`,
      run: () => engine.scope(() => matrix.multiply(rows)),
      work: 2 * m * n * k,
      unit: 'Gop/s',
    };
  };
  const image = (...dims: number[]): Tensor<'float32'> => new Tensor('float32', { engine, address: x }, dims);
  const convolution = (what: string, size: number, inputs: number, outputs: number, dtype: 'float32' | 'int8' = 'float32'): Case => {
    const parameters = new Parameters(engine, dtype);
    const layer = new Conv2d(parameters, inputs, outputs, { kernel: 3, padding: 1 });
    for (const { dims, allocate, load } of parameters.all) {
      allocate();
      load(image(...dims));
    }
    return {
      name: `convolution 3 x 3 in ${dtype}, ${size} x ${size} x ${inputs} to ${outputs} (${what})`,
      run: () => engine.scope(() => layer.forward(image(size, size, inputs))),
      work: 2 * size * size * 9 * inputs * outputs,
      unit: dtype === 'int8' ? 'Gop/s' : 'GFLOP/s',
    };
  };
  const photograph = (name: string): Case => {
    const segments = [...jpegSegments(readFileSync(new URL(`../../examples/photos/${name}`, import.meta.url)), name)];
    const header = readJpegHeader(segments, name);
    const { width, height } = header;
    const run = (): unknown => decodeJpeg(segments, header, engine);
    return { name: `JPEG ${width} x ${height} (all of its kernels)`, run, work: 3 * width * height, unit: 'G numbers/s' };
  };
  const numbers = (name: string, count: number, run: () => void): Case => ({ name, run, work: count, unit: 'G numbers/s' });

  return [
    ...SHAPES.map(([what, m, k, n]) => gemm(what, m, k, n)),
    gemm('S, fc1 with GELU', 257, 384, 1536, 'gelu'),
    ...SHAPES.map(([what, m, k, n]) => integers(what, m, k, n)),
    numbers('i8_quantize 257 x 1536', 257 * 1536, () => engine.scope(() => quantizeRows(engine, image(257, 1536)))),
    numbers('i8_quantize 257 x 1536, rotated', 257 * 1536, () =>
      engine.scope(() => quantizeRows(engine, image(257, 1536), { rotated: true })),
    ),
    attention(257),
    attention(1370),
    convolution('DPT, fusion', 46, 256, 256),
    convolution('Depth Anything S, fusion', 148, 64, 64),
    convolution('Depth Anything S, last', 296, 32, 32),
    convolution('DPT, fusion', 46, 256, 256, 'int8'),
    convolution('Depth Anything S, fusion', 148, 64, 64, 'int8'),
    photograph('rocket.jpg'),
    numbers('resample 74 x 74 x 128 to 148 x 148, bilinear', 148 * 148 * 128, () =>
      engine.scope(() => resample(image(74, 74, 128), { height: 148, width: 148, filter: 'bilinear', alignCorners: true })),
    ),
    numbers('f32_activation gelu', 257 * 1536, () => engine.call('f32_activation', 257 * 1536, ACTIVATIONS.gelu, x, y)),
    numbers('f32_softmax 1542 x 257', 1542 * 257, () => engine.call('f32_softmax', 1542, 257, x, y)),
    numbers('f32_bin_mean 14 x 148 x 256 (linear depth head)', 14 * 148 * 256, () =>
      engine.call('f32_bin_mean', 14 * 148, 256, x, vector, y),
    ),
    numbers('f32_l2_norm 257 x 256', 257 * 256, () => engine.call('f32_l2_norm', 257, 256, 1e-12, x, y)),
    numbers('i8_dot_rows 20000 x 384 (search)', 20000 * 384, () =>
      engine.call('i8_dot_rows', Number(engine.multipliesBytes), 20000, 384, x, x, vector, 0, 1, 0, y, y + 80000),
    ),
    numbers('i8_quantize_rows 4096 x 384 (search)', 4096 * 384, () => engine.call('i8_quantize_rows', 4096, 384, x, y, y + 4096 * 384)),
    numbers('f32_clamp 518 x 518', 518 * 518, () => engine.call('f32_clamp', 518 * 518, 0.001, 10, x, y)),
    numbers('f32_layer_norm 257 x 384', 257 * 384, () => engine.call('f32_layer_norm', 257, 384, x, vector, vector, 1e-6, y)),
  ];
}
