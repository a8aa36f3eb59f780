import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError } from '../../src/errors.ts';
import { Dinov2ForSemanticSegmentation, type SegmentOptions } from '../../src/index.ts';
import { type Logits, segment } from '../../src/models/segmenting.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { Tensor } from '../../src/tensor/tensor.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import { interpolate } from '../reference/interpolate.ts';
import * as reference from '../reference/ops.ts';
import { randomTensor } from '../tensor/helpers.ts';
import { pixels, TINY } from './helpers.ts';

const LABELS = 3;
const PATCH = 4;
const PROTOCOL = { window: 12, stride: 6 };

/** Logits (1, labels, rows, columns) that depend on every pixel of a patch, on its place in the window and on the window's size. */
const run: Logits = async ({ dims, data }) => {
  const [, channels, height, width] = dims as [number, number, number, number];
  const [rows, columns] = [Math.ceil(height / PATCH), Math.ceil(width / PATCH)];
  const logits = new Float32Array(LABELS * rows * columns);
  for (const [i, value] of data.entries()) {
    const [c, y, x] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    const place = Math.floor(y / PATCH) * columns + Math.floor(x / PATCH);
    for (let label = 0; label < LABELS; label++) {
      const at = label * rows * columns + place;
      logits[at] = (logits[at] as number) + value * Math.sin(label + 2 * c + y * 3 + x) + (0.01 * label * y) / channels + 0.001 * x;
    }
  }
  return new Tensor('float32', logits, [1, LABELS, rows, columns]);
};

/** What mmsegmentation does, step by step on whole arrays in float64; -> (height, width, labels) */
async function slow(
  picture: Float32,
  options: Required<Pick<SegmentOptions, 'scales' | 'flip' | 'target_size'>> & SegmentOptions,
): Promise<Float64Array> {
  const [channels, height, width] = picture.dims as [number, number, number];
  const { window = PROTOCOL.window, size = window, stride = PROTOCOL.stride, scales, flip, target_size } = options;
  const sum = new Float64Array(target_size[0] * target_size[1] * LABELS);
  for (const scale of scales) {
    for (const mirrored of flip ? [false, true] : [false]) {
      const factor = size === null ? scale : Math.trunc(size * scale) / Math.min(height, width);
      const [h, w] = [Math.trunc(height * factor + 0.5), Math.trunc(width * factor + 0.5)];
      const planes = Array.from({ length: channels }, (_, c) =>
        interpolate(picture.at(c).data, [height, width, 1], { size: [h, w], mode: 'bilinear' }),
      );
      const pixel = (c: number, y: number, x: number): number => planes[c]?.[y * w + (mirrored ? w - 1 - x : x)] as number;
      const [cropH, cropW] = [window ?? h, window ?? w];
      const total = new Float64Array(h * w * LABELS);
      const count = new Float64Array(h * w);
      for (let i = 0; i < Math.floor(Math.max(h - cropH + stride - 1, 0) / stride) + 1; i++) {
        for (let j = 0; j < Math.floor(Math.max(w - cropW + stride - 1, 0) / stride) + 1; j++) {
          const [y2, x2] = [Math.min(i * stride + cropH, h), Math.min(j * stride + cropW, w)];
          const [y1, x1] = [Math.max(y2 - cropH, 0), Math.max(x2 - cropW, 0)];
          const crop = Array.from({ length: channels * (y2 - y1) * (x2 - x1) }, (_, n) => {
            const [c, rest] = [Math.floor(n / ((y2 - y1) * (x2 - x1))), n % ((y2 - y1) * (x2 - x1))];
            return pixel(c, y1 + Math.floor(rest / (x2 - x1)), x1 + (rest % (x2 - x1)));
          });
          const { dims, data } = await run(new Tensor('float32', crop, [1, channels, y2 - y1, x2 - x1]), undefined);
          const [, , rows, columns] = dims as [number, number, number, number];
          const wide = interpolate(reference.transpose(data, LABELS, rows * columns), [rows, columns, LABELS], {
            size: [y2 - y1, x2 - x1],
            mode: 'bilinear',
          });
          for (let y = y1; y < y2; y++) {
            for (let x = x1; x < x2; x++) {
              count[y * w + x] = (count[y * w + x] as number) + 1;
              for (let l = 0; l < LABELS; l++) {
                const at = (y * w + x) * LABELS + l;
                total[at] = (total[at] as number) + (wide[((y - y1) * (x2 - x1) + x - x1) * LABELS + l] as number);
              }
            }
          }
        }
      }
      assert.ok(count.every((n) => n > 0));
      const mean = total.map((value, n) => value / (count[Math.floor(n / LABELS)] as number));
      const probabilities = reference.softmax(interpolate(mean, [h, w, LABELS], { size: target_size, mode: 'bilinear' }), LABELS);
      for (let y = 0; y < target_size[0]; y++) {
        for (let x = 0; x < target_size[1]; x++) {
          const from = y * target_size[1] + (mirrored ? target_size[1] - 1 - x : x);
          for (let l = 0; l < LABELS; l++) {
            const at = (y * target_size[1] + x) * LABELS + l;
            sum[at] = (sum[at] as number) + (probabilities[from * LABELS + l] as number) / (scales.length * (flip ? 2 : 1));
          }
        }
      }
    }
  }
  return sum;
}

const CASES: readonly (readonly [what: string, size: readonly [number, number], options: SegmentOptions])[] = [
  ['the defaults', [17, 23], {}],
  ['a picture as it is, whole', [9, 14], { size: null, window: null }],
  ['windows on a picture as it is', [31, 14], { size: null }],
  ['a window that does not fit the picture', [7, 40], { size: null }],
  ['a stride that leaves the last window nearer', [29, 20], { size: 19, window: 10, stride: 7 }],
  ['a window of its own without a stride', [20, 20], { size: 16, window: 8, stride: 4 }],
  ['the mirror image', [15, 21], { flip: true }],
  ['several sizes', [15, 21], { scales: [0.75, 1, 1.32] }],
  ['several sizes, mirrored, at another size of the result', [15, 21], { scales: [1, 1.73], flip: true, target_size: [37, 12] }],
];

for (const [what, [height, width], options] of CASES) {
  test(`${what}: labels and scores are those of mmsegmentation`, async () => {
    const picture = randomTensor([2, height, width], 3, 2);
    const target_size = options.target_size ?? [height, width];
    const { segmentation, scores } = await segment(run, picture, PROTOCOL, { ...options, scores: true });
    const expected = await slow(picture, { scales: [1], flip: false, ...options, target_size });
    assert.equal([segmentation.dims, scores?.dims], [[...target_size], [LABELS, ...target_size]]);
    const places = target_size[0] * target_size[1];
    const turned = reference.transpose(scores?.data as Float32Array, LABELS, places);
    assertWithin(turned, expected, 2e-5);
    const labels = new Set<number>();
    for (let place = 0; place < places; place++) {
      const own = turned.subarray(place * LABELS, (place + 1) * LABELS);
      assert.is(segmentation.data[place], own.indexOf(Math.max(...own)), `place ${place}`);
      labels.add(segmentation.data[place] as number);
    }
    assert.ok(labels.size > 1);
  });
}

test('each window is reported, an aborted signal stops the work, and scores come when asked for', async () => {
  const seen: string[] = [];
  const options: SegmentOptions = { size: null, progress_callback: ({ done, total }) => seen.push(`${done}/${total}`) };
  const result = await segment(run, randomTensor([2, 18, 12], 1), PROTOCOL, options);
  assert.equal(seen, ['1/2', '2/2']);
  assert.equal(Object.keys(result), ['segmentation']);

  const model = new Dinov2ForSemanticSegmentation({ ...TINY, out_indices: [2, 3] });
  await refuses(() => model.segment(pixels(1), { signal: AbortSignal.abort(new RangeError('enough')) }), RangeError, 'enough');
});

test('a model segments a batch picture by picture, whatever its configuration says of its outputs', async () => {
  const config = { ...TINY, out_indices: [2, 3], output_hidden_states: true, return_dict: false };
  const model = new Dinov2ForSemanticSegmentation(config);
  const batch = pixels(2, 23, 30);
  const options = { size: 20, window: 12, stride: 8, scores: true };
  const [first, second] = await model.segment(batch, options);
  assert.equal(first?.scores?.dims, [5, 23, 30]);
  const [alone] = await model.segment(batch.slice(1), options);
  assertSameBits(alone?.scores?.data as Float32Array, second?.scores?.data as Float32Array);
  const [whole] = await model.segment(batch, { window: null });
  assert.equal(whole?.segmentation.dims, [23, 30]);
});

test('options that are none are refused by name', async () => {
  const wrong: [string, unknown][] = [
    ...[0, -1, 1.5, '640', Number.NaN].flatMap((value): [string, unknown][] => [
      ['size', value],
      ['window', value],
      ['stride', value],
    ]),
    ...([
      ['stride', 13],
      ['scales', []],
      ['scales', [0]],
      ['scales', 1],
      ['scales', new Array(50).fill(1)],
    ] as [string, unknown][]),
    ...([
      ['flip', 1],
      ['scores', 'yes'],
      ['target_size', [0, 1]],
      ['target_size', 5],
      ['windows', 3],
    ] as [string, unknown][]),
  ];
  for (const [name, value] of wrong) {
    await refuses(() => segment(run, randomTensor([2, 12, 12], 1), PROTOCOL, { [name]: value }), ArgumentError, name);
  }
  await refuses(() => segment(run, randomTensor([2, 12, 12], 1), PROTOCOL, { signal: 1 as never }), ArgumentError, 'signal');
});

test.run();
