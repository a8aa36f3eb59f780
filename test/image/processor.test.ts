import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ConfigError, ImageError, LimitError, NotFoundError, ShapeError } from '../../src/errors.ts';
import { AutoImageProcessor, BitImageProcessor, type BitImageProcessorOptions } from '../../src/image/processor.ts';
import { RawImage } from '../../src/image/rawImage.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { refuses, withFolder } from '../helpers.ts';
import { difference, picture, picturePath, randomPixels, tensors } from './helpers.ts';

/** preprocessor_config.json of facebook/dinov2-base. */
const DINOV2 = {
  crop_size: { height: 224, width: 224 },
  do_center_crop: true,
  do_convert_rgb: true,
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: [0.485, 0.456, 0.406],
  image_processor_type: 'BitImageProcessor',
  image_std: [0.229, 0.224, 0.225],
  resample: 3,
  rescale_factor: 0.00392156862745098,
  size: { shortest_edge: 256 },
};

const file = (value: unknown): Record<string, Uint8Array> => ({
  'preprocessor_config.json': new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)),
});

/** Every fourth row and column of a batch of one. */
function everyFourth({ data, dims }: Tensor<'float32'>): number[] {
  const [, channels = 0, height = 0, width = 0] = dims;
  const kept: number[] = [];
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y += 4) for (let x = 0; x < width; x += 4) kept.push(data[(c * height + y) * width + x] as number);
  }
  return kept;
}

test('pixel_values are those of transformers', async () => {
  const processor = await AutoImageProcessor.from_pretrained(file(DINOV2));
  for (const [name, golden] of await tensors('processor.safetensors')) {
    const { pixel_values } = await processor(picturePath(name));
    assert.equal(pixel_values.dims, [1, 3, 224, 224]);
    const values = golden.dims[1] === 224 ? pixel_values.data : everyFourth(pixel_values);
    assert.ok(difference(values, golden.data as Float32Array).max <= 1e-6, name);
  }
});

const VARIANTS: Readonly<Record<string, { options: BitImageProcessorOptions; dims: number[] }>> = {
  bilinear_518: { options: { size: 518, crop_size: 518, resample: 2 }, dims: [1, 3, 518, 518] },
  crop_larger_than_image: { options: { size: { shortest_edge: 64 }, crop_size: { height: 80, width: 112 } }, dims: [1, 3, 80, 112] },
  exact_size: { options: { size: { height: 100, width: 140 }, do_center_crop: false }, dims: [1, 3, 100, 140] },
  no_crop: { options: { do_center_crop: false }, dims: [1, 3, 256, 336] },
  no_normalize: { options: { do_normalize: false }, dims: [1, 3, 224, 224] },
};

test('so they are with other fields, given on construction or in a call', async () => {
  const goldens = await tensors('processor-variants.safetensors');
  assert.equal([...goldens.keys()].sort(), Object.keys(VARIANTS).sort());
  const processor = new BitImageProcessor(DINOV2);
  for (const [name, { options, dims }] of Object.entries(VARIANTS)) {
    const { pixel_values } = await processor(picture('rgb.png'), options);
    assert.equal(pixel_values.dims, dims, name);
    assert.ok(difference(everyFourth(pixel_values), goldens.get(name)?.data as Float32Array).max <= 1e-6, name);
    const constructed = await new BitImageProcessor({ ...DINOV2, ...options })(picture('rgb.png'));
    assert.equal(constructed.pixel_values.data, pixel_values.data, name);
  }
});

test('without a file the defaults of BitImageProcessor hold', () => {
  const { config } = new BitImageProcessor();
  const { image_processor_type: _, ...fields } = DINOV2;
  assert.equal(config, {
    ...fields,
    size: { shortest_edge: 224 },
    rescale_factor: 1 / 255,
    image_mean: [0.48145466, 0.4578275, 0.40821073],
    image_std: [0.26862954, 0.26130258, 0.27577711],
  });
});

test('the fields are properties of the processor', () => {
  const processor = new BitImageProcessor({ ...DINOV2, _call: 'no method' } as BitImageProcessorOptions);
  assert.equal(processor.image_mean, DINOV2.image_mean);
  assert.equal(processor.size, { shortest_edge: 256 });
  assert.is(processor.do_convert_rgb, true);
  assert.type(processor._call, 'function');
});

test('sizes may be numbers, and null stands for the default', () => {
  const { config } = new BitImageProcessor({ size: 300, crop_size: 280, image_mean: null, do_resize: null });
  assert.equal(config.size, { shortest_edge: 300 });
  assert.equal(config.crop_size, { height: 280, width: 280 });
  assert.equal(config.image_mean, [0.48145466, 0.4578275, 0.40821073]);
  assert.is(config.do_resize, true);
});

test('several pictures of any sizes make one batch, with their sizes told', async () => {
  const processor = new BitImageProcessor({ size: 30, crop_size: 28 });
  const names = ['rgb.png', 'tall.png', 'gray.png', 'palette.png'];
  const batch = await processor(names.map(picturePath));
  assert.equal(batch.pixel_values.dims, [4, 3, 28, 28]);
  for (const [i, name] of names.entries()) {
    const { pixel_values } = await processor(picturePath(name));
    assert.equal(batch.pixel_values.slice(i, i + 1).data, pixel_values.data, name);
  }
  assert.equal(batch.original_sizes, [
    [241, 317],
    [500, 130],
    [241, 317],
    [241, 317],
  ]);
  assert.equal(batch.reshaped_input_sizes, new Array(4).fill([28, 28]));
});

test('what a tensor shows of a picture is told in pixels of the picture, also beyond it', async () => {
  const viewOf = async (width: number, height: number, options: BitImageProcessorOptions): Promise<unknown> =>
    (await new BitImageProcessor(options)(randomPixels(width, height, 3, 1))).views;
  assert.equal(await viewOf(100, 80, { size: 40, crop_size: 32 }), [{ left: 18, top: 8, width: 64, height: 64 }]);
  const size = { height: 20, width: 50 };
  assert.equal(await viewOf(100, 80, { size, crop_size: { height: 10, width: 40 } }), [{ left: 10, top: 20, width: 80, height: 40 }]);
  assert.equal(await viewOf(100, 80, { size, do_center_crop: false }), [{ left: 0, top: 0, width: 100, height: 80 }]);
  assert.equal(await viewOf(4, 3, { do_resize: false, crop_size: 7 }), [{ left: -2, top: -2, width: 7, height: 7 }]);
});

test('the longer edge is truncated', async () => {
  const processor = new BitImageProcessor({ size: 50, do_center_crop: false });
  const sizeOf = async (width: number, height: number): Promise<readonly number[]> =>
    (await processor(randomPixels(width, height, 3, 1))).pixel_values.dims.slice(2);
  assert.equal(await sizeOf(60, 101), [84, 50]); // 84.17
  assert.equal(await sizeOf(179, 60), [50, 149]); // 149.17
  assert.equal(await sizeOf(7, 7), [50, 50]);
});

test('pixels of any channels become RGB; left alone, each channel is a plane', async () => {
  const pixels = randomPixels(5, 4, 1, 2);
  const raw = { do_resize: false, do_center_crop: false, do_rescale: false, do_normalize: false };
  const processor = new BitImageProcessor(raw);
  const rgb = await processor(pixels);
  assert.equal(rgb.pixel_values.dims, [1, 3, 4, 5]);
  assert.equal([...rgb.pixel_values.data], [...pixels.data, ...pixels.data, ...pixels.data]);
  const gray = await processor(pixels, { do_convert_rgb: false });
  assert.equal(gray.pixel_values.dims, [1, 1, 4, 5]);
  assert.equal([...gray.pixel_values.data], [...pixels.data]);
});

test('bytes are rescaled in double and normalised in single precision', async () => {
  const image = { data: Uint8Array.of(200, 100, 50), width: 1, height: 1 };
  const { pixel_values } = await new BitImageProcessor({ ...DINOV2, do_resize: false, crop_size: 1, image_std: 0.3 })(image);
  const { fround } = Math;
  const expected = [200, 100, 50].map((x, c) =>
    fround(fround(fround(x * DINOV2.rescale_factor) - fround(DINOV2.image_mean[c] as number)) / fround(0.3)),
  );
  assert.equal([...pixel_values.data], expected);
});

test('options of reading go with a call', async () => {
  const processor = new BitImageProcessor({ do_resize: false, do_center_crop: false });
  assert.equal((await processor(picturePath('exif-6.jpg'))).pixel_values.dims, [1, 3, 61, 90]);
  assert.equal((await processor(picturePath('exif-6.jpg'), { exifOrientation: true })).pixel_values.dims, [1, 3, 90, 61]);
  const decode = (): RawImage => new RawImage(new Uint8Array(6), 2, 1, 3);
  assert.equal((await processor(picturePath('exif-6.jpg'), { decode })).pixel_values.dims, [1, 3, 1, 2]);
  await refuses(() => processor(picturePath('exif-6.jpg'), { limits: { pixels: 5000 } }), LimitError, 'exif-6.jpg', 'at most 5000');
});

test('the caller’s picture is not changed', async () => {
  const image = new RawImage(randomPixels(9, 8, 4, 3).data, 9, 8, 4);
  const before = image.clone();
  await new BitImageProcessor()(image);
  assert.equal(image, before);
});

test('pictures that end up in different sizes are refused', async () => {
  const processor = new BitImageProcessor({ size: 20, do_center_crop: false });
  await refuses(() => processor([randomPixels(10, 10, 3, 1), randomPixels(20, 10, 3, 1)]), ShapeError, 'number 2', '20 x 20', '40 x 20');
  const asIs = new BitImageProcessor({ do_resize: false, do_center_crop: false, do_convert_rgb: false, do_normalize: false });
  for (const [width, height, channels] of [
    [5, 4, 1],
    [5, 3, 3],
    [6, 4, 3],
  ] as const) {
    const pictures = [randomPixels(5, 4, 3, 1), randomPixels(width, height, channels, 1)];
    await refuses(() => asIs(pictures), ShapeError, '3 channels of 5 x 4', `found ${channels} of ${width} x ${height} in number 2`);
  }
  await refuses(() => processor([]), ImageError, 'at least one');
});

test('a picture that the shorter edge would make absurdly long is refused', async () => {
  await refuses(() => new BitImageProcessor()(randomPixels(1, 40_000, 3, 1)), LimitError, '224 x 8960000', 'limits.pixels');
  await refuses(() => new BitImageProcessor({ crop_size: 1e6 })(randomPixels(1, 1, 3, 1)), LimitError, 'crop_size', '1000000 x 1000000');
});

test('a field of a wrong type or value is refused by name', async () => {
  const wrong: [string, unknown][] = [
    ['do_resize', 'yes'],
    ['do_convert_rgb', 1],
    ['size', 0],
    ['size', { height: 3 }],
    ['size', { shortest_edge: '256' }],
    ['size', [256, 256]],
    ['crop_size', -1],
    ['crop_size', { shortest_edge: 3 }],
    ['resample', 6],
    ['resample', 1.5],
    ['resample', 'bicubic'],
    ['rescale_factor', Number.NaN],
    ['rescale_factor', '1/255'],
    ['image_mean', [0, 0, Number.POSITIVE_INFINITY]],
    ['image_mean', 'clip'],
    ['image_std', [1, 0, 1]],
    ['image_std', 0],
  ];
  for (const [name, value] of wrong) {
    await refuses(() => new BitImageProcessor({ [name]: value } as BitImageProcessorOptions), ConfigError, `: ${name}: expected`);
    const call = new BitImageProcessor()(randomPixels(1, 1, 3, 1), { [name]: value } as BitImageProcessorOptions);
    await refuses(() => call, ConfigError, `: ${name}: expected`);
  }
  await refuses(() => new BitImageProcessor({ resample: 6 }), ConfigError, 'resample: expected a code from 0 to 5, found 6');
  await refuses(
    () => new BitImageProcessor({ image_std: [1, 1] })(randomPixels(1, 1, 3, 1)),
    ConfigError,
    'image_std: expected 3 numbers',
    'found 2',
  );
  await refuses(
    () => new BitImageProcessor({ image_mean: [1] })(randomPixels(1, 1, 3, 1)),
    ConfigError,
    'image_mean: expected 3 numbers, found 1',
  );
  await refuses(
    () => new BitImageProcessor()(randomPixels(1, 1, 3, 1), { do_centre_crop: true } as never),
    ArgumentError,
    '"do_centre_crop"',
  );
});

test('a folder without the file, a file that is no object, and an unknown processor are refused by name', async () => {
  await withFolder(async (folder) => {
    await refuses(() => AutoImageProcessor.from_pretrained(folder), NotFoundError, folder, 'preprocessor_config.json');
  });
  await refuses(() => AutoImageProcessor.from_pretrained(file('[1]')), ConfigError, 'preprocessor_config.json', 'an object');
  await refuses(() => AutoImageProcessor.from_pretrained(file('{')), ConfigError, 'preprocessor_config.json');
  const unknown = file({ image_processor_type: 'SamImageProcessor' });
  await refuses(
    () => AutoImageProcessor.from_pretrained(unknown),
    ConfigError,
    'image_processor_type',
    '"SamImageProcessor"',
    'BitImageProcessor',
  );
  await refuses(() => AutoImageProcessor.from_pretrained(file({})), ConfigError, 'image_processor_type');
  await refuses(() => AutoImageProcessor.from_pretrained(file({ ...DINOV2, size: 'large' })), ConfigError, 'size', '"large"');
});

test('older files name the processor in feature_extractor_type', async () => {
  const { image_processor_type: _, ...fields } = DINOV2;
  const processor = await AutoImageProcessor.from_pretrained(file({ ...fields, feature_extractor_type: 'BitFeatureExtractor' }));
  assert.equal(processor.config.size, { shortest_edge: 256 });
});

test('options of from_pretrained replace the fields of the file', async () => {
  const processor = await BitImageProcessor.from_pretrained(file(DINOV2), { size: 518, crop_size: 518 });
  assert.equal(processor.config.size, { shortest_edge: 518 });
  assert.equal(processor.config.image_mean, DINOV2.image_mean);
});

test('what is saved is read again, unknown fields too', async () => {
  await withFolder(async (folder) => {
    const target = join(folder, 'new', 'model');
    const processor = await AutoImageProcessor.from_pretrained(file({ ...DINOV2, processor_note: { a: [1] } }), { resample: 2 });
    await processor.save_pretrained(target);
    const path = join(target, 'preprocessor_config.json');
    assert.ok(existsSync(path));
    assert.equal(JSON.parse(readFileSync(path, 'utf8')), { ...DINOV2, resample: 2, processor_note: { a: [1] } });
    assert.equal((await AutoImageProcessor.from_pretrained(target)).config, processor.config);
  });
});

test('a .pth file, which comes without a configuration, gets that of its authors; one that is there counts', async () => {
  const processor = await AutoImageProcessor.from_pretrained({ 'dinov2_vits14_pretrain.pth': new Uint8Array() });
  const expected = new BitImageProcessor(DINOV2 as BitImageProcessorOptions);
  const image = new RawImage(randomPixels(300, 400, 3, 9).data, 300, 400, 3);
  assert.equal([...(await processor(image)).pixel_values.data], [...(await expected(image)).pixel_values.data]);
  const given = await AutoImageProcessor.from_pretrained({ 'a.pth': new Uint8Array(), ...file({ ...DINOV2, crop_size: 28 }) });
  assert.equal(given.crop_size, { height: 28, width: 28 });
  await refuses(
    () => AutoImageProcessor.from_pretrained({ 'model.safetensors': new Uint8Array() }),
    NotFoundError,
    'preprocessor_config.json',
  );
});

test.run();
