import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { readIndex } from '../../src/cli/indexFile.ts';
import { HubServer, withEnvironment } from '../hub/server.ts';
import { type Action, act, type Outcome } from './act.ts';
import { onDisk, type Plan } from './disk.ts';
import type { Report } from './report.ts';
import { differencesIn, type Expected, lossesIn, snapshotOf } from './snapshot.ts';
import { fill, hubModel, type Write } from './writes.ts';

/** As deep as src/cli, so that it finds what stands beside src. */
const CHILD = fileURLToPath(new URL(`../../node_modules/.cache/dinov2-faults-${process.pid}.mjs`, import.meta.url));
/** A process that says nothing for so long hangs. In milliseconds. */
const PATIENCE = 120_000;

/** A write, ready to be interrupted as often as one likes. */
interface Prepared {
  readonly write: Write;
  /** To be copied. */
  readonly folder: string;
  readonly expected: Expected;
  /** Operations on the disk that it consists of: of each whether it writes bytes. */
  readonly operations: readonly boolean[];
  /** From the first to its end, in milliseconds. */
  readonly duration: number;
}

/** Interrupts writes, and sees what is left and whether the next run makes it good. */
export class Interrupter {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dinov2-faults-'));
  readonly #hub: HubServer;
  readonly #report: Report;
  #count = 0;

  private constructor(hub: HubServer, report: Report) {
    this.#hub = hub;
    this.#report = report;
  }

  /** Models and pictures. */
  get things(): string {
    return join(this.#folder, 'things');
  }

  static async start(report: Report): Promise<Interrupter> {
    const own = new Interrupter(await HubServer.start(), report);
    const entry = fileURLToPath(new URL('./child.ts', import.meta.url));
    buildSync({
      ...{ entryPoints: [entry], outfile: CHILD, bundle: true, packages: 'external', ignoreAnnotations: true },
      ...{ platform: 'node', format: 'esm', target: 'node20', conditions: ['dinov2-source'], logLevel: 'error' },
    });
    mkdirSync(own.things);
    await fill(own.things);
    const model = join(own.#folder, 'hub');
    await hubModel(model);
    const files = Object.fromEntries(readdirSync(model).map((name) => [name, readFileSync(join(model, name))]));
    own.#hub.push('someone/encoder', files);
    return own;
  }

  async stop(): Promise<void> {
    await this.#hub.stop();
    rmSync(this.#folder, { recursive: true, force: true });
    rmSync(CHILD, { force: true });
  }

  /** Makes what was there before, and what is to be there after, by a run that nothing interrupts. */
  async prepare(write: Write): Promise<Prepared> {
    const folder = this.#copy(this.things);
    for (const action of write.before ?? []) checkSuccess(write.name, await this.#actHere(action, folder));
    write.change?.(folder);
    const before = snapshotOf(folder);
    const whole = this.#copy(folder);
    const { operations, duration } = await this.#dryRun(write, whole);
    return { write, folder, expected: { before, after: snapshotOf(whole), sets: write.sets ?? [] }, operations, duration };
  }

  /** SIGKILL before each operation on the disk, and after half of the bytes of each that writes any. */
  async killAtEach(prepared: Prepared, { every = 1 }: { every?: number } = {}): Promise<void> {
    for (const at of pointsOf(prepared, every)) {
      for (const what of prepared.operations[at] ? (['kill', 'half'] as const) : (['kill'] as const)) {
        await this.#interrupt(prepared, `SIGKILL at each operation on the disk`, `operation ${at}, ${what}`, async (folder) => {
          const { end } = this.#start(prepared.write.action, folder, { at, what });
          return (await end) === 'SIGKILL';
        });
      }
    }
  }

  /** SIGKILL from outside, at moments that `next` gives: from 0 to 1. */
  async killAtMoments(prepared: Prepared, times: number, next: () => number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const moment = next() * prepared.duration;
      await this.#interrupt(prepared, 'SIGKILL at a random moment', `after ${moment.toFixed(1)} ms`, async (folder) => {
        const { child, begun, end } = this.#start(prepared.write.action, folder);
        await begun;
        await new Promise((resolve) => setTimeout(resolve, moment));
        child.kill('SIGKILL');
        return (await end) === 'SIGKILL';
      });
    }
  }

  /** Errors of the disk at each operation, in this process. */
  async failAtEach(prepared: Prepared, { every = 1 }: { every?: number } = {}): Promise<void> {
    const names = { full: 'disk full from an operation on', fails: 'one operation fails', gone: 'disk gone from an operation on' } as const;
    for (const [what, name] of Object.entries(names) as ['full' | 'fails' | 'gone', string][]) {
      for (const at of pointsOf(prepared, every)) {
        await this.#interrupt(prepared, name, `operation ${at}`, (folder, losses) => {
          return this.#failHere(prepared, folder, losses, (body) => onDisk({ at, what }, body).then(({ result }) => result));
        });
      }
    }
  }

  /** A real disk that is full, of sizes from what is there to what is needed. */
  async fillDisk(prepared: Prepared, sizes: readonly number[]): Promise<void> {
    const fault = 'a disk that is full (tmpfs)';
    for (const size of sizes) {
      const mounted = this.#mount(fault, prepared.folder, size);
      if (!mounted) return;
      await this.#interrupt(prepared, fault, `${size} bytes free`, (folder, losses) => this.#failHere(prepared, folder, losses), mounted);
    }
  }

  /** A real disk that cannot be written. */
  async lockDisk(prepared: Prepared): Promise<void> {
    const fault = 'a disk that is read-only (tmpfs)';
    const mounted = this.#mount(fault, prepared.folder, 64 * 2 ** 20, 'ro');
    if (mounted) await this.#interrupt(prepared, fault, 'all of it', (folder, losses) => this.#failHere(prepared, folder, losses), mounted);
  }

  /**
   * One fault: `inject` gives whether it took place. Then nothing may be lost, and the same again, without fault, has to give the result and leave
   * nothing else.
   */
  async #interrupt(
    { write, folder: template, expected }: Prepared,
    fault: string,
    where: string,
    inject: (folder: string, losses: string[]) => Promise<boolean>,
    disk?: Disk,
  ): Promise<void> {
    const folder = disk?.folder ?? this.#copy(template);
    const losses: string[] = [];
    try {
      if (!(await inject(folder, losses))) return;
      losses.push(...lossesIn(folder, expected), ...leftOpen(folder));
      disk?.mend();
      age(folder);
      losses.push(...(await this.#again(write, folder, expected)));
      this.#report.add(fault, `${write.name}, ${where}`, losses);
    } finally {
      if (disk) disk.unmount();
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Runs the write in this process under a fault: it has to say what is wrong, unless it does not matter. */
  async #failHere(
    { write, expected }: Prepared,
    folder: string,
    losses: string[],
    under: (body: () => Promise<Outcome>) => Promise<Outcome> = (body) => body(),
  ): Promise<boolean> {
    const { code, stderr } = await this.#actHere(write.action, folder, under);
    if (code === 0) {
      const differences = differencesIn(folder, expected.after).filter((difference) => !this.#isOwn(difference));
      if (differences.length === 0) return false;
      losses.push(...differences.map((difference) => `success was reported, but ${difference}`));
    } else if (code !== 1 || /unexpected error|TypeError|undefined/.test(stderr)) losses.push(`the error is ${stderr.trim()}`);
    else if (!/expected .* found /.test(stderr)) losses.push(`the error does not say what is wrong: ${stderr.trim()}`);
    return true;
  }

  /** The next run: it goes on with what is finished, succeeds and clears away. */
  async #again(write: Write, folder: string, { after }: Expected): Promise<string[]> {
    const finished = await indexedIn(write, folder);
    const begun = write.isDownload ? bytesBegun(folder) : 0;
    const asked = this.#hub.asked.length;
    let outcome = await this.#actHere(write.action, folder);
    if (outcome.code !== 0 && write.again && /overwrite/.test(outcome.stderr)) outcome = await this.#actHere(write.again, folder);
    if (outcome.code !== 0) return [`the next run fails: ${outcome.stderr.trim()}`];
    const losses = differencesIn(folder, after).filter((difference) => !this.#isOwn(difference));
    if (finished !== undefined && !write.name.includes('--rebuild')) {
      const { images, added } = JSON.parse(outcome.stdout) as { images: number; added: number };
      if (added !== images - finished) losses.push(`${finished} of ${images} images were finished, but ${added} are embedded again`);
    }
    const isWhole = ({ path, range }: { path: string; range: string | undefined }): boolean =>
      /^\/content\/.*\.safetensors$/.test(path) && !range;
    if (begun > LARGE && this.#hub.asked.slice(asked).some(isWhole)) {
      losses.push(`${begun} bytes were there, but were loaded again`);
    }
    return losses;
  }

  /** What this process could not clear away because of the fault, it leaves until it has ended. */
  #isOwn(difference: string): boolean {
    return difference.includes(`.${process.pid}.`) && difference.endsWith('.tmp was left behind');
  }

  async #dryRun(write: Write, folder: string): Promise<Pick<Prepared, 'operations' | 'duration'>> {
    const { begun, end, said } = this.#start(write.action, folder);
    await begun;
    const start = performance.now();
    await end;
    const outcome = said.at(-1) as Outcome & Pick<Prepared, 'operations'>;
    checkSuccess(write.name, outcome);
    return { operations: outcome.operations, duration: performance.now() - start };
  }

  #start(action: Action, folder: string, plan?: Plan): Started {
    const child = fork(CHILD, [JSON.stringify({ action, plan })], {
      cwd: folder,
      execArgv: [],
      env: { ...process.env, ...this.#environment(folder) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      timeout: PATIENCE,
    });
    const said: unknown[] = [];
    const end = once(child, 'exit').then(([code, signal]) => signal ?? code);
    const begun = new Promise<void>((resolve) => {
      child.on('message', (message) => {
        said.push(message);
        resolve();
      });
      void end.then(() => resolve());
    });
    return { child, said, begun, end };
  }

  async #actHere(
    action: Action,
    folder: string,
    under: (body: () => Promise<Outcome>) => Promise<Outcome> = (body) => body(),
  ): Promise<Outcome> {
    const from = process.cwd();
    let outcome: Outcome | undefined;
    process.chdir(folder);
    try {
      await withEnvironment(this.#environment(folder), async () => {
        outcome = await under(() => act(action));
      });
    } finally {
      process.chdir(from);
    }
    return outcome as unknown as Outcome;
  }

  #environment(folder: string): Record<string, string> {
    return { HF_ENDPOINT: this.#hub.url, HF_HOME: join(folder, 'home') };
  }

  #copy(from: string): string {
    const folder = join(this.#folder, String(this.#count++));
    cpSync(from, folder, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    return folder;
  }

  /** A disk of its own with a copy of the folder and so many bytes free, or undefined, which is reported. */
  #mount(fault: string, from: string, free: number, mode?: 'ro'): Disk | undefined {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) {
      this.#report.skip(fault, 'needs Linux and root');
      return undefined;
    }
    const folder = join(this.#folder, String(this.#count++));
    mkdirSync(folder);
    const mount = (...args: string[]): void => void execFileSync('mount', [...args, folder], { stdio: 'pipe' });
    try {
      mount('-t', 'tmpfs', '-o', 'size=64m', 'none');
    } catch (error) {
      this.#report.skip(fault, `mount does not work: ${(error as Error).message.trim()}`);
      return undefined;
    }
    cpSync(from, folder, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    const used = Number(execFileSync('df', ['-B1', '--output=used', folder], { encoding: 'utf8' }).split('\n')[1]);
    mount('-o', mode === 'ro' ? 'remount,ro' : `remount,size=${used + free}`);
    return {
      folder,
      mend: () => mount('-o', 'remount,rw,size=64m'),
      unmount: () => void execFileSync('umount', ['--lazy', folder]),
    };
  }
}

/** A process that makes a file. */
interface Started {
  readonly child: ChildProcess;
  readonly said: readonly unknown[];
  /** Its first operation on the disk. */
  readonly begun: Promise<void>;
  /** The signal that ended it, or its exit code. */
  readonly end: Promise<unknown>;
}

interface Disk {
  readonly folder: string;
  /** Makes it writable and large. */
  mend(): void;
  unmount(): void;
}

function checkSuccess(name: string, { code, stderr }: Pick<Outcome, 'code' | 'stderr'>): void {
  if (code !== 0) throw new Error(`${name}: expected it to succeed without a fault, found: ${stderr}`);
}

/** Operations at which something goes wrong: all, but of a long row of them a part. */
function pointsOf({ operations: { length } }: Prepared, every: number): number[] {
  const all = Array.from({ length }, (_, at) => at);
  const step = Math.max(1, Math.ceil((length - 16) / 6));
  return all.filter((at) => (at < 6 || at >= length - 10 || at % step === 0) && at % every === 0);
}

/** Bytes of a download beyond which it can only be that of the weights. */
const LARGE = 10_000;

/** Files in a folder that this process has open. */
function leftOpen(folder: string): string[] {
  if (process.platform !== 'linux') return [];
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // it was that of readdir
    }
  });
  return targets.filter((path) => path.startsWith(`${folder}/`)).map((path) => `${path} is left open`);
}

/** Images that need not be embedded again, where the write is that of an index. */
async function indexedIn({ name }: Write, folder: string): Promise<number | undefined> {
  if (!name.startsWith('index')) return undefined;
  const index = await readIndex(join(folder, 'photos'));
  const isCurrent = ({ name: file, size, time }: { name: string; size: number; time: number }): boolean => {
    const path = join(folder, 'photos', file);
    const found = existsSync(path) ? statSync(path) : undefined;
    return found?.size === size && Math.floor(found.mtimeMs) === time;
  };
  return [...(index?.images.values() ?? [])].filter(isCurrent).length;
}

function unfinished(folder: string): string[] {
  const home = join(folder, 'home');
  if (!existsSync(home)) return [];
  const names = readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.incomplete'));
  return names.map((name) => join(home, name));
}

/** Lets the time pass after which a download is taken for abandoned. */
function age(folder: string): void {
  for (const path of unfinished(folder)) utimesSync(path, 0, 0);
}

/** Bytes of a download that was broken off. */
function bytesBegun(folder: string): number {
  return unfinished(folder).reduce((sum, path) => sum + statSync(path).size, 0);
}
