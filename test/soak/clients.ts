import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { deflateSync } from 'node:zlib';
import type { ModelSource } from '../../src/index.ts';
import { ImageTasks } from '../../src/tasks/index.ts';
import { type Dice, pick } from '../fuzz/mutate.ts';
import { pngFile } from '../reference/png.ts';

/** How a request went. */
export interface Outcome {
  /** What was asked, and the status of the answer. */
  readonly kind: string;
  /** In milliseconds. */
  readonly time: number;
  /** What must not be. */
  readonly problem?: string;
}

interface Photo {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The answers of the library. */
  readonly embed: string;
  readonly classify: string;
}

const NAMES = ['astronaut.png', 'chelsea.png', 'coffee.png', 'rocket.jpg'];
export const PHOTOS_FOLDER = new URL('../../examples/photos/', import.meta.url).pathname;

/** The photographs that come along, with what the library says of them. */
export async function readPhotos(source: ModelSource): Promise<Photo[]> {
  using tasks = await ImageTasks.open(source);
  const photos: Photo[] = [];
  for (const name of NAMES) {
    const bytes = new Uint8Array(readFileSync(PHOTOS_FOLDER + name));
    const [embed, classify] = [await tasks.run('embed', bytes, { pooling: 'both' }), await tasks.run('classify', bytes, { top: 3 })];
    photos.push({ bytes, embed: JSON.stringify(embed), classify: JSON.stringify(classify) });
  }
  return photos;
}

const BOMB = pngFile([
  ['IHDR', Uint8Array.of(0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10, 1, 0, 0, 0, 0)], // 10000 x 10000, a bit each
  ['IDAT', deflateSync(new Uint8Array(10_000 * 1251))],
  ['IEND', new Uint8Array()],
]);

type Ask = (url: string, photos: readonly Photo[], roll: Dice) => Promise<Outcome>;

async function ask(
  kind: string,
  url: string,
  init: RequestInit,
  expected: { statuses: readonly number[]; body?: string },
): Promise<Outcome> {
  const start = performance.now();
  const response = await fetch(url, init);
  const body = await response.text();
  const time = performance.now() - start;
  const isExpected = expected.statuses.includes(response.status);
  const isRight = response.status !== 200 || expected.body === undefined || body === expected.body;
  const problem = isExpected && isRight ? undefined : `${kind}: ${response.status} ${body.slice(0, 300)}`;
  return { kind: `${kind} ${response.status}`, time, ...(problem !== undefined && { problem }) };
}

const post = (body: BodyInit, type?: string): RequestInit => ({ method: 'POST', body, ...(type && { headers: { 'content-type': type } }) });
const refused = (status: number): { statuses: number[] } => ({ statuses: [status, 503] });

const embedPhoto: Ask = (url, photos, roll) => {
  const { bytes, embed } = pick(roll, photos);
  return ask('embed', `${url}/embed?pooling=both`, post(bytes, 'image/png'), { statuses: [200, 503], body: embed });
};

const classifyForm: Ask = (url, photos, roll) => {
  const { bytes, classify } = pick(roll, photos);
  const form = new FormData();
  form.set('image', new Blob([bytes]), 'a.png');
  return ask('classify (form)', `${url}/classify?top=3`, post(form), { statuses: [200, 503], body: classify });
};

const classifyJson: Ask = (url, photos, roll) => {
  const { bytes, classify } = pick(roll, photos);
  const body = JSON.stringify({ image: Buffer.from(bytes).toString('base64') });
  return ask('classify (JSON)', `${url}/classify?top=3`, post(body, 'application/json'), { statuses: [200, 503], body: classify });
};

/** Writes something over a connection of its own, and takes what comes until it is closed by the other side, or after `leave` by this one. */
async function raw(
  kind: string,
  url: string,
  pieces: readonly (string | Uint8Array)[],
  { pause = 0, leave }: { pause?: number; leave?: number },
): Promise<Outcome> {
  const start = performance.now();
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.setEncoding('latin1');
  socket.on('data', (piece) => {
    answer += piece;
  });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const timer = leave === undefined ? undefined : setTimeout(() => socket.resetAndDestroy(), leave);
  for (const piece of pieces) {
    if (socket.destroyed || answer) break;
    socket.write(piece);
    if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
  }
  await closed;
  clearTimeout(timer);
  const status = /^HTTP\/1.1 (\d+)/.exec(answer)?.[1] ?? 'none';
  return { kind: `${kind} ${leave === undefined ? status : ''}`.trim(), time: performance.now() - start };
}

const HEAD = 'POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n';

/** What the clients ask, more often what stands more often. */
export const ASKS: readonly Ask[] = [
  ...[embedPhoto, embedPhoto, embedPhoto, embedPhoto, classifyForm, classifyForm, classifyJson],
  (url, photos, roll) => ask('search', `${url}/search`, post(pick(roll, photos).bytes, 'image/png'), { statuses: [200, 503] }),
  (url) => ask('health', `${url}/health`, {}, { statuses: [200] }),
  (url) => ask('health', `${url}/health`, {}, { statuses: [200] }),
  (url) => ask('metrics', `${url}/metrics`, {}, { statuses: [200] }),
  (url) => ask('openapi.json', `${url}/openapi.json`, {}, { statuses: [200] }),
  (url) => ask('no path', `${url}/nope`, post('x'), { statuses: [404] }),
  (url) => ask('no method', `${url}/embed`, {}, { statuses: [405] }),
  (url) => ask('no image', `${url}/embed`, post('GIF89a', 'image/gif'), refused(422)),
  (url, photos, roll) => ask('cut off', `${url}/embed`, post(pick(roll, photos).bytes.slice(0, 50_000), 'image/png'), refused(422)),
  (url) => ask('bomb', `${url}/embed`, post(BOMB, 'image/png'), refused(422)),
  (url) => ask('no JSON', `${url}/embed`, post('{"image":', 'application/json'), refused(400)),
  (url) => ask('no form', `${url}/embed`, post('--x', 'multipart/form-data; boundary=x'), refused(400)),
  (url) => ask('too large', `${url}/embed`, post(new Uint8Array(3 * 2 ** 20), 'image/png'), refused(413)),
  (url) => raw('slow header', url, ['POST /embed HTTP/1.1\r\nHost:'], {}),
  (url) => raw('endless body', url, [`${HEAD}Content-Length: 100000\r\n\r\n`, ...Array.from({ length: 100 }, () => 'x')], { pause: 100 }),
  (url, photos, roll) => {
    const { bytes } = pick(roll, photos);
    return raw('gone meanwhile', url, [`${HEAD}Content-Length: ${bytes.length}\r\n\r\n`, bytes], { leave: 1 + roll(200) });
  },
  (url, photos, roll) => {
    const { bytes } = pick(roll, photos);
    return raw('gone in the body', url, [`${HEAD}Content-Length: ${bytes.length}\r\n\r\n`, bytes.subarray(0, 1000)], {
      leave: 1 + roll(50),
    });
  },
];

/** More at once than the service takes. */
export async function burst(url: string, photos: readonly Photo[], roll: Dice): Promise<Outcome[]> {
  return Promise.all(
    Array.from({ length: 60 }, async () => {
      const { kind, ...rest } = await embedPhoto(url, photos, roll);
      return { kind: `burst ${kind.split(' ').at(-1)}`, ...rest };
    }),
  );
}
