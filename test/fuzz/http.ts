import { connect } from 'node:net';
import * as assert from 'uvu/assert';
import { Dinov2Error } from '../../src/errors.ts';
import { Service } from '../../src/serve/index.ts';
import { listen } from '../../src/serve/node.ts';
import { PROBLEMS, type ProblemName } from '../../src/serve/problems.ts';
import { ImageTasks } from '../../src/tasks/index.ts';
import { golden } from '../helpers.ts';
import { type Dice, join, mutate, pick } from './mutate.ts';
import type { Reader } from './readers.ts';

const text = (content: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(content);
const IMAGE = golden('image/images/small.png');
const BASE64 = Buffer.from(IMAGE).toString('base64');

/** Bodies with their types. */
const BODIES: readonly (readonly [type: string, body: Uint8Array])[] = [
  ['image/png', IMAGE],
  ['application/octet-stream', golden('image/images/gray.jpg')],
  ['application/json', text(JSON.stringify({ image: BASE64 }))],
  ['application/json; charset=utf-8', text(JSON.stringify({ image: `data:image/png;base64,${BASE64}` }))],
  ['multipart/form-data; boundary=xyz', form('Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png')],
  ['multipart/form-data; boundary=xyz', form('Content-Disposition: form-data; name="image"; filename="\u00e4"')],
];

function form(header: string): Uint8Array {
  return join(text(`--xyz\r\n${header}\r\n\r\n`), IMAGE, text('\r\n--xyz--\r\n'));
}

const PATHS = ['/embed', '/embed', '/classify', '/embed?pooling=both', '/classify?top=3', '/health', '/openapi.json', '/metrics', '/nope'];
const METHODS = ['POST', 'POST', 'POST', 'GET', 'HEAD', 'PUT', 'OPTIONS'];

/** A request as it goes over a connection: whole, in chunks, or damaged in its header, its body, or anywhere after they were put together. */
function makeRequest(roll: Dice): Uint8Array<ArrayBuffer> {
  const [type, whole] = pick(roll, BODIES);
  const [path, method] = roll(4) ? ['/embed', 'POST'] : [pick(roll, PATHS), pick(roll, METHODS)];
  const body = roll(3) ? whole : mutate(whole, roll);
  const isChunked = roll(4) === 0;
  const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
  const expect = roll(8) ? '' : 'Expect: 100-continue\r\n';
  const header = text(`${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n${expect}${length}\r\nConnection: close\r\n\r\n`);
  const request = join(roll(3) ? header : mutate(header, roll), isChunked ? chunked(body, 1 + roll(200)) : body);
  return roll(3) ? request : mutate(request, roll);
}

function chunked(body: Uint8Array, size: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    pieces.push(text(`${piece.length.toString(16)}\r\n`), piece, text('\r\n'));
  }
  return join(...pieces, text('0\r\n\r\n'));
}

let port: Promise<number> | undefined;
const errors: unknown[] = [];

/** The port of a service with a small model, which does not keep the process alive. */
async function start(): Promise<number> {
  const tasks = await ImageTasks.open(
    {
      'config.json': golden('classify-single-label/config.json'),
      'model.safetensors': golden('classify-single-label/model.safetensors'),
      'preprocessor_config.json': text('{ "image_processor_type": "BitImageProcessor", "size": 28, "crop_size": 28 }'),
    },
    { config: { architectures: ['Dinov2ForImageClassification'] }, limits: { pixels: 1_000_000 } },
  );
  const service = new Service(tasks, { maxBody: 20_000, bodyTime: 500, requestTime: 2000, onError: (error) => errors.push(error) });
  const { url, unref } = await listen(service, { port: 0, headerTime: 1000 });
  unref();
  return Number(new URL(url).port);
}

/** Without an answer for so many times that of one, what was sent is not a whole request: then the client hangs up. */
const PATIENCE = 10;
/** How long an answer takes on this machine, in milliseconds. */
let usual = 10;

/** All that a service sends back. */
async function send(request: Uint8Array): Promise<string> {
  port ??= start();
  const socket = connect(await port, '127.0.0.1');
  socket.setEncoding('latin1');
  let answer = '';
  socket.on('data', (piece) => {
    answer += piece;
  });
  socket.on('error', () => {}); // it may be hung up on
  socket.write(request);
  const begin = performance.now();
  const timer = setTimeout(() => socket.end(), PATIENCE * usual);
  await new Promise((resolve) => socket.on('close', resolve));
  clearTimeout(timer);
  if (answer.startsWith('HTTP/1.1 200')) usual = 0.8 * usual + 0.2 * (performance.now() - begin);
  return answer;
}

/** Checks answers that stand one behind the other, and gives the status of the first. */
function check(all: string): number {
  let first = 0;
  for (let rest = all; rest.length > 0; ) {
    const end = rest.indexOf('\r\n\r\n');
    const [line = '', ...lines] = rest.slice(0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]);
    const header = new Map(lines.map((each) => [each.slice(0, each.indexOf(':')).toLowerCase(), each.slice(each.indexOf(':') + 2)]));
    const length = Number(header.get('content-length') ?? 0);
    const body = rest.slice(end + 4, end + 4 + length);
    assert.ok(end > 0 && status >= 100 && body.length === length, `an answer as it should be: ${JSON.stringify(all.slice(0, 400))}`);
    rest = rest.slice(end + 4 + length);
    if (status === 100) continue;
    first ||= status;
    if (status === 200) continue;
    const isHead = length === 0;
    if (!isHead) checkProblem(status, JSON.parse(Buffer.from(body, 'latin1').toString()));
  }
  return first;
}

function checkProblem(status: number, details: { type: string; status: number; detail: string }): void {
  const name = details.type.split('/').at(-1) as ProblemName;
  assert.is(status, PROBLEMS[name]?.status);
  assert.is(details.status, status);
  assert.is.not(status, 500, details.detail);
  assert.not.match(details.detail, /\n\s+at /);
}

/** Requests over a socket: each is answered, or the connection closed, and the service has no error of its own. */
export const HTTP: Reader = {
  name: 'http',
  make: makeRequest,
  async read(input) {
    const status = check(await send(input));
    assert.equal(errors.splice(0), []);
    if (status !== 200) throw new Dinov2Error(`answered with ${status}`);
  },
};
