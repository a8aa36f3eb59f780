import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readOptions, USAGE } from '../../bench/options.ts';

test('without arguments: every section, every peer, one thread and two', () => {
  const { sections, engines, inputs, dtypes, threads } = readOptions([]);
  assert.equal(sections, ['accuracy', 'kernels', 'models', 'heads', 'fresh']);
  assert.equal(
    engines.map(({ name }) => name),
    ['onnxruntime-web', 'tfjs-wasm', 'dinov2-wasm'],
  );
  assert.equal(inputs, [
    { model: 'S', size: 224 },
    { model: 'S', size: 518 },
    { model: 'B', size: 224 },
  ]);
  assert.equal(dtypes, ['f32', 'f16', 'int8']);
  assert.equal(threads, [1, 2]);
});

test('everything by flag', () => {
  const args = [
    'fresh',
    'models',
    '--models',
    'L,S',
    '--sizes',
    '224, 518',
    '--dtypes',
    'int8',
    '--threads',
    '4',
    '--engines',
    'dinov2-wasm',
  ];
  const { sections, engines, inputs, dtypes, threads } = readOptions(args);
  assert.equal(sections, ['models', 'fresh']);
  assert.equal(
    inputs.map(({ model, size }) => `${model}${size}`),
    ['S224', 'S518', 'L224', 'L518'],
  );
  assert.equal([engines.map(({ name }) => name), dtypes, threads], [['dinov2-wasm'], ['int8'], [4]]);
  assert.is(readOptions(['--all']).inputs.length, 6);
  assert.equal(readOptions(['--quick']).inputs, [{ model: 'S', size: 224 }]);
  assert.equal(readOptions(['--quick']).dtypes, ['f32', 'int8']);
  assert.equal(readOptions(['--quick', '--dtypes', 'f16']).dtypes, ['f16']);
  assert.equal(readOptions([]).dtypes, ['f32', 'f16', 'int8']);
  assert.equal(readOptions(['--quick', '--models', 'B']).inputs, [{ model: 'B', size: 224 }]);
  assert.is(readOptions([], { DINOV2_REAL: 'here' }).real, 'here');
});

test('wrong arguments are named', () => {
  for (const [args, ...parts] of [
    [['latencies'], 'section', 'kernels', '"latencies"'],
    [['--modles', 'S'], '--modles'],
    [['--models', 'G'], '--models', 'S, B, L', '"G"'],
    [['--sizes', '13'], '--sizes', '14', '"13"'],
    [['--sizes', ''], '--sizes', '""'],
    [['--threads', '1.5'], '--threads', '"1.5"'],
    [['--dtypes', 'int4'], '--dtypes', '"int4"'],
    [['--engines', 'torch'], '--engines', 'onnxruntime-web', '"torch"'],
    [['--seconds', 'long'], '--seconds', '"long"'],
    [['--quick', '--all'], '--quick', '--all'],
    [['kernels', '--svg', 'chart.svg'], '--svg', 'models'],
    [['--json', 'no/such/folder/figures.json'], '--json', 'folder', 'figures.json'],
  ] as [string[], ...string[]][]) {
    try {
      readOptions(args);
    } catch (error) {
      for (const part of parts) assert.ok((error as Error).message.includes(part), `"${part}" in "${(error as Error).message}"`);
      continue;
    }
    assert.unreachable(args.join(' '));
  }
});

test('the usage names every option there is', () => {
  for (const name of ['quick', 'all', 'models', 'sizes', 'dtypes', 'threads', 'engines', 'seconds', 'real', 'json', 'svg', 'help']) {
    assert.ok(USAGE.includes(`--${name}`), name);
  }
});

test.run();
