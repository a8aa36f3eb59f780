import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { host } from '#host';
import { ArgumentError, ThreadError } from '../../src/errors.ts';
import type { Thread, Threads } from '../../src/hosts/host.ts';
import { Board } from '../../src/runtime/board.ts';
import { kernelModule } from '../../src/runtime/builds.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { ACTIVATIONS, instantiate, type Kernels } from '../../src/runtime/kernels.ts';
import { Memory, PAGE } from '../../src/runtime/memory.ts';
import { countThreads, type KernelCall, type ThreadData, ThreadPool } from '../../src/runtime/threads.ts';
import { comesTrue, refuses } from '../helpers.ts';
import { assertSameBits } from '../reference/compare.ts';
import { randomFloats } from '../reference/random.ts';
import { countOsThreads, idle, joinBoard, withThreads } from './helpers.ts';

test('threads are a count of 1 to 64, or auto for as many as there are processors, up to 8', async () => {
  assert.equal([1, 2, 64].map(countThreads), [1, 2, 64]);
  assert.is(countThreads('auto'), Math.min(8, (host.threads as Threads).available));
  for (const wrong of [0, -1, 65, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '2', 'many', null]) {
    await refuses(() => countThreads(wrong as never), ArgumentError, 'threads: expected 1 to 64 or "auto", found');
    await refuses(() => new Engine({ threads: wrong as never }), ArgumentError, 'threads');
  }
});

test('a host without threads gives one, and says so once', async () => {
  const said: string[] = [];
  const { warn } = console;
  console.warn = (message: string) => said.push(message);
  try {
    await withThreads(undefined, () => {
      assert.is(new Engine().threads, 1);
      assert.equal(said, [], 'who asks for one is told nothing');
      for (const threads of [2, 'auto', 8] as const) {
        const engine = new Engine({ threads });
        assert.is(engine.threads, 1);
        assert.instance(engine.view(0, 1).buffer, ArrayBuffer);
      }
    });
    assert.is(said.length, 1);
    assert.match(said[0] as string, /node gives no threads over shared memory: one thread is used/);
  } finally {
    console.warn = warn;
  }
});

interface Team {
  readonly pool: ThreadPool;
  readonly memory: Memory;
  /** What the other threads were given. */
  readonly data: readonly ThreadData[];
}

/** A pool on a memory of its own whose other threads a test starts. */
async function withPool(
  count: number,
  { thread = idle, patience }: { thread?: Thread; patience?: number },
  body: (team: Team) => unknown,
): Promise<void> {
  const memory = new Memory({ shared: true });
  const data: ThreadData[] = [];
  const start = (given: unknown): Thread => {
    data.push(given as ThreadData);
    return thread;
  };
  await withThreads(start, async () => {
    const module = kernelModule('simd', 'shared');
    const kernels: Kernels = instantiate(module, memory.wasm);
    const pool = new ThreadPool(count, kernels, module, memory.wasm, patience === undefined ? {} : { patience });
    await body({ pool, memory, data });
  });
}

/** Calls that each take long enough for another thread to take one. */
function calls(memory: Memory, count = 12): KernelCall[] {
  const size = 200_000;
  return Array.from({ length: count }, () => {
    const place = memory.allocate(4 * size);
    return ['f32_activation', size, ACTIVATIONS.gelu, place, place];
  });
}

test('a pool whose other threads never come does the work itself', async () => {
  await withPool(4, {}, ({ pool, memory, data }) => {
    assert.is(data.length, 3);
    const place = memory.allocate(4 * 3000);
    const x = randomFloats(3000, 1);
    new Uint8Array(memory.wasm.buffer).set(new Uint8Array(x.buffer), place);
    // more calls than the board holds
    const each = Array.from({ length: 3000 }, (_, i): KernelCall => ['f32_activation', 1, ACTIVATIONS.relu, place + 4 * i, place + 4 * i]);
    pool.run(pool.number(each));
    const found = new Uint8Array(memory.wasm.buffer).slice(place, place + 12000);
    assertSameBits(
      new Float32Array(found.buffer),
      x.map((value) => Math.max(value, 0)),
    );
  });
});

/** Runs jobs until one is refused. */
async function refusesSoon(pool: ThreadPool, memory: Memory, ...parts: string[]): Promise<void> {
  const work = calls(memory);
  await refuses(
    () => {
      for (let round = 0; round < 2000; round++) pool.run(pool.number(work));
    },
    ThreadError,
    ...parts,
  );
}

test('a thread that is ended in the middle of a part is an error soon, not after patience has run out', async () => {
  await new Promise(setImmediate); // Node tells late of workers: of those of tests before
  let worker: Worker | undefined;
  process.once('worker', (started: Worker) => {
    worker = started;
  });
  const memory = new Memory({ shared: true });
  const module = kernelModule('simd', 'shared');
  const kernels: Kernels = instantiate(module, memory.wasm);
  const size = 1e7; // a tenth of a second
  const [place, theirs] = [memory.allocate(4 * size), memory.allocate(4 * size)]; // of this thread's share of the work, and of the other's
  const [first] = new Float32Array(memory.wasm.buffer, theirs, 1).fill(1);
  let isArmed = false;
  const armed: Kernels = {
    ...kernels,
    f32_activation(...args) {
      if (isArmed) {
        isArmed = false;
        const begin = performance.now();
        while (new Float32Array(memory.wasm.buffer, theirs, 1)[0] === first) {
          if (performance.now() - begin > 20_000) assert.unreachable('the other thread has not begun');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        }
        void worker?.terminate();
      }
      kernels.f32_activation(...args);
    },
  };
  const { start } = host.threads as Threads;
  let pool: ThreadPool | undefined;
  let board: Board | undefined;
  await withThreads(
    (data) => {
      board = new Board(0, (data as ThreadData).board);
      return start(data);
    },
    () => {
      pool = new ThreadPool(2, armed, module, memory.wasm);
    },
  );
  const made = pool as unknown as ThreadPool;
  const work = [place, place, theirs, theirs].map((x): KernelCall => ['f32_activation', size, ACTIVATIONS.gelu, x, x]);
  assert.ok(await comesTrue(() => board?.hasJoined(1) === true && worker !== undefined));
  isArmed = true;
  const begin = performance.now();
  await refuses(() => made.run(made.number(work)), ThreadError, 'a thread of the engine has ended: it was ended', 'load it again');
  assert.ok(performance.now() - begin < 8000, `${performance.now() - begin} ms`);
  await refuses(() => made.run(made.number(work)), ThreadError, 'has ended');
  made.stop();
});

test('a thread that dies in the middle of its work is an error after patience has run out, and the engine stays unusable', async () => {
  let stopped = 0;
  const thread: Thread = {
    failure: undefined,
    stop: () => {
      stopped += 1;
    },
  };
  await withPool(2, { thread, patience: 200 }, async ({ pool, memory, data }) => {
    const worker = await joinBoard((data[0] as ThreadData).board, 1, 'process.exit(1)');
    await refusesSoon(pool, memory, 'took a part of the work and did not answer', 'dispose of the model and load it again');
    assert.is(stopped, 1, 'the others are stopped');
    await worker.terminate();
    const start = performance.now();
    await refuses(() => pool.run(pool.number(calls(memory))), ThreadError, 'did not answer');
    assert.ok(performance.now() - start < 100, 'at once from then on');
  });
});

test('a thread in which a kernel fails is an error at once', async () => {
  await withPool(2, {}, async ({ pool, memory, data }) => {
    const worker = await joinBoard((data[0] as ThreadData).board, 1, `throw new Error('from a kernel')`);
    await refusesSoon(pool, memory, 'a kernel failed: f32_activation: from a kernel: dispose of the model and load it again');
    await worker.terminate();
  });
});

test('a thread that has ended while nothing was to do is an error, with why', async () => {
  const cause = new RangeError('out of memory');
  let failure: Error | undefined;
  const thread: Thread = {
    get failure() {
      return failure;
    },
    stop() {},
  };
  await withPool(2, { thread }, async ({ pool, memory, data: [data] }) => {
    new Board((data as ThreadData).number, (data as ThreadData).board).join();
    pool.run(pool.number(calls(memory, 2)));
    failure = cause;
    const errors = [1, 2].map(() => {
      try {
        return pool.run(pool.number(calls(memory, 2)));
      } catch (error) {
        return error as Error;
      }
    });
    for (const error of errors) {
      assert.instance(error, ThreadError);
      assert.match((error as Error).message, 'a thread of the engine has ended: out of memory: dispose');
      assert.is((error as Error).cause, cause);
    }
  });
});

test('a kernel that fails in an engine with threads is an error by name, not a hang', async () => {
  const engine = new Engine({ threads: 3 });
  const outside = engine.reserved + 65536;
  const bad = Array.from({ length: 6 }, (): KernelCall => ['f32_activation', 100, ACTIVATIONS.relu, outside, outside]);
  await refuses(() => engine.together(bad), ThreadError, 'a kernel failed: f32_activation: memory access out of bounds');
  await refuses(() => engine.together(bad), ThreadError);
  engine.dispose();
});

test('memory that grows while a thread starts is there for that thread', async () => {
  const { start } = host.threads as Threads;
  const filler = Array.from({ length: 100_000 }, (_, i) => `takes a while to arrive ${i}`);
  for (const milliseconds of [10, 25, 40, 60, 80, 100]) {
    const memory = new Memory({ shared: true });
    const module = kernelModule('simd', 'shared');
    let other: ThreadData | undefined;
    let pool: ThreadPool | undefined;
    await withThreads(
      (data) => {
        other = data as ThreadData;
        return start({ filler, ...other });
      },
      () => {
        pool = new ThreadPool(2, instantiate(module, memory.wasm), module, memory.wasm);
      },
    );
    const begin = performance.now();
    let last = 0;
    do last = memory.allocate(PAGE);
    while (performance.now() - begin < milliseconds);
    const { board, number } = other as ThreadData;
    assert.ok(await comesTrue(() => new Board(0, board).hasJoined(number)));
    const rows = 200_000; // takes milliseconds
    pool?.run(pool.number(Array.from({ length: 4 }, () => ['f32_copy_rows', rows, 16, last, 0, last + 64, 0])));
    pool?.stop();
    memory.dispose();
  }
});

test('threads that cannot start are done without, which is said once', async () => {
  const { start } = host.threads as Threads;
  const started: Thread[] = [];
  const failing = (): Thread => {
    const thread = start({ nothing: 'of use' });
    started.push(thread);
    return thread;
  };
  const said: string[] = [];
  const { warn } = console;
  console.warn = (message: string) => said.push(message);
  try {
    await withThreads(failing, async () => {
      const engine = new Engine({ threads: 3 });
      assert.ok(await comesTrue(() => started.length === 2 && started.every(({ failure }) => failure)));
      for (let i = 0; i < 3; i++) work(engine);
      engine.dispose();
    });
    assert.is(said.length, 1);
    assert.match(said[0] as string, `node did not start a thread (${started[0]?.failure?.message}): fewer are used`);
  } finally {
    console.warn = warn;
  }
});

test('a thread that is stopped has not failed', async () => {
  const started: Thread[] = [];
  const { start } = host.threads as Threads;
  await withThreads(
    (data) => {
      started.push(start(data));
      return started.at(-1) as Thread;
    },
    async () => {
      const engine = new Engine({ threads: 3 });
      work(engine);
      engine.dispose();
    },
  );
  await comesTrue(() => started.some(({ failure }) => failure), 300);
  assert.equal(
    started.map(({ failure }) => failure),
    [undefined, undefined],
  );
});

/** Work of two parts that both threads of an engine do. */
function work(engine: Engine): void {
  engine.scope(() => {
    const place = engine.allocate(4096);
    engine.parallel(1024, 1, (first, count) => ['f32_activation', count, ACTIVATIONS.relu, place + first * 4, place + first * 4]);
  });
}

const HAS_COUNT = countOsThreads() !== undefined;

(HAS_COUNT ? test : test.skip)('fifty engines that are started and disposed of leave no thread behind', async () => {
  const warm = new Engine({ threads: 2 });
  work(warm);
  warm.dispose();
  await comesTrue(() => false, 200);
  const before = countOsThreads() as number;
  for (let i = 0; i < 50; i++) {
    const engine = new Engine({ threads: 2, memoryLimit: 2 ** 20 });
    work(engine);
    if (i % 10 === 0) await comesTrue(() => (countOsThreads() as number) > before); // it is running, not only about to start
    work(engine);
    engine.dispose();
    engine.dispose();
  }
  const back = await comesTrue(() => (countOsThreads() as number) <= before);
  assert.ok(back, `${before} threads before, ${countOsThreads()} after`);
});

for (const end of ['engine.dispose();', '']) {
  test(`a process whose engine has threads ends by itself, ${end ? 'disposed of' : 'forgotten'}`, async () => {
    const source = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);
    const code = `
      import { Engine } from ${source('runtime/engine.ts')};
      const engine = new Engine({ threads: 3 });
      const place = engine.allocate(4096);
      for (let i = 0; i < 200; i++) {
        engine.parallel(1024, 1, (first, count) => ['f32_activation', count, 4, place + first * 4, place + first * 4]);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      ${end}
      console.log('done');`;
    const arguments_ = ['--conditions=dinov2-source', '--import', 'tsx', '--input-type=module', '--eval', code];
    const { stdout } = await promisify(execFile)(process.execPath, arguments_, {
      timeout: 60_000,
      cwd: new URL('../..', import.meta.url).pathname,
    });
    assert.is(stdout, 'done\n');
  });
}

test.run();
