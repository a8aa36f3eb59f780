import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Queue, QueueEvents } from 'bullmq';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Whether the Redis of this machine can be started. */
export function hasRedis() {
  try {
    return execFileSync('redis-server', ['--version'], { encoding: 'utf8' }).startsWith('Redis server');
  } catch {
    return false;
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Waits until something is so. */
export async function until(what, isSo, seconds = 120) {
  for (const end = performance.now() + seconds * 1000; ; ) {
    if (await isSo()) return;
    if (performance.now() > end) throw new Error(`it did not come: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Workers that have not ended. */
const workers = new Set();

/** A Redis of its own in an empty folder, gone afterwards with all workers. */
export async function withRedis(body) {
  const folder = mkdtempSync(join(tmpdir(), 'dinov2-redis-'));
  const port = await freePort();
  const redis = spawn('redis-server', ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    redis.stdout.on('data', (text) => {
      said += text;
    });
    await until('Redis', () => said.includes('Ready to accept connections'));
    await body({ url: `redis://127.0.0.1:${port}`, folder });
  } finally {
    for (const worker of workers) await worker.kill('SIGKILL');
    const ended = new Promise((resolve) => redis.once('exit', resolve));
    if (redis.exitCode === null) {
      redis.kill();
      await ended;
    }
    rmSync(folder, { recursive: true });
  }
}

/** A queue, and what has happened in it: by job, how often it was completed, failed, and returned from a worker that was gone. */
export async function withQueue(url, name, body) {
  const connection = { url };
  const queue = new Queue(name, { connection });
  const events = new QueueEvents(name, { connection, lastEventId: '0-0' });
  const counts = { completed: new Map(), failed: new Map(), stalled: new Map() };
  for (const [event, map] of Object.entries(counts)) events.on(event, ({ jobId }) => map.set(jobId, (map.get(jobId) ?? 0) + 1));
  try {
    await events.waitUntilReady();
    await body({ queue, counts });
  } finally {
    await events.close();
    await queue.close();
  }
}

/** `dinov2 worker`, in a process of its own. */
export class WorkerProcess {
  stdout = '';
  stderr = '';
  #child;
  #ended;

  constructor(args, { cwd = HERE } = {}) {
    this.#child = spawn(process.execPath, [COMMAND, 'worker', ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const name of ['stdout', 'stderr']) {
      this.#child[name].setEncoding('utf8').on('data', (text) => {
        this[name] += text;
      });
    }
    workers.add(this);
    this.#ended = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        workers.delete(this);
        resolve({ code, signal });
      }),
    );
  }

  /** How many jobs it has told of. */
  get done() {
    return this.stdout.split('\n').length - 1;
  }

  ready() {
    return until(`a worker: ${this.stderr}`, () => {
      if (this.#child.exitCode !== null) throw new Error(`the worker has ended: ${this.stderr}`);
      return this.stderr.includes('waiting for jobs');
    });
  }

  /** Sends a signal; resolves when it has ended. */
  async kill(signal) {
    this.#child.kill(signal);
    return this.#ended;
  }

  ended() {
    return this.#ended;
  }
}
