import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ProblemError } from '../../src/serve/problems.ts';
import { FairQueue, type Place } from '../../src/serve/queue.ts';

/** What {@link FairQueue.enter} refuses with. */
function refusal(queue: FairQueue, client: string): ProblemError {
  try {
    queue.enter(client);
  } catch (error) {
    assert.instance(error, ProblemError);
    assert.is((error as ProblemError).problem, 'Busy');
    return error as ProblemError;
  }
  throw new Error('expected a refusal');
}

/** Lets all that wait for turns have them, one after the other; the clients in the order of their turns. */
async function served(queue: FairQueue, places: readonly Place[]): Promise<string[]> {
  const order: string[] = [];
  await Promise.all(
    places.map(async (place) => {
      await queue.turn(place);
      assert.is(queue.running, 1);
      order.push(place.client);
      await null;
      queue.leave(place);
    }),
  );
  return order;
}

test('turns go round the clients', async () => {
  const queue = new FairQueue({ concurrency: 1, waiting: 10 });
  const places = ['a', 'a', 'a', 'b', 'c', 'b'].map((client) => queue.enter(client));
  assert.is(queue.waiting, 6);
  assert.equal(await served(queue, places), ['a', 'a', 'b', 'c', 'a', 'b']); // the first has its turn before the others ask
  assert.equal([queue.running, queue.waiting], [0, 0]);
});

test('as many have a turn as may', async () => {
  const queue = new FairQueue({ concurrency: 2, waiting: 2 });
  const places = ['a', 'b', 'c', 'd'].map((client) => queue.enter(client)) as [Place, Place, Place, Place];
  const turns = places.map((place) => queue.turn(place));
  await Promise.all(turns.slice(0, 2));
  assert.equal([queue.running, queue.waiting], [2, 2]);
  queue.leave(places[1]);
  queue.leave(places[1]); // once is enough
  await turns[2];
  assert.equal([queue.running, queue.waiting], [2, 1]);
});

test('more than fit are refused, with the time to come again', async () => {
  const queue = new FairQueue({ concurrency: 1, waiting: 1 });
  const [first] = [queue.enter('a'), queue.enter('b')];
  await queue.turn(first);
  const { message, headers } = refusal(queue, 'c');
  assert.match(message, 'expected a free place in the queue, found 2 requests');
  assert.equal(headers, { 'retry-after': '1' });
  queue.leave(first);
  queue.enter('c');
});

test('a newcomer takes the place of who holds the most, the latest first, and never a turn', async () => {
  const queue = new FairQueue({ concurrency: 1, waiting: 4 });
  const greedy = Array.from({ length: 5 }, () => queue.enter('greedy')) as [Place, Place, Place, Place, Place];
  await queue.turn(greedy[0]);
  refusal(queue, 'greedy');
  queue.enter('b');
  assert.is((greedy[4].signal.reason as ProblemError).problem, 'Busy');
  queue.enter('c');
  assert.ok(greedy[3].signal.aborted);
  refusal(queue, 'c'); // each would have as many as greedy
  assert.equal(
    greedy.map(({ signal }) => signal.aborted),
    [false, false, false, true, true],
  );
  assert.equal([queue.running, queue.waiting], [1, 4]);
});

test('who is not wanted any more gets no turn', async () => {
  const queue = new FairQueue({ concurrency: 1, waiting: 5 });
  const [first, second, third] = ['a', 'a', 'b'].map((client) => queue.enter(client)) as [Place, Place, Place];
  await queue.turn(first);
  const turn = queue.turn(second);
  const gone = new Error('gone');
  second.abort(gone);
  assert.is(await turn.catch((error) => error), gone);
  queue.leave(second);
  const last = queue.turn(third);
  queue.leave(first);
  await last;
  assert.is(queue.running, 1);
  third.abort(gone);
  assert.is(await queue.turn(third).catch((error) => error), gone);
});

test('it is idle when all have left', async () => {
  const queue = new FairQueue({ concurrency: 1, waiting: 5 });
  await queue.idle();
  const places = [queue.enter('a'), queue.enter('b')];
  let isIdle = false;
  const idle = queue.idle().then(() => {
    isIdle = true;
  });
  queue.abortAll(new Error('over'));
  for (const place of places) {
    assert.ok(place.signal.aborted);
    await null;
    assert.not(isIdle);
    queue.leave(place);
  }
  await idle;
});

test('random comings and goings leave no place taken, and none in two states', async () => {
  const queue = new FairQueue({ concurrency: 3, waiting: 7 });
  let [most, done, refused, seed] = [0, 0, 0, 1];
  const roll = (limit: number): number => {
    seed = (seed * 48271) % 2147483647;
    return seed % limit;
  };
  const one = async (client: string): Promise<void> => {
    let place: Place;
    try {
      place = queue.enter(client);
    } catch {
      refused += 1;
      return;
    }
    try {
      for (let n = roll(5); n > 0; n--) await null;
      await queue.turn(place);
      most = Math.max(most, queue.running);
      for (let n = roll(20); n > 0; n--) await null;
      if (roll(10) === 0) place.abort(new Error('gone'));
      done += 1;
    } catch {
      refused += 1;
    } finally {
      queue.leave(place);
    }
  };
  const all: Promise<void>[] = [];
  for (let n = 0; n < 2000; n++) {
    all.push(one('abcde'[roll(5)] as string));
    assert.ok(queue.running + queue.waiting <= 10);
    for (let pause = roll(6); pause > 0; pause--) await null;
  }
  await Promise.all(all);
  assert.equal([queue.running, queue.waiting, most, done + refused], [0, 0, 3, 2000]);
  assert.ok(done > 100 && refused > 100, `${done} done, ${refused} refused`);
});

test.run();
