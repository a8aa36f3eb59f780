import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { Engine } from '../../src/runtime/engine.ts';
import { diagnose } from '../../src/tensor/diagnosis.ts';
import { BUILDS } from './matrix/helpers.ts';

test('a host is told with the kernels that are taken for it, and how fast each that runs here is', () => {
  const { speeds, processors, ...found } = diagnose();
  const engine = new Engine();
  assert.equal(found, {
    ...{ host: host.name, simd: true, relaxedSimd: BUILDS.length === 2, threads: host.threads !== undefined },
    ...{ build: engine.build, integerForm: engine.integerForm },
  });
  engine.dispose();
  assert.is(processors, host.threads?.available);
  assert.equal(
    speeds.map(({ build }) => build),
    BUILDS,
  );
  for (const { build, float32, int8 } of speeds) {
    for (const speed of [float32, int8]) assert.ok(speed > 0.05 && speed < 1000, `${build}: ${speed} * 10^9 operations a second`);
  }
});

test.run();
