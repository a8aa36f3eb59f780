import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Job } from './engine.ts';

export interface Memory {
  /** Bytes. */
  readonly resident: number;
  readonly peak: number;
}

export type Question =
  | { readonly what: 'load'; readonly engine: string; readonly path: string; readonly job: Job }
  | { readonly what: 'forward'; readonly pixels: Float32Array<ArrayBuffer> }
  | { readonly what: 'run'; readonly times: number }
  | { readonly what: 'memory' };

export interface Answer {
  readonly milliseconds?: number;
  readonly output?: Float32Array | undefined;
  readonly memory?: Memory;
  readonly error?: string;
}

const PROGRAM = fileURLToPath(new URL('../dist/child.js', import.meta.url));

/** Compiles the program of the child processes: a loader of TypeScript in them would count as memory of the engine. */
export async function buildChild(): Promise<void> {
  const entry = fileURLToPath(new URL('./child.ts', import.meta.url));
  await build({
    entryPoints: [entry],
    outfile: PROGRAM,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    packages: 'external',
  });
}

/** An engine in a process of its own, which runs when it is asked to: so engines can be timed in turn although each is alone with its memory and its threads. */
export class EngineProcess {
  /** Milliseconds from the start of the process to its first result. */
  readonly first: number;
  /** The first result. */
  readonly output: Float32Array;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, { milliseconds = Number.NaN, output = new Float32Array(0) }: Answer) {
    this.#child = child;
    this.first = milliseconds;
    this.output = output;
  }

  /** Starts, loads, and runs once. @throws {Error} with the engine's own message, or saying how the process ended */
  static async start(engine: string, path: string, job: Job): Promise<EngineProcess> {
    const child = fork(PROGRAM, { execArgv: [], serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    try {
      return new EngineProcess(child, await ask(child, { what: 'load', engine, path, job }));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** pixel_values to last_hidden_state. */
  async forward(pixels: Float32Array<ArrayBuffer>): Promise<Float32Array> {
    return (await ask(this.#child, { what: 'forward', pixels })).output as Float32Array;
  }

  /** Milliseconds that a run takes on the pixels of the first, the last of so many that follow one another. */
  async run(times = 1): Promise<number> {
    return (await ask(this.#child, { what: 'run', times })).milliseconds ?? Number.NaN;
  }

  async memory(): Promise<Memory> {
    return (await ask(this.#child, { what: 'memory' })).memory as Memory;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL'); // there is nothing to lose, and worker threads need not be waited for
    await once(this.#child, 'exit');
  }
}

async function ask(child: ChildProcess, question: Question): Promise<Answer> {
  const answer = await new Promise<Answer>((resolve, reject) => {
    const ended = (code: number | null, signal: string | null): void => {
      reject(new Error(`the process ended with ${signal ?? `code ${code}`}${said}`));
    };
    let said = '';
    child.stderr?.on('data', (text) => {
      const lines = String(text).trim().split('\n');
      said = `: ${lines.find((line) => line.includes('Error')) ?? lines.at(-1)}`;
    });
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      child.stderr?.removeAllListeners('data').resume();
      resolve(message as Answer);
    });
    child.send(question, (error) => error && reject(error));
  });
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer;
}
