import { connect, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArgumentError, HostError } from '../../src/errors.ts';
import type { ServiceOptions } from '../../src/serve/index.ts';
import { type Listening, type ListenOptions, listen } from '../../src/serve/node.ts';
import { comesTrue, refuses } from '../helpers.ts';
import { gate, png, serviceOf, soon, withTasks } from './helpers.ts';

interface Place {
  readonly url: string;
  readonly port: number;
  /** Opens a connection, writes, and gives all that comes until the other side closes it. */
  raw(...pieces: (string | Uint8Array)[]): Promise<string>;
  open(): Promise<Socket>;
  readonly service: ReturnType<typeof serviceOf>;
  readonly listening: Listening;
}

async function withServer(
  body: (place: Place) => Promise<void>,
  { tasks: own, ...options }: ServiceOptions & ListenOptions & { tasks?: Parameters<typeof serviceOf>[0] } = {},
): Promise<void> {
  const { port = 0, host, headerTime, maxConnections, ...limits } = options;
  await withTasks(async (tasks) => {
    const service = serviceOf(own ?? tasks, limits);
    const listening = await listen(service, {
      port,
      ...(host && { host }),
      ...(headerTime && { headerTime }),
      ...(maxConnections && { maxConnections }),
    });
    const { port: found } = new URL(listening.url);
    const open = (): Promise<Socket> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(found), '127.0.0.1', () => resolve(socket));
        socket.once('error', reject);
      });
    const raw: Place['raw'] = async (...pieces) => {
      const socket = await open();
      const text = closed(socket);
      for (const piece of pieces) {
        if (!socket.writable) break;
        socket.write(piece);
        await soon();
      }
      return text;
    };
    try {
      await body({ url: listening.url, port: Number(found), raw, open, service, listening });
    } finally {
      await listening.close();
    }
    assert.equal(service.errors, []);
  });
}

/** What comes over a connection until it is closed. */
function closed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (piece) => {
      text += piece;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

const IMAGE = { method: 'POST', headers: { 'content-type': 'image/png' } } as const;
const HEAD = 'POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n';

test('requests over a socket are answered, with a length', async () => {
  await withServer(async ({ url, service, listening }) => {
    assert.is(listening.url, url);
    const response = await fetch(`${url}/embed`, { ...IMAGE, body: png() });
    const text = await response.text();
    assert.is(response.status, 200);
    assert.is(response.headers.get('content-length'), String(text.length));
    assert.is(JSON.parse(text).embedding.length, 8);
    assert.is((await fetch(`${url}/health`, { method: 'HEAD' })).status, 200);
    assert.not(service.isClosing);
  });
});

test('a picture is answered the same over a socket as by the library, from many at once', async () => {
  await withTasks(async (tasks) => {
    await withServer(
      async ({ url }) => {
        await Promise.all(
          Array.from({ length: 30 }, async (_, seed) => {
            const answer = await fetch(`${url}/embed`, { ...IMAGE, body: png(seed + 1) });
            assert.equal(await answer.json(), await tasks.run('embed', png(seed + 1)));
          }),
        );
      },
      { tasks },
    );
  });
});

test('what is no HTTP gets problem details, and the connection is closed', async () => {
  await withServer(async ({ raw }) => {
    for (const [text, status] of [
      ['nonsense\r\n\r\n', 400],
      ['GET /health HTTP/1.1\r\nConnection: close\r\n\r\n', 400], // no host
      [`GET /health HTTP/1.1\r\nHost: a\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, 431],
      ['POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello', 400],
      ['POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello', 400],
      [`${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
      ['GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 400],
      ['TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 400],
    ] as const) {
      const answer = await raw(text);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 60));
      assert.match(answer, `"status":${status}`);
    }
    assert.match(await raw('GET http://elsewhere/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), '{"status":"ok"}');
    assert.match(await raw('GET //embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'), 'HTTP/1.1 404');
  });
});

test('who is slow with the header or the body is told so, and hung up on', async () => {
  await withServer(
    async ({ raw, open, url }) => {
      const silent = closed(await open());
      const header = raw('POST /embed HTTP/1.1\r\nHost:');
      const trickle = raw(`${HEAD}Content-Length: 1000\r\n\r\n`, ...Array.from({ length: 100 }, () => 'x'));
      assert.match(await trickle, /^HTTP\/1.1 408 [\s\S]*RequestTimeout[\s\S]*0.1 s/);
      assert.match(await header, /^HTTP\/1.1 408 [\s\S]*RequestTimeout/);
      await silent;
      assert.is((await fetch(`${url}/embed`, { ...IMAGE, body: png() })).status, 200);
    },
    { headerTime: 100, bodyTime: 100 },
  );
});

test('a body that is too large is refused while it comes, and who sends on gets to read why', async () => {
  await withServer(
    async ({ open }) => {
      const socket = await open();
      const answer = closed(socket);
      socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      const piece = `${(10_000).toString(16)}\r\n${'x'.repeat(10_000)}\r\n`;
      const timer = setInterval(() => socket.write(piece), 1); // for ever
      assert.match(await answer, /^HTTP\/1.1 413 [\s\S]*BodyTooLarge/);
      clearInterval(timer);
    },
    { maxBody: 100_000, bodyTime: 500 },
  );
});

test('who has more to send than is taken can send it all before the answer is read', async () => {
  await withServer(
    async ({ port }) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const errors: Error[] = [];
      socket.on('error', (error) => errors.push(error));
      const answer = closed(socket);
      socket.write(`${HEAD}Content-Length: 1000000\r\n\r\n`);
      for (let i = 0; i < 10; i++) {
        socket.write(new Uint8Array(100_000));
        await new Promise((resolve) => setTimeout(resolve, 10)); // the answer has come meanwhile, and stays unread
      }
      socket.end();
      assert.match(await answer, /^HTTP\/1.1 413 [\s\S]*BodyTooLarge/);
      assert.equal(errors, []);
    },
    { maxBody: 1000 },
  );
});

test('a client that asks before it sends is told to send, or why not', async () => {
  await withServer(async ({ raw }) => {
    const expect = 'Expect: 100-continue\r\nConnection: close\r\n';
    const image = png();
    const answer = await raw(`${HEAD}${expect}Content-Length: ${image.length}\r\n\r\n`, image);
    assert.match(answer, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
    assert.match(await raw(`${HEAD}${expect}Content-Length: 99999999\r\n\r\n`), /^HTTP\/1.1 413 /);
  });
});

test('the work for a client that hangs up is given up', async () => {
  const door = gate();
  await withServer(
    async ({ open, raw, service }) => {
      const socket = await open();
      socket.write(`${HEAD}Content-Length: 1\r\n\r\na`);
      assert.ok(await comesTrue(() => door.seen > 0));
      socket.destroy();
      const next = raw(`${HEAD}Connection: close\r\nContent-Length: 2\r\n\r\nbb`);
      assert.ok(await comesTrue(() => door.seen > 1)); // it is its turn
      door.open(); // the first, which nobody waits for
      door.open();
      assert.match(await next, '{"embedding":[2]}');
      const broken = await open();
      broken.write(`${HEAD}Content-Length: 100\r\n\r\na`);
      await soon(20);
      broken.resetAndDestroy();
      await soon(20);
      const metrics = await (await service.fetch(new Request('http://localhost/metrics'))).text();
      assert.match(metrics, 'dinov2_requests_total{path="/embed",status="499"} 2');
      assert.match(metrics, 'dinov2_requests_waiting 0');
    },
    { tasks: door.answerer },
  );
});

test('more connections than may be are closed, and those that are served go on', async () => {
  await withServer(
    async ({ open, url }) => {
      const held = [await open(), await open()];
      await soon();
      const third = await open().then(closed, () => '');
      assert.is(third, '');
      for (const socket of held) socket.destroy();
      await soon(50);
      assert.is((await fetch(`${url}/health`)).status, 200);
    },
    { maxConnections: 2 },
  );
});

test('closing finishes what was accepted, refuses what comes, and frees the port', async () => {
  const door = gate();
  await withServer(
    async ({ url, listening }) => {
      const kept = fetch(`${url}/embed`, { ...IMAGE, body: 'a' });
      assert.ok(await comesTrue(() => door.seen > 0));
      const over = listening.close();
      assert.is((await fetch(`${url}/embed`, { ...IMAGE, body: 'a' })).status, 503);
      door.open();
      const answer = await kept;
      assert.equal(await answer.json(), { embedding: [1] });
      await over;
      await refuses(() => fetch(`${url}/health`), TypeError, 'fetch failed');
      const again = await listen(serviceOf(door.answerer), { port: Number(new URL(url).port) });
      await again.close();
    },
    { tasks: door.answerer },
  );
});

test('a port that is taken is an error, and so is an option that is none', async () => {
  await withServer(async ({ port }) => {
    await refuses(() => listen(serviceOf(gate().answerer), { port }), HostError, `127.0.0.1:${port}: expected a free port`);
    await refuses(() => listen(serviceOf(gate().answerer), { ports: 1 } as never), ArgumentError, '"ports"');
    await refuses(() => listen(serviceOf(gate().answerer), { headerTime: 0 }), ArgumentError, 'headerTime');
  });
});

test.run();
