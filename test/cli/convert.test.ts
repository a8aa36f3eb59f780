import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  AutoImageProcessor,
  AutoModel,
  AutoModelForDepthEstimation,
  BitImageProcessor,
  Dinov2ForDepthEstimation,
  Dinov2ForImageClassification,
  Dinov2Model,
  DPTForDepthEstimation,
  DPTImageProcessor,
} from '../../src/index.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { resample } from '../../src/tensor/resample.ts';
import { goldenPath, withFolder } from '../helpers.ts';
import { readTensors } from '../models/helpers.ts';
import { assertSameBits, assertWithinOfLargest } from '../reference/compare.ts';
import { randomTensor } from '../tensor/helpers.ts';
import { dinov2, Recorder } from './helpers.ts';

const ENCODER = goldenPath('fb-backbone/model.pth');
const HEADS = ['--attention-heads', '4'];
const config = { num_attention_heads: 4 };
const pixels = (height: number, width: number): Float32 => randomTensor([1, 3, height, width], 1, 2);
const FILES = ['config.json', 'model.safetensors', 'preprocessor_config.json'];

test('an encoder of facebookresearch/dinov2 becomes a folder with the same weights, and the processor of released ones', () =>
  withFolder(async (folder) => {
    const output = join(folder, 'out');
    const { code, stdout, stderr } = await dinov2(['convert', ENCODER, '--output', output, ...HEADS]);
    assert.equal([code, stdout, stderr], [0, `${output}: Dinov2Model, float32\n`, '']);
    assert.equal(readdirSync(output).sort(), FILES);
    const [found, expected] = [await AutoModel.from_pretrained(output), await AutoModel.from_pretrained(ENCODER, { config })];
    const x = pixels(70, 84);
    assertSameBits((await found(x)).last_hidden_state.data, (await expected(x)).last_hidden_state.data);
    assert.equal(found.config.to_dict().architectures, ['Dinov2Model']);
    const processor = await AutoImageProcessor.from_pretrained(output);
    assert.instance(processor, BitImageProcessor);
    assert.equal(
      [processor.size, processor.crop_size, processor.image_mean],
      [{ shortest_edge: 256 }, { height: 224, width: 224 }, [0.485, 0.456, 0.406]],
    );
  }));

test('with registers, in half the size', () =>
  withFolder(async (folder) => {
    const { code, stdout } = await dinov2([
      'convert',
      goldenPath('fb-backbone-reg-swiglu/model.pth'),
      '--output',
      folder,
      '--dtype',
      'float16',
      ...HEADS,
    ]);
    assert.equal([code, stdout], [0, `${folder}: Dinov2WithRegistersModel, float16\n`]);
    const tensors = await readTensors(join(folder, 'model.safetensors'));
    assert.ok([...tensors.values()].every(({ dtype }) => dtype === 'float16'));
    assert.is((await AutoModel.from_pretrained(folder)).config.model_type, 'dinov2_with_registers');
  }));

test('a classifier on one layer goes with its encoder', () =>
  withFolder(async (folder) => {
    const head = goldenPath('fb-linear/model.pth');
    assert.is((await dinov2(['convert', ENCODER, '--head', head, '--output', folder, ...HEADS])).code, 0);
    const [found, expected] = [
      await Dinov2ForImageClassification.from_pretrained(folder),
      await Dinov2ForImageClassification.from_pretrained(ENCODER, { head, config }),
    ];
    assertSameBits((await found(pixels(70, 70))).logits.data, (await expected(pixels(70, 70))).logits.data);
    assert.ok([...(await readTensors(join(folder, 'model.safetensors'))).keys()].includes('dinov2.embeddings.cls_token'));
    const again = join(folder, 'again'); // a folder of a classifier stays one, and keeps its processor
    await new BitImageProcessor({ size: 30, crop_size: 28 }).save_pretrained(folder);
    assert.is((await dinov2(['convert', folder, '--output', again])).stdout, `${again}: Dinov2ForImageClassification, float32\n`);
    assert.equal((await AutoImageProcessor.from_pretrained(again)).crop_size, { height: 28, width: 28 });
  }));

test('a DPT head becomes the DPT of transformers, whose depth is that of the original before its range', () =>
  withFolder(async (folder) => {
    const head = goldenPath('fb-depth-dpt/model.pth');
    const { code, stdout } = await dinov2(['convert', ENCODER, '--head', head, '--output', folder, ...HEADS]);
    assert.equal([code, stdout], [0, `${folder}: DPTForDepthEstimation, float32\n`]);
    const found = await AutoModelForDepthEstimation.from_pretrained(folder);
    assert.instance(found, DPTForDepthEstimation);
    assert.instance(await AutoImageProcessor.from_pretrained(folder), DPTImageProcessor);
    const own = await Dinov2ForDepthEstimation.from_pretrained(ENCODER, { head, config, depthRange: [0, 1e6] });
    const x = pixels(70, 84);
    const { predicted_depth } = await found(x);
    assert.equal(predicted_depth.dims, [1, 96, 96]);
    const resized = resample(predicted_depth.reshape(96, 96, 1), { height: 70, width: 84, filter: 'bilinear' });
    assertWithinOfLargest((await own(x)).predicted_depth.data, resized.data, 1e-6);
  }));

test('what is there is not overwritten unless asked for', () =>
  withFolder(async (folder) => {
    writeFileSync(join(folder, 'config.json'), 'mine');
    const refused = await dinov2(['convert', ENCODER, '--output', folder, ...HEADS]);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, 'expected a folder without a model, found config.json in it');
    assert.is(readFileSync(join(folder, 'config.json'), 'utf8'), 'mine');
    assert.equal(readdirSync(folder), ['config.json']);
    assert.is((await dinov2(['convert', ENCODER, '--output', folder, '--overwrite', ...HEADS])).code, 0);
    assert.equal(readdirSync(folder).sort(), FILES);
    const file = join(folder, 'config.json');
    assert.match((await dinov2(['convert', ENCODER, '--output', file, ...HEADS])).stderr, 'found a file');
  }));

test('what cannot be converted is refused, and leaves nothing behind', () =>
  withFolder(async (folder) => {
    const output = join(folder, 'out');
    const fails = async (code: number, text: string, ...args: string[]): Promise<void> => {
      const found = await dinov2(['convert', ...args]);
      assert.is(found.code, code, found.stderr);
      assert.match(found.stderr, text);
      assert.not(existsSync(output));
    };
    const head = (name: string): string => goldenPath(`${name}/model.pth`);
    await fails(1, 'found one on 4 layers', ENCODER, '--head', head('fb-linear4'), '--output', output, ...HEADS);
    await fails(1, 'found a segmentation head', ENCODER, '--head', head('fb-segment-ms'), '--output', output, ...HEADS);
    await fails(1, 'num_attention_heads', ENCODER, '--output', output);
    await fails(1, 'none.pth: expected a folder', 'none.pth', '--output', output);
    await fails(1, 'expected a head of facebookresearch', ENCODER, '--head', ENCODER, '--output', output, ...HEADS);
    await fails(2, '--output', ENCODER);
    await fails(2, 'float8', ENCODER, '--output', output, '--dtype', 'float8');
    await fails(2, 'dinov2 quantize', ENCODER, '--output', output, '--dtype', 'int8');
    await fails(2, 'at least 1', ENCODER, '--output', output, '--attention-heads', '0');
  }));

test('an interruption leaves no half file; a person sees a bar', () =>
  withFolder(async (folder) => {
    const output = join(folder, 'out');
    const { code, stderr } = await dinov2(['convert', ENCODER, '--output', output, ...HEADS], { signal: AbortSignal.abort() });
    assert.equal([code, stderr], [1, 'dinov2: interrupted\n']);
    assert.ok(!existsSync(output) || readdirSync(output).length === 0);
    const screen = new Recorder({ isTTY: true });
    assert.is((await dinov2(['convert', ENCODER, '--output', output, ...HEADS], { stderr: screen })).code, 0);
    assert.match(screen.text, 'of 1 MB');
  }));

test('saving from a checkpoint takes no memory for weights', async () => {
  await withFolder(async (folder) => {
    const { config: own, checkpoint } = await Dinov2Model.open(ENCODER, { config });
    const model = new Dinov2Model(own, { initialize: false });
    const before = model.memory;
    await model.saveFrom(checkpoint, folder);
    assert.is(model.memory, before);
    await checkpoint.close();
    assert.ok(existsSync(join(folder, 'model.safetensors')));
  });
});

test.run();
