import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DisposedError, HostError, MemoryError } from '../../src/errors.ts';
import { Engine, type EngineOptions } from '../../src/runtime/engine.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import { refuses } from '../helpers.ts';

const floats = (...values: number[]): Float32Array<ArrayBuffer> => Float32Array.from(values);

function read(engine: Engine, address: number, count: number): number[] {
  const values = new Float32Array(count);
  engine.read(address, values);
  return [...values];
}

/** Doubles the one number at a place. */
const double = (engine: Engine, address: number): void => engine.call('f32_add', 1, 1, address, address, 1, address);

test('auto takes the relaxed build where the host has relaxed SIMD', () => {
  assert.is(new Engine().build, hasRelaxedSimd() ? 'relaxed' : 'simd');
  assert.is(new Engine({ build: 'auto' }).build, new Engine().build);
});

test('the baseline build can be forced', () => {
  assert.is(new Engine({ build: 'simd' }).build, 'simd');
});

(hasRelaxedSimd() ? test.skip : test)('forcing the relaxed build on a host without it is refused with what to do', async () => {
  await refuses(() => new Engine({ build: 'relaxed' }), HostError, 'relaxed SIMD', 'use build "auto" or "simd"');
});

(hasRelaxedSimd() ? test : test.skip)('the relaxed build can be forced', () => {
  assert.is(new Engine({ build: 'relaxed' }).build, 'relaxed');
});

test('options of a wrong kind are refused by name', async () => {
  const wrong = (options: unknown) => new Engine(options as EngineOptions);
  await refuses(() => wrong({ build: 'fast' }), ArgumentError, 'build: expected "auto", "simd" or "relaxed", found "fast"');
  await refuses(() => wrong({ build: null }), ArgumentError, 'build');
  for (const memoryLimit of [Number.NaN, -1, 0, 65535, '1GB', null])
    await refuses(() => wrong({ memoryLimit }), ArgumentError, 'memoryLimit');
});

test('what is written is read, viewed and copied', () => {
  const engine = new Engine();
  const [a, b] = [engine.allocate(12), engine.allocate(12)];
  engine.write(a, floats(1, 2, 3));
  engine.copy(b, a, 8);
  assert.equal(read(engine, b, 2), [1, 2]);
  assert.equal([...engine.view(b + 4, 4)], [...new Uint8Array(floats(2).buffer)]);
  engine.write(a, Uint8Array.of(0, 0, 128, 63)); // 1 in float32
  assert.equal(read(engine, a, 3), [1, 2, 3]);
});

test('a view of part of an array is written from its own start', () => {
  const engine = new Engine();
  const place = engine.allocate(8);
  engine.write(place, floats(1, 2, 3).subarray(1));
  assert.equal(read(engine, place, 2), [2, 3]);
  const target = floats(0, 0, 0);
  engine.read(place, target.subarray(1));
  assert.equal([...target], [0, 2, 3]);
});

test('what is in memory survives its growth', () => {
  const engine = new Engine();
  const place = engine.allocate(4);
  engine.write(place, floats(7));
  engine.allocate(10 * 2 ** 20);
  double(engine, place);
  assert.equal(read(engine, place, 1), [14]);
});

test('a scope gives its memory back when its body returns, throws or rejects', async () => {
  const engine = new Engine();
  const next = (): number => engine.scope(() => engine.allocate(1));
  const before = next();
  assert.is(
    engine.scope(() => {
      engine.allocate(100);
      return 'result';
    }),
    'result',
  );
  assert.is(next(), before);
  const fail = (): never => {
    engine.allocate(100);
    throw new RangeError('from the body');
  };
  assert.throws(() => engine.scope(fail), 'from the body');
  assert.is(next(), before);
  await refuses(() => engine.scopeAsync(async () => fail()), RangeError, 'from the body');
  assert.is(next(), before);
  await engine.scopeAsync(async () => engine.allocate(100));
  assert.is(next(), before);
});

test('a recording runs nothing when it is made, and every step in order at each replay', async () => {
  const engine = new Engine();
  const input = engine.allocate(4);
  engine.write(input, floats(1));
  const seen = floats(0);
  const recording = await engine.record(async () => {
    const place = engine.allocate(4);
    engine.copy(place, input, 4);
    double(engine, place);
    engine.read(place, seen);
    const constant = engine.allocate(4);
    engine.write(constant, floats(10));
    engine.call('f32_add', 1, 1, place, constant, 1, place);
    return place;
  });
  assert.equal(read(engine, recording.result, 1), [0], 'memory is fresh');
  for (const value of [3, 5]) {
    engine.write(input, floats(value));
    recording.replay();
    assert.equal([...seen], [2 * value]);
    assert.equal(read(engine, recording.result, 1), [2 * value + 10]);
  }
});

test('what a recording writes is copied when it is recorded', async () => {
  const engine = new Engine();
  const place = engine.allocate(4);
  const source = floats(1);
  const recording = await engine.record(async () => engine.write(place, source));
  source[0] = 2;
  recording.replay();
  assert.equal(read(engine, place, 1), [1]);
});

test('scopes within a recording share places with each other and with nothing else', async () => {
  const engine = new Engine();
  const places: number[] = [];
  const recording = await engine.record(async () => {
    for (let i = 0; i < 2; i++) engine.scope(() => places.push(engine.allocate(1000)));
  });
  assert.is(places[0], places[1]);
  assert.ok(engine.allocate(1) >= (places[0] as number) + 1000, 'the memory of the recording is set aside');
  recording.dispose();
});

test('a recording survives the growth of memory', async () => {
  const engine = new Engine();
  const place = engine.allocate(4);
  engine.write(place, floats(1));
  const recording = await engine.record(async () => double(engine, place));
  engine.allocate(10 * 2 ** 20);
  recording.replay();
  assert.equal(read(engine, place, 1), [2]);
});

test('disposing of a recording gives its memory back, once', async () => {
  const engine = new Engine();
  const record = () => engine.record(async () => engine.allocate(1000));
  const first = await record();
  const { result } = first;
  first.dispose();
  first.dispose();
  const block = engine.allocate(1000);
  assert.is(block, result);
  const second = await record();
  assert.ok(second.result >= block + 1000, 'no two share a place');
  engine.scope(() => assert.ok(engine.allocate(1) >= second.result + 1000));
});

test('a recording is refused after its dispose', async () => {
  const recording = await new Engine().record(async () => 1);
  recording.dispose();
  await refuses(() => recording.replay(), DisposedError, 'recording');
  await refuses(() => recording.result, DisposedError, 'recording');
});

test('a recording within a recording is refused', async () => {
  const engine = new Engine();
  await refuses(() => engine.record(() => engine.record(async () => 1)), ArgumentError, 'inside another');
  assert.is((await engine.record(async () => 2)).result, 2, 'and the engine goes on');
});

test('a recording whose body fails gives back its memory and leaves nothing recorded', async () => {
  const engine = new Engine();
  const place = engine.allocate(4);
  engine.write(place, floats(1));
  const before = engine.scope(() => engine.allocate(1));
  await refuses(
    () =>
      engine.record(async () => {
        engine.allocate(1000);
        throw new RangeError('from the body');
      }),
    RangeError,
    'from the body',
  );
  double(engine, place);
  assert.equal(read(engine, place, 1), [2]);
  assert.is(
    engine.scope(() => engine.allocate(1)),
    before,
  );
});

test('memory beyond the limit is refused', async () => {
  const engine = new Engine({ memoryLimit: 2 ** 20 });
  await refuses(() => engine.allocate(2 ** 20), MemoryError, 'expected at most 1 MiB');
});

test('after dispose the memory is gone and every use is refused by name', async () => {
  const engine = new Engine();
  const place = engine.allocate(2 ** 20);
  const recording = await engine.record(async () => engine.allocate(4));
  engine.dispose();
  engine.dispose();
  assert.is(engine.reserved, 0);
  const uses: (() => unknown)[] = [
    () => engine.allocate(4),
    () => engine.call('f32_add', 1, 1, place, place, 1, place),
    () => engine.view(place, 4),
    () => engine.write(place, floats(1)),
    () => engine.read(place, floats(1)),
    () => engine.copy(place, place, 4),
    () => engine.record(async () => engine.allocate(4)),
    () => recording.replay(),
  ];
  for (const use of uses) await refuses(use, DisposedError, 'engine: used after dispose()');
  assert.is(engine.reserved, 0, 'and takes no memory again');
  recording.dispose();
});

test('using disposes', () => {
  const engine = new Engine();
  engine[Symbol.dispose]();
  assert.is(engine.reserved, 0);
});

test.run();
