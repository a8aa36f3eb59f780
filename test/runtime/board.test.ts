import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Board, MOST_ARGUMENTS, MOST_PARTS, type NumberedCall } from '../../src/runtime/board.ts';
import { uniform } from '../reference/random.ts';
import { joinBoard } from './helpers.ts';

const job = (parts: number): NumberedCall[] => Array.from({ length: parts }, (_, kernel) => ({ kernel, args: [kernel] }));

test('one thread alone does all parts in their order, with the arguments of each', () => {
  const board = new Board();
  const seen: NumberedCall[] = [];
  const calls = [
    { kernel: 7, args: [1, 2 ** 31, -3, 0.5] },
    { kernel: 0, args: [] },
    { kernel: 34, args: Array.from({ length: MOST_ARGUMENTS }, (_, i) => i + 0.25) },
    { kernel: 1, args: [9] },
  ];
  board.post(calls, 1);
  board.work((kernel, args) => seen.push({ kernel, args: [...args] }));
  assert.is(board.finish(1000), undefined);
  assert.equal(seen, calls);
  board.work(() => assert.unreachable('the job is over'));
});

test('a thread begins with its own share, then takes over what is left of the others', () => {
  const board = new Board();
  const orders = [0, 1, 2].map((number) => {
    board.post(job(7), 3);
    const seen: number[] = [];
    new Board(number, board.memory).work((kernel) => seen.push(kernel));
    assert.is(board.finish(1000), undefined);
    return seen;
  });
  assert.equal(orders, [
    [0, 1, 2, 3, 4, 5, 6],
    [2, 3, 4, 5, 6, 0, 1],
    [5, 6, 0, 1, 2, 3, 4],
  ]);
});

test('a job has as many parts as the board holds', () => {
  const board = new Board();
  let sum = 0;
  board.post(job(MOST_PARTS), 2);
  board.work((_, args) => {
    sum += args[0] as number;
  });
  assert.is(board.finish(1000), undefined);
  assert.is(sum, (MOST_PARTS * (MOST_PARTS - 1)) / 2);
});

test('threads do each part of thousands of jobs once, and a job is over when all of its parts are', async () => {
  const board = new Board();
  const counts = new Int32Array(new SharedArrayBuffer(4 * (MOST_PARTS + 4)));
  const body = `
    const counts = new Int32Array(shared);
    if (kernel !== args[0]) throw new Error('arguments of another part');
    for (let i = 0; i < args[1]; i++) Atomics.load(counts, 0);
    Atomics.add(counts, kernel, 1);
    Atomics.add(counts, ${MOST_PARTS}, 1);`;
  const workers = await Promise.all([1, 2, 3].map((number) => joinBoard(board.memory, number, body, counts.buffer)));
  const next = uniform(1);
  let own = 0;
  let parts = 0;
  try {
    for (let round = 0; round < 4000; round++) {
      const count = round % 500 === 0 ? MOST_PARTS : 1 + Math.floor(next() * 20);
      const shares = 1 + Math.floor(next() * 6);
      counts.fill(0, 0, MOST_PARTS);
      board.post(
        Array.from({ length: count }, (_, kernel) => ({ kernel, args: [kernel, Math.floor(next() * 400)] })),
        shares,
      );
      board.work((kernel, [first, loops]) => {
        assert.is(first, kernel);
        for (let i = 0; i < (loops as number); i++) Atomics.load(counts, 0);
        Atomics.add(counts, kernel, 1);
        own += 1;
      });
      assert.is(board.finish(20_000), undefined, `round ${round}`);
      parts += count;
      assert.ok(
        counts.subarray(0, count).every((times) => times === 1) && counts.subarray(count, MOST_PARTS).every((times) => times === 0),
        `round ${round}: ${count} parts, done ${counts.subarray(0, count)} times`,
      );
    }
  } finally {
    for (const worker of workers) await worker.terminate();
  }
  const others = counts[MOST_PARTS] as number;
  assert.is(own + others, parts);
  assert.ok(own > 0 && others > 0, `the calling thread did ${own} parts, the others ${others}`);
});

test('a part that throws is told, by whichever thread, and the next job starts clean', async () => {
  const board = new Board();
  board.post(job(3), 2);
  let done = 0;
  board.work((kernel) => {
    if (kernel === 1) throw new RangeError('from a kernel');
    done += 1;
  });
  assert.is(done, 2, 'the other parts are done');
  assert.is(board.finish(1000), 'failed');
  assert.equal(board.failure, { part: 1, why: 'from a kernel' });
  board.post(job(3), 2);
  board.work(() => {});
  assert.is(board.finish(1000), undefined);

  const worker = await joinBoard(board.memory, 1, `throw new RangeError('long: '.padEnd(1000, 'é'))`);
  board.post(job(1), 2);
  assert.is(board.finish(20_000), 'failed', 'in another thread');
  assert.equal(board.failure, { part: 0, why: 'long: '.padEnd(199, 'é') });
  await worker.terminate();
});

test('a part that is never finished is waited for as long as patience has it, not for ever', () => {
  const board = new Board();
  board.post(job(2), 2);
  let found: ReturnType<Board['finish']>;
  let waited = 0;
  new Board(1, board.memory).work((kernel) => {
    if (kernel > 0) return;
    const start = performance.now();
    found = board.finish(150); // while this part is at work
    waited = performance.now() - start;
  });
  assert.is(found, 'silent');
  assert.ok(waited >= 150 && waited < 5000, `${waited} ms`);
  assert.is(board.finish(1000), undefined, 'it is done after all');
});

test('a thread that ends in the middle of a part leaves it unfinished', async () => {
  const board = new Board();
  const worker = await joinBoard(board.memory, 1, 'process.exit(3)');
  board.post(job(1), 2);
  assert.is(board.finish(300), 'silent');
  await worker.terminate();
});

test('a thread that sleeps wakes up for a job', async () => {
  const board = new Board();
  const worker = await joinBoard(board.memory, 1, '');
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 30)); // longer than it looks before it sleeps
    board.post(job(2), 2);
    assert.is(board.finish(20_000), undefined, 'done by the other thread alone');
  }
  await worker.terminate();
});

test.run();
