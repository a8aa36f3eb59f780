import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, ConfigError, NotFoundError, ShapeError } from '../../src/errors.ts';
import {
  AutoImageProcessor,
  AutoModel,
  AutoModelForDepthEstimation,
  BitImageProcessor,
  Dinov2ForSemanticSegmentation,
  DPTImageProcessor,
  EMBEDDED_MODEL,
  type ModelInputs,
  RawImage,
  softmax,
} from '../../src/index.ts';
import { type DepthEstimation, DepthEstimationPipeline, pipeline } from '../../src/tasks/pipeline.ts';
import { Tensor } from '../../src/tensor/index.ts';
import { golden, goldenPath, refuses } from '../helpers.ts';
import { randomPixels } from '../image/helpers.ts';
import { readTensors } from '../models/helpers.ts';
import { assertSameBits, assertWithin } from '../reference/compare.ts';
import { interpolate } from '../reference/interpolate.ts';

const PHOTOS = ['chelsea.png', 'rocket.jpg'].map((name) => new URL(`../../examples/photos/${name}`, import.meta.url).pathname);
const [CHELSEA, ROCKET] = PHOTOS as [string, string];

/** A small model of depth, as a folder has it. */
const DEPTH = {
  'config.json': golden('depth-anything-relative/config.json'),
  'model.safetensors': golden('depth-anything-relative/model.safetensors'),
  'preprocessor_config.json': new TextEncoder().encode(
    JSON.stringify({
      image_processor_type: 'DPTImageProcessor',
      size: { height: 70, width: 70 },
      keep_aspect_ratio: true,
      ensure_multiple_of: 14,
    }),
  ),
};

function picture(width: number, height: number, seed: number): RawImage {
  return new RawImage(randomPixels(width, height, 3, seed).data, width, height, 3);
}

test('image-feature-extraction gives the tokens, or with pool the class tokens, as a batch', async () => {
  const extract = await pipeline('image-feature-extraction', EMBEDDED_MODEL);
  const [processor, model] = [await AutoImageProcessor.from_pretrained(EMBEDDED_MODEL), await AutoModel.from_pretrained(EMBEDDED_MODEL)];
  const expected = await model(await processor(PHOTOS));
  assertSameBits((await extract(PHOTOS)).data, expected.last_hidden_state.data);
  assertSameBits((await extract(PHOTOS, { pool: true })).data, expected.pooler_output.data);
  const one = await extract(ROCKET, { pool: true });
  assert.equal(one.dims, [1, expected.pooler_output.dims[1]]);
  assertSameBits(one.data, expected.pooler_output.at(1).data);
  model.dispose();
  await extract.dispose();
});

test('image-classification gives the labels with the highest scores, an array for an array', async () => {
  const classifier = await pipeline('image-classification', EMBEDDED_MODEL);
  assert.is(classifier.task, 'image-classification');
  const logits = (await readTensors(goldenPath('demo/io.safetensors'))).get('chelsea.logits') as Tensor;
  const expected = [...softmax(logits).data].sort((a, b) => b - a);
  const labels = await classifier(CHELSEA);
  assertWithin(
    labels.map(({ score }) => score),
    expected.slice(0, 5),
    1e-4,
  );
  const both = await classifier(PHOTOS, { top_k: 2 });
  assert.equal(
    both.map((each) => each.length),
    [2, 2],
  );
  assert.equal(both[0], labels.slice(0, 2));
  assert.equal(await classifier([CHELSEA], { top_k: 1 }), [labels.slice(0, 1)]);
  for (const top_k of [0, null]) assert.is((await classifier(CHELSEA, { top_k })).length, 70);
  await classifier.dispose();
});

test('depth-estimation gives depth at the size of the image, by bicubic interpolation, and a picture of it', async () => {
  const estimate = await pipeline('depth-estimation', DEPTH, { posEmbed: 'size' });
  const image = picture(45, 31, 1);
  const { predicted_depth, depth } = await estimate(image);
  assert.equal(predicted_depth.dims, [31, 45]);

  const processor = await AutoImageProcessor.from_pretrained<DPTImageProcessor>(DEPTH);
  const model = await AutoModelForDepthEstimation.from_pretrained(DEPTH, { posEmbed: 'size' });
  const raw = (await model(await processor(image))).predicted_depth;
  model.dispose();
  const [, rows, columns] = raw.dims as [number, number, number];
  assert.ok(rows !== 31 && columns !== 45);
  const expected = interpolate(raw.data, [rows, columns, 1], { size: [31, 45], mode: 'bicubic' });
  assertWithin(predicted_depth.data, expected, 1e-4 * Math.max(...expected));

  const [low, high] = [Math.min(...predicted_depth.data), Math.max(...predicted_depth.data)];
  assert.equal([depth.width, depth.height, depth.channels], [45, 31, 1]);
  assert.equal([Math.min(...depth.data), Math.max(...depth.data)], [0, 255]);
  assertWithin(
    depth.data,
    [...predicted_depth.data].map((value) => Math.floor((255 * (value - low)) / (high - low))),
    1,
  );
  await estimate.dispose();
});

test('depth of images of different sizes is an array, also of one', async () => {
  const estimate = await pipeline('depth-estimation', DEPTH);
  const images = [picture(70, 70, 2), picture(40, 90, 3)];
  const both = await estimate(images);
  assert.equal(
    both.map(({ predicted_depth }) => predicted_depth.dims),
    [
      [70, 70],
      [90, 40],
    ],
  );
  const [alone] = (await estimate(images.slice(1))) as [DepthEstimation];
  assertSameBits(alone.predicted_depth.data, (both[1] as DepthEstimation).predicted_depth.data);
  await estimate.dispose();
});

/** An encoder in the original layout, and what its tensors do not tell. */
const ENCODER = goldenPath('fb-backbone/model.pth');
const config = { num_attention_heads: 4 };

test('image-segmentation gives a mask for each label that is in the image, at its size', async () => {
  const head = goldenPath('fb-segment-ms/model.pth');
  const segmenter = await pipeline('image-segmentation', ENCODER, { head, config });
  const images = [picture(60, 47, 8), picture(30, 40, 9)] as [RawImage, RawImage];
  const model = await Dinov2ForSemanticSegmentation.from_pretrained(ENCODER, { head, config });
  const processor = new BitImageProcessor({ image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] });
  const options = { size: 56, window: 56, stride: 28 };
  const inputs = await processor(images[0], { do_resize: false, do_center_crop: false });
  const [expected] = await model.segment(inputs, options);
  model.dispose();
  const labels = expected?.segmentation.data as Int32Array;
  assert.equal(labels.length, 47 * 60);

  const segments = await segmenter(images[0], options);
  assert.ok(segments.length > 1);
  assert.equal(
    segments.map(({ label }) => label),
    [...new Set(labels)].sort((a, b) => a - b).map((id) => `LABEL_${id}`),
  );
  for (const { label, score, mask } of segments) {
    assert.equal([score, mask.size, mask.channels], [null, [60, 47], 1]);
    assert.equal(
      [...mask.data],
      Array.from(labels, (id) => (`LABEL_${id}` === label ? 255 : 0)),
    );
  }
  const both = await segmenter(images, options);
  assert.equal(both[0], segments);
  assert.equal(both[1]?.[0]?.mask.size, [30, 40]);
  const [first] = await segmenter(images[0], { ...options, target_sizes: [[10, 12]], subtask: 'semantic', threshold: 0.9 });
  assert.equal(first?.mask.size, [12, 10]);
  await refuses(() => segmenter(images[0], { subtask: 'panoptic' as 'semantic' }), ArgumentError, 'subtask', '"panoptic"');
  await refuses(() => segmenter(images[0], { ...options, stride: 57 }), ArgumentError, 'stride');
  await segmenter.dispose();
});

/** A model of depth that notes the dimensions of what it is given. */
function spyOn(seen: (readonly number[])[]): ConstructorParameters<typeof DepthEstimationPipeline>[0]['model'] {
  const run = async (inputs: ModelInputs) => {
    const { dims } = inputs instanceof Tensor ? inputs : inputs.pixel_values;
    seen.push(dims);
    const [, , height, width] = dims as [number, number, number, number];
    return { predicted_depth: new Tensor('float32', new Float32Array(height * width), [1, height, width]) };
  };
  return Object.assign(run, { config: {}, dispose: () => {} });
}

test('depth heads of facebookresearch take images as they are, but for large ones', async () => {
  const head = goldenPath('fb-depth-linear/model.pth');
  const estimate = await pipeline('depth-estimation', ENCODER, { head, config, depthRange: [0.001, 10] });
  const model = await AutoModelForDepthEstimation.from_pretrained(ENCODER, { head, config, depthRange: [0.001, 10] });
  const image = picture(60, 47, 10);
  const processor = await AutoImageProcessor.from_pretrained(ENCODER);
  const { predicted_depth } = await model(await processor(image, { do_resize: false, do_center_crop: false }));
  assertSameBits((await estimate(image)).predicted_depth.data, predicted_depth.data);
  model.dispose();
  const seen: (readonly number[])[] = [];
  const spy = new DepthEstimationPipeline({ task: 'depth-estimation', processor, model: spyOn(seen) });
  const large = await image.resize(530, 519);
  assert.equal((await spy(large)).predicted_depth.dims, [519, 530]);
  assert.equal(seen, [[1, 3, 518, 528]]);
  await estimate.dispose();
});

test('without preprocessor_config.json the image processor is that of released models', async () => {
  const { 'preprocessor_config.json': _, ...files } = DEPTH;
  const estimate = await pipeline('depth-estimation', files);
  assert.ok(estimate.processor instanceof DPTImageProcessor);
  assert.equal(estimate.processor.size, { height: 518, width: 518 });
  await estimate.dispose();
});

test('options of a call reach the reading of images and the model', async () => {
  const classifier = await pipeline('image-classification', EMBEDDED_MODEL);
  const lying = goldenPath('image/images/exif-3.jpg');
  assert.not.equal(await classifier(lying), await classifier(lying, { exifOrientation: true }));
  const decode = () => randomPixels(30, 30, 3, 4);
  assert.equal(await classifier(new Uint8Array(1), { decode }), await classifier(picture(30, 30, 4)));
  const work = new AbortController();
  work.abort(new RangeError('enough'));
  await refuses(() => classifier(CHELSEA, { signal: work.signal }), RangeError, 'enough');
  await classifier.dispose();
});

test('what a pipeline cannot do is refused by name', async () => {
  await refuses(() => pipeline('image-to-text' as 'depth-estimation', DEPTH), ArgumentError, 'task', 'depth-estimation', '"image-to-text"');
  await refuses(() => pipeline('depth-estimation', undefined as unknown as string), ArgumentError, 'model', 'no default');
  await refuses(() => pipeline('image-classification', '/nowhere'), NotFoundError, '/nowhere');
  await refuses(() => pipeline('depth-estimation', EMBEDDED_MODEL), ConfigError, 'model_type', 'found "dinov2"');
  const estimate = await pipeline('depth-estimation', DEPTH);
  await refuses(() => estimate(picture(70, 70, 5), { top_k: 1 } as object), ArgumentError, 'depth-estimation', '"top_k"');
  await refuses(() => estimate('/nowhere.png'), NotFoundError, '/nowhere.png');
  await estimate.dispose();
  const extract = await pipeline('image-feature-extraction', {
    ...DEPTH,
    'config.json': golden('encoder/config.json'),
    'model.safetensors': golden('encoder/model.safetensors'),
  });
  await refuses(() => extract([picture(70, 70, 6), picture(70, 140, 7)]), ShapeError, 'number 2');
  await extract.dispose();
});

test.run();
