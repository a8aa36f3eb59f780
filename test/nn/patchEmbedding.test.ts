import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PatchEmbedding } from '../../src/nn/patchEmbedding.ts';
import { assertWithin } from '../reference/compare.ts';
import { build } from './helpers.ts';

test('the patch embedding is a convolution whose stride is its kernel', () => {
  const [channels, height, width] = [3, 7, 9];
  const [patchHeight, patchWidth] = [2, 3];
  const { layer, weight, place } = build((p) => new PatchEmbedding(p, channels, [patchHeight, patchWidth], 5));
  const pixels = place([channels, height, width], 9);
  const tokens = layer.forward(pixels);
  assert.equal(tokens.dims, [9, 5]);

  const [w, b, x] = [weight('projection.weight'), weight('projection.bias'), pixels.data];
  assert.equal(w.dims, [5, channels, patchHeight, patchWidth]);
  const expected: number[] = [];
  for (let row = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      for (let output = 0; output < 5; output++) {
        let sum = b.data[output] as number;
        for (let c = 0; c < channels; c++) {
          for (let i = 0; i < patchHeight; i++) {
            for (let j = 0; j < patchWidth; j++) {
              const pixel = x[(c * height + row * patchHeight + i) * width + column * patchWidth + j] as number;
              sum += pixel * w.at(output).at(c).at(i).at(j).item();
            }
          }
        }
        expected.push(sum);
      }
    }
  }
  assertWithin(tokens.data, expected, 1e-5);
});

test.run();
