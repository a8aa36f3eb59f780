import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DptNeck, type DptNeckOptions, type Stage, type ToEnlarge } from '../../src/heads/dpt.ts';
import { add } from '../../src/tensor/ops.ts';
import type { Float32 } from '../../src/tensor/place.ts';
import { type Built, build } from '../nn/helpers.ts';
import { assertSameBits } from '../reference/compare.ts';

const WIDTH = 6;
const GRID = [3, 4] as const;

const make = (options: Partial<DptNeckOptions>): Built<DptNeck> =>
  build(
    (p) =>
      new DptNeck(p, {
        hiddenSize: WIDTH,
        neckSizes: [3, 5, 4],
        factors: [2, 1, 0.5],
        fusionSize: 4,
        outputLevel: 2,
        readout: 'ignore',
        activation: 'gelu',
        residualBias: true,
        upsample: 'next',
        ...options,
      }),
  );

const stages = ({ place }: Built<DptNeck>, tokenSeed = 1): Stage[] =>
  [0, 1, 2].map((level) => ({ classToken: place([WIDTH], tokenSeed + level), patches: place([...GRID, WIDTH], 10 + level) }));

const enlarged = (options: Partial<DptNeckOptions>, tokenSeed?: number): ToEnlarge => {
  const built = make(options);
  return built.layer.forward(stages(built, tokenSeed));
};

const run = (options: Partial<DptNeckOptions>, tokenSeed?: number): Float32 => enlarged(options, tokenSeed).x;

test('a fusion enlarges to the next level, and the last to twice its own size', () => {
  assert.equal(
    [0, 1, 2].map((outputLevel) => enlarged({ outputLevel }).enlargeTo),
    [
      [3, 4],
      [6, 8],
      [12, 16],
    ],
  );
});

test('or each enlarges to twice its own size, and what comes from the side is brought to that', () => {
  assert.equal(
    [0, 1, 2].map((outputLevel) => enlarged({ outputLevel, upsample: 'double' }).enlargeTo),
    [
      [4, 4],
      [8, 8],
      [16, 16],
    ],
  );
});

test('the class token is ignored, added or projected as the readout says', () => {
  assertSameBits(run({}, 1).data, run({}, 50).data);
  for (const readout of ['add', 'project'] as const) assert.not.equal(run({ readout }, 1).data, run({ readout }, 50).data);
  const ignoring = make({});
  const added = stages(ignoring).map(({ classToken, patches }) => ({ classToken, patches: add(patches, classToken) }));
  assertSameBits(run({ readout: 'add' }).data, ignoring.layer.forward(added).x.data);
});

test('the stages are left as they were', () => {
  const built = make({ readout: 'project', factors: [1, 1, 1] });
  const given = stages(built);
  const before = given.map(({ patches }) => patches.data);
  built.layer.forward(given);
  for (const [i, { patches }] of given.entries()) assertSameBits(patches.data, before[i] as Float32Array);
});

test.run();
