import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ConfigError, ImageError, LimitError, ShapeError } from '../../src/errors.ts';
import { DPTImageProcessor, type DPTImageProcessorOptions } from '../../src/image/dptProcessor.ts';
import { AutoImageProcessor, BitImageProcessor } from '../../src/image/processor.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import { refuses, withFolder } from '../helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { interpolate } from '../reference/interpolate.ts';
import { randomTensor } from '../tensor/helpers.ts';
import { randomPixels } from './helpers.ts';

/** preprocessor_config.json of Depth Anything. */
const DEPTH_ANYTHING = {
  do_normalize: true,
  do_pad: false,
  do_rescale: true,
  do_resize: true,
  ensure_multiple_of: 14,
  image_mean: [0.485, 0.456, 0.406],
  image_processor_type: 'DPTImageProcessor',
  image_std: [0.229, 0.224, 0.225],
  keep_aspect_ratio: true,
  resample: 3,
  rescale_factor: 0.00392156862745098,
  size: { height: 518, width: 518 },
  size_divisor: null,
};

async function sizeOf(width: number, height: number, options: DPTImageProcessorOptions): Promise<readonly number[]> {
  return (await new DPTImageProcessor(options)(randomPixels(width, height, 3, 1))).pixel_values.dims.slice(2);
}

test('with the aspect ratio kept, the edge that changes least has the size and the other the nearest multiple', async () => {
  assert.equal(await sizeOf(640, 480, DEPTH_ANYTHING), [518, 686]); // 690.7; as documented for depth-anything-small-hf
  assert.equal(await sizeOf(480, 640, DEPTH_ANYTHING), [686, 518]);
  assert.equal(await sizeOf(64, 32, DEPTH_ANYTHING), [252, 518]); // 259 / 14 = 18.5, to even as Python rounds; 266 in JavaScript
  assert.equal(await sizeOf(40, 54, { ...DEPTH_ANYTHING, size: 40, ensure_multiple_of: 4 }), [56, 40]); // 54 / 4 = 13.5, to even: up
});

test('without it both edges are as the size says, to the nearest multiple', async () => {
  assert.equal(await sizeOf(64, 32, {}), [384, 384]);
  assert.equal(await sizeOf(64, 32, { size: { height: 50, width: 61 }, ensure_multiple_of: 14 }), [56, 56]);
});

test('zeros stand around the normalised picture, an odd one below and to the right', async () => {
  const picture = randomPixels(17, 12, 3, 2);
  const fields = { do_resize: false, image_mean: 0.3, image_std: 0.7 };
  const { pixel_values: plain } = await new DPTImageProcessor(fields)(picture);
  const padded = await new DPTImageProcessor({ ...fields, do_pad: true, size_divisor: 7 })(picture);
  assert.equal(padded.pixel_values.dims, [1, 3, 14, 21]);
  assert.equal(padded.original_sizes, [[12, 17]]);
  assert.equal(padded.reshaped_input_sizes, [[14, 21]]);
  const [top, left] = [1, 2];
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < 14; y++) {
      for (let x = 0; x < 21; x++) {
        const [row, column] = [y - top, x - left];
        const inside = row >= 0 && row < 12 && column >= 0 && column < 17;
        const expected = inside ? plain.data[(c * 12 + row) * 17 + column] : 0;
        assert.is(padded.pixel_values.data[(c * 14 + y) * 21 + x], expected, `${c}, ${y}, ${x}`);
      }
    }
  }
  assert.equal(await sizeOf(14, 7, { do_resize: false, do_pad: true, size_divisor: 7 }), [7, 14]);
});

test('values are those of the other processor for the same size', async () => {
  const picture = randomPixels(40, 30, 4, 3);
  const size = { height: 42, width: 56 };
  const fields = { image_mean: DEPTH_ANYTHING.image_mean, image_std: DEPTH_ANYTHING.image_std, size };
  const found = await new DPTImageProcessor(fields)(picture);
  const expected = await new BitImageProcessor({ ...fields, do_center_crop: false })(picture);
  assert.equal(found.pixel_values.dims, [1, 3, 42, 56]);
  assert.equal(found.pixel_values.data, expected.pixel_values.data);
});

test('without a file the defaults of DPTImageProcessor hold', () => {
  const { config } = new DPTImageProcessor();
  assert.equal(config.size, { height: 384, width: 384 });
  assert.equal([config.keep_aspect_ratio, config.ensure_multiple_of, config.do_pad, config.size_divisor], [false, 1, false, null]);
  assert.equal([config.image_mean, config.image_std], [new Array(3).fill(0.5), new Array(3).fill(0.5)]);
});

test('a processor is found by its type, written and read back', () =>
  withFolder(async (folder) => {
    const file = { 'preprocessor_config.json': new TextEncoder().encode(JSON.stringify(DEPTH_ANYTHING)) };
    for (const image_processor_type of ['DPTImageProcessor', 'DPTImageProcessorFast', 'DPTFeatureExtractor']) {
      const written = new TextEncoder().encode(JSON.stringify({ ...DEPTH_ANYTHING, image_processor_type }));
      assert.instance(await AutoImageProcessor.from_pretrained({ 'preprocessor_config.json': written }), DPTImageProcessor);
    }
    const processor = await AutoImageProcessor.from_pretrained<DPTImageProcessor>(file, { size: 70 });
    assert.is(processor.ensure_multiple_of, 14);
    await processor.save_pretrained(folder);
    const again = await DPTImageProcessor.from_pretrained(folder);
    assert.equal(again.config, processor.config);
    assert.equal(again.config.size, { height: 70, width: 70 });
  }));

test('depth is brought to the size of the photo as torch does, bicubic', () => {
  const processor = new DPTImageProcessor();
  const predicted_depth = randomTensor([2, 5, 7], 4);
  const [first, second] = processor.post_process_depth_estimation({ predicted_depth }, [[9, 4], null]);
  assert.equal(first?.predicted_depth.dims, [9, 4]);
  const expected = interpolate(predicted_depth.at(0).data, [5, 7, 1], { size: [9, 4], mode: 'bicubic' });
  assertWithin(first?.predicted_depth.data as Float32Array, expected, 1e-6);
  assert.equal(second?.predicted_depth, predicted_depth.at(1));
  assert.equal(
    processor.post_process_depth_estimation({ predicted_depth }).map((depth) => depth.predicted_depth),
    [predicted_depth.at(0), predicted_depth.at(1)],
  );
});

test('fields, options and sizes that are none are refused by name', async () => {
  const make = (fields: object) => () => new DPTImageProcessor(fields);
  await refuses(make({ size: { shortest_edge: 384 } }), ConfigError, 'size: expected', '{ height, width }', 'shortest_edge');
  await refuses(make({ ensure_multiple_of: 0 }), ConfigError, 'ensure_multiple_of', 'found 0');
  await refuses(make({ keep_aspect_ratio: 1 }), ConfigError, 'keep_aspect_ratio', 'true or false');
  await refuses(make({ size_divisor: 1.5 }), ConfigError, 'size_divisor', 'found 1.5');
  const picture = randomPixels(300, 2, 3, 5);
  const processor = new DPTImageProcessor();
  await refuses(() => processor(picture, { do_pad: true }), ConfigError, 'size_divisor', 'found null');
  await refuses(() => processor(picture, { do_center_crop: true } as object), ArgumentError, 'do_center_crop');
  await refuses(() => processor(picture, { ...DEPTH_ANYTHING, image_processor_type: undefined } as object), ArgumentError);
  await refuses(() => sizeOf(300, 2, { size: 28, ensure_multiple_of: 14, keep_aspect_ratio: true }), ImageError, 'at least 1 pixel');
  const predicted_depth = randomTensor([2, 3, 3], 6);
  const post = (sizes: unknown) => () => processor.post_process_depth_estimation({ predicted_depth }, sizes as [number, number][]);
  for (const sizes of [
    [[4, 4]],
    [[4, 4], 5],
    [
      [4, 4],
      [0, 4],
    ],
    'all',
  ])
    await refuses(post(sizes), ArgumentError, 'target_sizes', '2 pictures');
  await refuses(() => processor.post_process_depth_estimation({ predicted_depth: predicted_depth.at(0) }), ShapeError, 'predicted_depth');
});

test('padding to an absurd size is refused, and "__proto__" is a field like any other', async () => {
  const image = new RawImage(new Uint8Array(12), 2, 2, 3);
  const config = JSON.parse('{ "do_resize": false, "do_pad": true, "size_divisor": 100000, "__proto__": { "x": 1 } }') as object;
  const processor = new DPTImageProcessor(config);
  await refuses(() => processor(image), LimitError, 'size_divisor', 'at most 100000000 pixels', '100000 x 100000');
  assert.is(Object.getPrototypeOf(processor.config), Object.prototype);
  assert.ok(Object.hasOwn(processor.config, '__proto__'));
});

test('of an odd number of zeros one more stands below and to the right', async () => {
  const processor = new DPTImageProcessor({ do_resize: false, do_normalize: false, do_rescale: false, do_pad: true, size_divisor: 4 });
  const { pixel_values } = await processor({ data: Uint8Array.of(7, 7, 7), width: 1, height: 1 });
  assert.equal(pixel_values.dims, [1, 3, 4, 4]);
  for (let plane = 0; plane < 3; plane++) {
    const values = [...pixel_values.data.subarray(16 * plane, 16 * plane + 16)];
    assert.equal(values, [0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  }
});

test('the zeros around a picture belong to what is shown of it, in its own pixels', async () => {
  const processor = new DPTImageProcessor({ size: 5, do_pad: true, size_divisor: 4 });
  const { views } = await processor(randomPixels(10, 15, 3, 6));
  assert.equal(views, [{ left: -2, top: -3, width: 16, height: 24 }]);
});

test('halves of multiples go to the even one, as Python rounds', async () => {
  const rounded = { 3: 4, 5: 4, 7: 8, 9: 8, 11: 12, 13: 12, 15: 16, 4: 4, 1: undefined };
  for (const [edge, expected] of Object.entries(rounded)) {
    const size = { height: Number(edge), width: 4 };
    if (expected) assert.equal(await sizeOf(5, 5, { size, ensure_multiple_of: 2 }), [expected, 4], edge);
    else await refuses(() => sizeOf(5, 5, { size, ensure_multiple_of: 2 }), ImageError, '4 x 0');
  }
  assert.equal(await sizeOf(5, 5, { size: { height: 10, width: 11 }, ensure_multiple_of: 3 }), [9, 12]); // no halves: the nearest
});

test('depth of which only one edge has the size is brought to it', () => {
  const predicted_depth = randomTensor([2, 4, 4], 5);
  const found = new DPTImageProcessor().post_process_depth_estimation({ predicted_depth }, [
    [4, 6],
    [3, 4],
  ]);
  for (const [i, size] of [[4, 6] as const, [3, 4] as const].entries()) {
    assert.equal(found[i]?.predicted_depth.dims, size);
    const expected = interpolate(predicted_depth.at(i).data, [4, 4, 1], { size, mode: 'bicubic' });
    assertWithin(found[i]?.predicted_depth.data as Float32Array, expected, 1e-6);
  }
  const [same] = new DPTImageProcessor().post_process_depth_estimation({ predicted_depth: predicted_depth.slice(0, 1) }, [[4, 4]]);
  assert.equal(same?.predicted_depth, predicted_depth.at(0));
});

test.run();
