import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Stage } from '../../src/heads/dpt.ts';
import { LinearDepthHead } from '../../src/heads/linearDepthHead.ts';
import { build } from '../nn/helpers.ts';
import { assertWithin } from '../reference/compare.ts';
import { interpolate } from '../reference/interpolate.ts';
import * as reference from '../reference/ops.ts';

const [WIDTH, BINS] = [5, 6];

// more rows than are enlarged at a time, so that the seams between them are seen
for (const [layers, rows, columns] of [
  [1, 19, 3],
  [4, 8, 4],
  [1, 1, 1],
  [2, 9, 2],
] as const) {
  test(`on ${layers} stages of ${rows} x ${columns} patches it does as the original: enlarge, then the layer, then the mean of the bins`, () => {
    const { layer, weight, place } = build((p) => new LinearDepthHead(p, { width: WIDTH, layers, bins: BINS, range: [0.5, 30] }));
    const stages: Stage[] = Array.from({ length: layers }, (_, i) => ({
      classToken: place([WIDTH], 10 + i),
      patches: place([rows, columns, WIDTH], 20 + i),
    }));
    const depth = layer.forward(stages);
    assert.equal(depth.dims, [4 * rows, 4 * columns]);

    const features: number[] = [];
    for (let at = 0; at < rows * columns; at++) {
      for (const { classToken, patches } of stages)
        features.push(...patches.data.subarray(at * WIDTH, (at + 1) * WIDTH), ...classToken.data);
    }
    const inputs = 2 * layers * WIDTH;
    const wide = interpolate(features, [rows, columns, inputs], { size: [4 * rows, 4 * columns], mode: 'bilinear' });
    const sizes = { rows: 16 * rows * columns, inputs, outputs: BINS };
    const logits = reference.linear(wide, weight('conv_depth.weight').data, weight('conv_depth.bias').data, sizes);
    const bins = Array.from({ length: BINS }, (_, i) => 0.5 + (i * 29.5) / (BINS - 1));
    assertWithin(depth.data, reference.binMean(logits, bins), 1e-4);
  });
}

test.run();
