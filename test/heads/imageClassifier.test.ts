import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ImageClassifier } from '../../src/heads/imageClassifier.ts';
import { build } from '../nn/helpers.ts';
import { assertSame, assertWithin } from '../reference/compare.ts';
import * as reference from '../reference/ops.ts';

const [WIDTH, PATCHES] = [6, 5];

/** The class token, and the mean of the others. */
function featuresOf(tokens: Float32Array): number[] {
  return [...tokens.subarray(0, WIDTH), ...reference.mean(tokens.subarray(WIDTH), PATCHES, WIDTH)];
}

test('logits are a linear layer on the class token and the mean of the patch tokens', () => {
  const { layer, weight, place } = build((p) => new ImageClassifier(p, { width: WIDTH, labels: 3 }));
  const tokens = place([1 + PATCHES, WIDTH], 5);
  assert.is(layer.outputs, 3);
  const logits = layer.forward(tokens.at(0), tokens.slice(1));
  assert.equal(logits.dims, [3]);
  const sizes = { rows: 1, inputs: 2 * WIDTH, outputs: 3 };
  const expected = reference.linear(featuresOf(tokens.data), weight('classifier.weight').data, weight('classifier.bias').data, sizes);
  assertWithin(logits.data, expected, 1e-6);
});

test('without labels the features are the output', () => {
  const { layer, place } = build((p) => new ImageClassifier(p, { width: WIDTH, labels: 0 }));
  const tokens = place([1 + PATCHES, WIDTH], 5);
  assert.is(layer.outputs, 2 * WIDTH);
  assertSame(layer.forward(tokens.at(0), tokens.slice(1)).data, Float32Array.from(featuresOf(tokens.data)));
});

test.run();
