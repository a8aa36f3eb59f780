import { type ChildProcess, spawn } from 'node:child_process';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Running {
  readonly url: string;
  readonly child: ChildProcess;
  /** All that stderr has had so far. */
  readonly stderr: string;
  /** How it ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * Starts `dinov2 serve` on a free port in a process of its own, as this process was started: from the sources.
 * @throws {Error} with what it says when it ends before it can be reached
 */
export async function startService(
  args: readonly string[],
  { execArgv = process.execArgv, program = 'src/cli/main.ts' } = {},
): Promise<Running> {
  const child = spawn(process.execPath, [...execArgv, program, 'serve', '--port', '0', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  );
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr?.on('data', (piece) => {
      stderr += piece;
      const [, found] = /^dinov2: (http:\S+) answers/m.exec(stderr) ?? [];
      if (found) resolve(found);
    });
    void ended.then(({ code }) => reject(new Error(`${code}: ${stderr}`)));
  });
  return {
    url,
    child,
    get stderr() {
      return stderr;
    },
    ended,
  };
}

/** Runs the body on a service, which then is told to end, if it has not, and has to. */
export async function withService(args: readonly string[], body: (service: Running) => Promise<void>): Promise<void> {
  const service = await startService(args);
  try {
    await body(service);
  } finally {
    service.child.kill('SIGTERM');
    await service.ended;
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** In milliseconds. */
  readonly time: number;
}

/** Posts an image, from one of the addresses of this machine, over a connection of its own. */
export function postImage(url: string, image: Uint8Array, { from = '127.0.0.1' } = {}): Promise<Answer> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'image/png', 'content-length': image.length };
    const sent = request(url, { method: 'POST', headers, localAddress: from, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => {
        body += piece;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode as number, headers: response.headers, body, time: performance.now() - start }),
      );
    });
    sent.on('error', reject);
    sent.end(image);
  });
}

/** The numbers of /metrics, by name and labels. */
export async function readMetrics(url: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}
