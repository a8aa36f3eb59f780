import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, DisposedError, HostError, MemoryError } from '../../src/errors.ts';
import { Engine, type EngineOptions } from '../../src/runtime/engine.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import { ACTIVATIONS } from '../../src/runtime/kernels.ts';
import type { KernelCall } from '../../src/runtime/threads.ts';
import { refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { randomFloats } from '../reference/random.ts';

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

test('what is followed is done at once, and again when that is asked for, on the same places', async () => {
  const engine = new Engine();
  const [input, output] = [engine.allocate(4), engine.allocate(4)];
  const [seen, constant] = [floats(0), floats(10)];
  const { result, again } = await engine.scopeAsync(async () => {
    engine.write(input, floats(1));
    return engine.follow(async () => {
      const place = engine.allocate(4);
      engine.copy(place, input, 4);
      double(engine, place);
      const other = engine.allocate(4);
      engine.write(other, constant);
      engine.call('f32_add', 1, 1, place, other, 1, output);
      engine.read(output, seen);
      return place;
    });
  });
  assert.equal([...seen], [12]);
  assert.ok(result > output);
  constant[0] = 0;
  engine.write(input, floats(4));
  again();
  assert.equal([...seen], [18], 'with the constant that was');
  double(engine, input);
  assert.equal([...seen], [18], 'nothing more is written down');
  again();
  assert.equal([...seen], [26]);
});

test('what fails while it is followed leaves nothing followed, and nothing is followed twice', async () => {
  const engine = new Engine();
  const place = engine.allocate(4);
  engine.write(place, floats(1));
  const fail = async (): Promise<void> => {
    double(engine, place);
    throw new RangeError('from the body');
  };
  await refuses(() => engine.follow(fail), RangeError, 'from the body');
  assert.equal(read(engine, place, 1), [2]);
  await refuses(() => engine.follow(() => engine.record(async () => 1)), ArgumentError, 'inside another');
  await refuses(() => engine.record(() => engine.follow(async () => 1)), ArgumentError, 'inside another');
  const { again } = await engine.follow(async () => double(engine, place));
  again();
  assert.equal(read(engine, place, 1), [8]);
  engine.dispose();
  await refuses(again, DisposedError, 'used after dispose()');
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
  await refuses(() => engine.allocate(2 ** 20), MemoryError, 'expected at most 1024 KiB');
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

const THREADS = [1, 2, 3] as const;

test('each thread has a share of a job, in parts of which each but the last is half of what is left of it', () => {
  const engine = new Engine({ threads: 2 });
  const sizes: number[] = [];
  const place = engine.allocate(4);
  engine.parallel(3200, 1, (_, items) => {
    sizes.push(items);
    return ['f32_activation', 0, ACTIVATIONS.none, place, place];
  });
  assert.equal(sizes, [800, 400, 200, 100, 100, 800, 400, 200, 100, 100]);
  engine.dispose();
});

test('items are cut into parts at multiples of the grain, each item once, and each part numbered', () => {
  for (const threads of THREADS) {
    const engine = new Engine({ threads });
    const place = engine.allocate(4);
    for (const grain of [1, 2, 5, 12]) {
      for (const count of [0, 1, 2, 4, 5, 6, 11, 12, 13, 59, 60, 61, 1000]) {
        const cuts: number[][] = [];
        engine.parallel(count, grain, (...cut) => {
          cuts.push(cut);
          return ['f32_activation', 0, ACTIVATIONS.none, place, place];
        });
        const what = `${count} items by ${grain} on ${threads}: ${JSON.stringify(cuts)}`;
        const parts = engine.parts(count, grain);
        assert.is(parts, Math.min(Math.ceil(count / grain), threads === 1 ? 1 : 5 * threads), what);
        if (parts < 5 * threads) assert.is(cuts.length, parts, what);
        let [next, last] = [0, -1];
        for (const [first = 0, items = 0, part = 0] of cuts) {
          assert.is(first, next, what);
          assert.ok(part > last && part < parts, what);
          assert.ok(items > 0, what);
          assert.is(first % grain, 0, what);
          [next, last] = [first + items, part];
        }
        assert.is(next, count, what);
      }
    }
    engine.dispose();
  }
});

test('calls that threads share do what one thread does, in memory that grows, to the bit', () => {
  const x = randomFloats(100_000, 1, 3);
  const results = THREADS.map((threads) => {
    const engine = new Engine({ threads });
    const results: Float32Array[] = [];
    for (let round = 0; round < 3; round++) {
      const place = engine.allocate(x.byteLength); // beyond what there was when the threads began
      engine.write(place, x);
      engine.parallel(x.length, 1000, (first, count) => {
        return ['f32_activation', count, ACTIVATIONS.gelu, place + first * 4, place + first * 4];
      });
      const found = new Float32Array(x.length);
      engine.read(place, found);
      results.push(found);
    }
    engine.dispose();
    return results;
  });
  for (const result of results.flat()) assertSameBits(result, results[0]?.[0] as Float32Array);
});

test('thousands of short jobs on as many threads as there may be lose no part', () => {
  const engine = new Engine({ threads: 8 });
  const place = engine.allocate(400);
  engine.write(place, new Float32Array(100));
  const one = engine.allocate(4);
  engine.write(one, floats(1));
  const jobs = 3000;
  for (let i = 0; i < jobs; i++) {
    engine.together(Array.from({ length: 1 + (i % 100) }, (_, e): KernelCall => ['f32_add', 1, 1, place + 4 * e, one, 1, place + 4 * e]));
  }
  assert.equal(
    read(engine, place, 100),
    Array.from({ length: 100 }, (_, e) => ((100 - e) * jobs) / 100),
  );
  engine.dispose();
});

test('what threads share is recorded, and made again at each replay only', async () => {
  for (const threads of THREADS) {
    const engine = new Engine({ threads });
    const x = randomFloats(5000, 2);
    const place = engine.allocate(x.byteLength);
    engine.write(place, x);
    const recording = await engine.record(async () => {
      const y = engine.allocate(x.byteLength);
      engine.parallel(x.length, 100, (first, count) => ['f32_activation', count, ACTIVATIONS.relu, place + first * 4, y + first * 4]);
      return y;
    });
    assert.equal(read(engine, recording.result, x.length), new Array(x.length).fill(0), 'memory is fresh');
    for (const seed of [3, 4]) {
      const other = randomFloats(x.length, seed);
      engine.write(place, other);
      recording.replay();
      assert.equal(
        read(engine, recording.result, x.length),
        Array.from(other, (value) => Math.max(value, 0)),
      );
    }
    engine.dispose();
    await refuses(() => recording.replay(), DisposedError);
  }
});

test('an engine with threads keeps to its memory limit and gives all back', async () => {
  const engine = new Engine({ threads: 2, memoryLimit: 2 ** 20 });
  engine.allocate(2 ** 19);
  await refuses(() => engine.allocate(2 ** 20), MemoryError, 'expected at most 1024 KiB');
  engine.dispose();
  assert.is(engine.reserved, 0);
  await refuses(() => engine.together([]), DisposedError);
  await refuses(() => engine.parallel(1, 1, () => ['f32_activation', 0, 0, 0, 0]), DisposedError);
});

test('using disposes', () => {
  const engine = new Engine();
  engine[Symbol.dispose]();
  assert.is(engine.reserved, 0);
});

test.run();
